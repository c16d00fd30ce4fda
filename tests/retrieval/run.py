"""How well an assistant's files are searched: run.py PROGRAM.

An assistant of the real server is given the pages of docs/, embedded by a small model that is served here (minilm.py), and asked each question of
questions.txt. What the model is told then has to begin with the right place: that of the question is among the first five for nine in ten.
"""

import os

# Before numpy is loaded. A model on all processors would leave the server none.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import base64
import contextlib
import json
import queue
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from minilm import MiniLM

FIRST = 5
WANTED = 0.9
# Until a page is embedded, or a question has come to the model.
PATIENCE = 600
PASSWORD = "Correct-Horse-9-Battery"
DOCS = Path(__file__).parents[2] / "docs"
# Tables of figures: there is nothing to ask about them.
LEFT_OUT = ("benchmark.md", "performance.md")
PASSAGE = re.compile(r'^<passage-\w+ n="\d+" file=("(?:[^"\\]|\\.)*")(?: below=("(?:[^"\\]|\\.)*"))?>$', re.M)


class Models(BaseHTTPRequestHandler):
    """A provider in OpenAI's form: one model embeds, the other keeps what it is asked."""

    minilm = MiniLM()
    taking_turns = threading.Lock()
    asked = queue.Queue()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.close_connection = True
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if self.path.endswith("/embeddings"):
                self.embed(body)
            else:
                self.asked.put(body)
                self.answer()

    def begin(self, content_type):
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("connection", "close")
        self.end_headers()

    def embed(self, body):
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        with self.taking_turns:
            made = [self.minilm.embed(text) for text in texts]
        data = [
            {"object": "embedding", "index": index, "embedding": base64.b64encode(vector.tobytes()).decode()}
            for index, (vector, _) in enumerate(made)
        ]
        tokens = sum(count for _, count in made)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        self.begin("application/json")
        self.wfile.write(json.dumps({"object": "list", "data": data, "model": "embed", "usage": usage}).encode())

    def answer(self):
        self.begin("text/event-stream")
        for delta, reason in (({"role": "assistant", "content": "Read."}, None), ({}, "stop")):
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "small", "choices": [choice]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(program, port, models, folder):
    settings = {
        "SERVER__PORT": str(port),
        "SERVER__DATA_DIR": folder,
        "RATE_LIMIT__ENABLED": "false",
        "METRICS__LISTEN": "none",
        "AI__TITLES": "words",
        "AI__PROVIDERS__FAKE__KIND": "openai",
        "AI__PROVIDERS__FAKE__BASE_URL": f"http://127.0.0.1:{models}/v1",
        "AI__PROVIDERS__FAKE__KEYS": "key-one",
        "AI__PROVIDERS__FAKE__MODELS": "small,embed",
        "KNOWLEDGE__MODEL": "embed",
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NATTER")}
    environment = {**clean, **{f"NATTER__{name}": value for name, value in settings.items()}, "RUST_LOG": "warn"}
    with open(Path(folder) / "log", "wb") as log:
        server = subprocess.Popen([program, "serve"], env=environment, cwd=folder, stdout=log, stderr=log)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return server
        except OSError:
            time.sleep(0.05)
    sys.exit(f"natter does not listen:\n{(Path(folder) / 'log').read_text(errors='replace')[-2000:]}")


class Person:
    """Who gives the pages to an assistant, and asks it."""

    def __init__(self, base):
        self.base, self.token = base, None
        body = {"email": "anna@example.org", "password": PASSWORD, "display_name": "Anna"}
        self.token = self.call("/r1/auth/signup", body)["access_token"]
        self.workspace = self.call("/r1/workspaces", {"name": "Library"})["id"]
        assistant = {"name": "Reader", "workspace_id": self.workspace}
        self.assistant = self.call("/r1/assistants", assistant)["id"]

    def call(self, path, body=None):
        headers = {"content-type": "application/json"}
        return self.send(path, None if body is None else json.dumps(body).encode(), headers)

    def send(self, path, body, headers):
        if self.token:
            headers = {**headers, "authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(f"{self.base}{path}", body, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["data"]

    def give(self, pages):
        """Gives pages, and waits until they can be searched: how many pieces there are."""
        path = f"/r1/assistants/{self.assistant}/knowledge"
        for page in pages:
            headers = {"content-type": "text/markdown", "x-filename": page.name}
            upload = self.send("/r1/uploads", page.read_bytes(), headers)
            self.call(path, {"upload_id": upload["id"]})
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            known = self.call(path)
            states = {file["name"]: file["state"] for file in known["files"]}
            if set(states.values()) == {"ready"}:
                return known["pieces"]
            if "failed" in states.values():
                sys.exit(f"a page couldn't be read: {known}")
            time.sleep(0.2)
        sys.exit(f"the pages weren't read in {PATIENCE} s: {states}")

    def ask(self, question):
        """The places that the model is told of, the best first."""
        new = {"kind": "assistant", "assistant_id": self.assistant, "workspace_id": self.workspace}
        chat = self.call("/r1/conversations", new)["id"]
        body = {"client_id": str(uuid.uuid4()), "content": question}
        self.call(f"/r1/conversations/{chat}/messages", body)
        told = Models.asked.get(timeout=PATIENCE)["messages"][0]["content"]
        return [(json.loads(file), json.loads(below or '""')) for file, below in PASSAGE.findall(told)]


def questions():
    """Each with its place: the page and the heading that stand above it."""
    place = None
    for line in Path(__file__).with_name("questions.txt").read_text().splitlines():
        if " | " in line:
            place = tuple(line.split(" | "))
        else:
            yield place, line


def headings(page):
    """Those of a page, with the marks of code in them taken off."""
    is_code, found = False, set()
    for line in page.read_text().splitlines():
        is_code ^= line.startswith("```")
        if line.startswith("#") and not is_code:
            found.add(line.lstrip("# ").replace("`", ""))
    return found


def main():
    program = str(Path(sys.argv[1]).resolve())
    pages = [page for page in sorted(DOCS.glob("*.md")) if page.name not in LEFT_OUT]
    known = {page.name: headings(page) for page in pages}
    asked = [((page, heading.replace("`", "")), question) for (page, heading), question in questions()]
    gone = {place for place, _ in asked if place[1] not in known.get(place[0], ())}
    if gone:
        sys.exit(f"questions.txt names headings that are there no more: {sorted(gone)}")
    models = ThreadingHTTPServer(("127.0.0.1", 0), Models)
    threading.Thread(target=models.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as data:
        port = free_port()
        server = serve(program, port, models.server_port, data)
        try:
            anna = Person(f"http://127.0.0.1:{port}")
            pieces = anna.give(pages)
            places = [[(file, below.split(" › ")[-1]) for file, below in anna.ask(question)] for _, question in asked]
        finally:
            server.terminate()
            server.wait(30)
    ranks = [found.index(place) if place in found else None for (place, _), found in zip(asked, places, strict=True)]

    def among(most):
        return sum(rank is not None and rank < most for rank in ranks)

    for (place, question), found, rank in zip(asked, places, ranks, strict=True):
        if rank is None or rank >= FIRST:
            print(f"not among the first {FIRST}: {question} ({' | '.join(place)}); first is {found[:1]}")
    count = len(asked)
    print(f"{count} questions over {pieces} pieces: {among(1)} first, {among(FIRST)} among the first {FIRST}, {among(24)} found")
    if among(FIRST) < WANTED * count:
        sys.exit(f"fewer than {WANTED:.0%} are among the first {FIRST}")


if __name__ == "__main__":
    main()
