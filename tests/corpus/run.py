"""Sends documents of real programs and malicious files to an assistant of the real server: run.py PROGRAM [MAKER…].

Each file is made (documents.py, hostile.py), sent with a question, and its text is expected in the request to the model. Missing texts and files that
take too much memory of the server are reported. MAKERs select files (soffice, chromium, pdflatex, ffmpeg, text, hostile); default: all.
"""

import sys
import tempfile
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from documents import MAKERS
from hostile import hostile
from server import Person, Provider, serve

MAKERS = {**MAKERS, "hostile": hostile}

# Maximum growth of the server's memory for one file. The file is read by another process, and the extracted text is limited.
MEMORY = 256 * 1024 * 1024


def told_of(person, document):
    """Returns the request to the model as one text."""
    upload = person.upload(document.path, document.media_type)
    asked = person.ask("What does it say?", [upload])
    return "\n".join(said(message["content"]) for message in asked if message["role"] == "user")


def said(content):
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def highest_memory(server):
    """Peak memory of the server in bytes."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def plain(text):
    """Removes line breaks."""
    return " ".join(text.split())


def missing(document, text):
    """Returns the expected texts that are missing or out of order."""
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
    provider = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as data:
        documents = [document for make in chosen for document in make(Path(folder))]
        # LibreOffice reports a failed conversion only by the missing file.
        unmade = [document.path.name for document in documents if not document.path.exists()]
        if unmade:
            sys.exit(f"failed to make documents: {unmade}")
        server, base = serve(program, provider.server_port, data)
        try:
            anna = Person(base)
            wrong = []
            for document in documents:
                before, began = highest_memory(server), time.monotonic()
                text = told_of(anna, document)
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
