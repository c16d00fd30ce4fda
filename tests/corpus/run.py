"""Documents that real programs make, and files that are made to harm, given to an assistant of the real server: run.py PROGRAM [MAKER…].

Each is made (documents.py, hostile.py), sent with a question, and looked for in what the model is asked. What isn't found is named, and what takes
too much of the server's memory. MAKERs are those whose files are wanted (soffice, chromium, pdflatex, ffmpeg, text, hostile); without any, all.
"""

import contextlib
import json
import os
import queue
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

from documents import MAKERS
from hostile import hostile

MAKERS = {**MAKERS, "hostile": hostile}
# Until a question has come to the model: a file is read first.
PATIENCE = 180
# What the server itself may take for one file, whatever is in it: it is read by another process, and the text that comes out of it has an end.
MEMORY = 256 * 1024 * 1024
PASSWORD = "Correct-Horse-9-Battery"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Model(BaseHTTPRequestHandler):
    """A provider in OpenAI's form, which keeps what it is asked."""

    asked = queue.Queue()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.put(body)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.answer()
        self.close_connection = True

    def answer(self):
        for delta, reason in (({"role": "assistant", "content": "Read."}, None), ({}, "stop")):
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "small", "choices": [choice]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *_):
        pass


def serve(program, port, model, folder):
    settings = {
        "SERVER__PORT": str(port),
        "SERVER__DATA_DIR": folder,
        "RATE_LIMIT__ENABLED": "false",
        "METRICS__LISTEN": "none",
        "AI__TITLES": "words",
        "AI__PROVIDERS__FAKE__KIND": "openai",
        "AI__PROVIDERS__FAKE__BASE_URL": f"http://127.0.0.1:{model}/v1",
        "AI__PROVIDERS__FAKE__KEYS": "key-one",
        "AI__PROVIDERS__FAKE__MODELS": "small",
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
    def __init__(self, base):
        self.base, self.token = base, None
        body = {"email": "anna@example.org", "password": PASSWORD, "display_name": "Anna"}
        self.token = self.post("/r1/auth/signup", body)["access_token"]

    def post(self, path, body):
        return self.send(path, json.dumps(body).encode(), {"content-type": "application/json"})

    def send(self, path, body, headers):
        if self.token:
            headers = {**headers, "authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(f"{self.base}{path}", body, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["data"]

    def ask_about(self, document):
        """What the model is asked, as one text."""
        headers = {"content-type": document.media_type, "x-filename": document.path.name}
        upload = self.send("/r1/uploads", document.path.read_bytes(), headers)
        chat = self.post("/r1/conversations", {"kind": "assistant"})
        body = {"client_id": str(uuid.uuid4()), "content": "What does it say?", "attachment_ids": [upload["id"]]}
        self.post(f"/r1/conversations/{chat['id']}/messages", body)
        asked = Model.asked.get(timeout=PATIENCE)
        return "\n".join(said(message["content"]) for message in asked["messages"] if message["role"] == "user")


def said(content):
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def highest_memory(server):
    """Of the server so far, in bytes."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def plain(text):
    """Without where its lines end."""
    return " ".join(text.split())


def missing(document, text):
    """What isn't there, or not in its place."""
    text, at = plain(text), 0
    for sentence in map(plain, document.says):
        found = text.find(sentence, at)
        if found < 0:
            yield f"{sentence!r} is {'out of its order' if sentence in text else 'missing'}"
        else:
            at = found + len(sentence)
    for sentence in document.lacks:
        if plain(sentence) in text:
            yield f"{sentence!r} should not be there"


def main():
    program, makers = str(Path(sys.argv[1]).resolve()), sys.argv[2:]
    chosen = [make for name, make in MAKERS.items() if not makers or name in makers]
    model = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=model.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as data:
        documents = [document for make in chosen for document in make(Path(folder))]
        # LibreOffice says of what it couldn't convert only that there is none of it.
        unmade = [document.path.name for document in documents if not document.path.exists()]
        if unmade:
            sys.exit(f"these were not made: {unmade}")
        port = free_port()
        server = serve(program, port, model.server_port, data)
        try:
            anna = Person(f"http://127.0.0.1:{port}")
            wrong = []
            for document in documents:
                before, began = highest_memory(server), time.monotonic()
                text = anna.ask_about(document)
                taken, seconds = highest_memory(server) - before, time.monotonic() - began
                found = list(missing(document, text))
                if taken > MEMORY:
                    found.append(f"the server took {taken >> 20} MiB more for it")
                if seconds > 5 or taken > MEMORY / 4:
                    print(f"{document.path.name}: {seconds:.0f} s, {taken >> 20} MiB more")
                wrong += [f"{document.path.name}: {one}" for one in found]
                if found:
                    wrong.append(f"  it was read as: {plain(text)[:600]!r}")
        finally:
            server.terminate()
            server.wait(30)
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(documents)} documents were read")


if __name__ == "__main__":
    main()
