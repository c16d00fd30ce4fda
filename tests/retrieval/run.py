"""Measures the retrieval quality of an assistant's files: run.py PROGRAM.

An assistant of the real server gets the pages of docs/, embedded by a small model that is served here (minilm.py), and each question of questions.txt.
The section that answers the question must be among the first five retrieved chunks for 90 % of the questions.
"""

import os

# Set before numpy is loaded. A model on all cores would leave none for the server.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import base64
import json
import re
import sys
import tempfile
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from minilm import MiniLM
from server import PATIENCE, Person, Provider, serve

FIRST = 5
WANTED = 0.9
DOCS = Path(__file__).parents[2] / "docs"
# Pages of figures, without questions.
LEFT_OUT = ("benchmark.md", "benchmark-history.md", "benchmark-search.md", "performance.md")
MODELS = {"AI__PROVIDERS__FAKE__MODELS": "small,embed", "KNOWLEDGE__MODEL": "embed"}
PASSAGE = re.compile(r'^<passage-\w+ n="\d+" file=("(?:[^"\\]|\\.)*")(?: below=("(?:[^"\\]|\\.)*"))?>$', re.M)


class Embedding(Provider):
    """Provider with an embedding model."""

    minilm = MiniLM()
    taking_turns = threading.Lock()

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


class Reader:
    """Assistant with the pages as knowledge files."""

    def __init__(self, person):
        self.person = person
        self.workspace = person.call("/r1/workspaces", {"name": "Library"})["id"]
        self.id = person.call("/r1/assistants", {"name": "Reader", "workspace_id": self.workspace})["id"]

    def give(self, pages):
        """Adds pages, waits until they are ready, and returns the number of chunks."""
        path = f"/r1/assistants/{self.id}/knowledge"
        for page in pages:
            self.person.call(path, {"upload_id": self.person.upload(page, "text/markdown")["id"]})
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            known = self.person.call(path)
            states = {file["name"]: file["state"] for file in known["files"]}
            if set(states.values()) == {"ready"}:
                return known["pieces"]
            if "failed" in states.values():
                sys.exit(f"a page couldn't be read: {known}")
            time.sleep(0.2)
        sys.exit(f"the pages weren't read in {PATIENCE} s: {states}")

    def places(self, question):
        """Returns the sections of the retrieved chunks, best first."""
        asked = self.person.ask(question, assistant_id=self.id, workspace_id=self.workspace)
        found = PASSAGE.findall(asked[0]["content"])
        return [(json.loads(file), json.loads(below or '""').split(" › ")[-1]) for file, below in found]


def questions():
    """Yields each question with its page and heading."""
    place = None
    for line in Path(__file__).with_name("questions.txt").read_text().splitlines():
        if " | " in line:
            place = tuple(line.split(" | "))
        else:
            yield place, line


def headings(page):
    """Returns the headings of a page without backticks."""
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
        sys.exit(f"questions.txt names missing headings: {sorted(gone)}")
    provider = ThreadingHTTPServer(("127.0.0.1", 0), Embedding)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as data:
        server, base = serve(program, provider.server_port, data, MODELS)
        try:
            reader = Reader(Person(base))
            pieces = reader.give(pages)
            places = [reader.places(question) for _, question in asked]
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
