"""Runs the real server, a user and a fake AI provider for the tests written in Python."""

import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler
from pathlib import Path

PASSWORD = "Correct-Horse-9-Battery"
# Timeout in seconds for the start of the server, and for a question to reach the model after its files were read.
START = 60
PATIENCE = 600


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Provider(BaseHTTPRequestHandler):
    """Provider with OpenAI's API that records requests and gives short answers."""

    asked = queue.Queue()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.close_connection = True
        # The calling server may have been stopped.
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

    def answer(self):
        self.begin("text/event-stream")
        for delta, reason in (({"role": "assistant", "content": "Read."}, None), ({}, "stop")):
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "small", "choices": [choice]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def embed(self, body):
        self.send_error(404)

    def log_message(self, *_):
        pass


def serve(program, provider_port, folder, more=None):
    """Starts the program with this provider, its model `small` and `more` settings. Returns the process and the base URL."""
    port = free_port()
    settings = {
        "SERVER__PORT": str(port),
        "SERVER__DATA_DIR": folder,
        "RATE_LIMIT__ENABLED": "false",
        "METRICS__LISTEN": "none",
        "AI__TITLES": "words",
        "AI__PROVIDERS__FAKE__KIND": "openai",
        "AI__PROVIDERS__FAKE__BASE_URL": f"http://127.0.0.1:{provider_port}/v1",
        "AI__PROVIDERS__FAKE__KEYS": "key-one",
        "AI__PROVIDERS__FAKE__MODELS": "small",
        **(more or {}),
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NATTER")}
    environment = {**clean, **{f"NATTER__{name}": value for name, value in settings.items()}, "RUST_LOG": "warn"}
    with open(Path(folder) / "log", "wb") as log:
        server = subprocess.Popen([program, "serve"], env=environment, cwd=folder, stdout=log, stderr=log)
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return server, f"http://127.0.0.1:{port}"
        except OSError:
            time.sleep(0.05)
    sys.exit(f"natter does not listen:\n{(Path(folder) / 'log').read_text(errors='replace')[-2000:]}")


class Person:
    """User with an account."""

    def __init__(self, base):
        self.base, self.token = base, None
        body = {"email": "anna@example.org", "password": PASSWORD, "display_name": "Anna"}
        self.token = self.call("/r1/auth/signup", body)["access_token"]

    def call(self, path, body=None):
        """Sends a POST with a body, a GET without one."""
        return self.send(path, None if body is None else json.dumps(body).encode(), {"content-type": "application/json"})

    def upload(self, path, media_type):
        return self.send("/r1/uploads", path.read_bytes(), {"content-type": media_type, "x-filename": path.name})

    def send(self, path, body, headers):
        if self.token:
            headers = {**headers, "authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(f"{self.base}{path}", body, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["data"]

    def ask(self, question, uploads=(), **conversation):
        """Asks an assistant in a new conversation. Returns the messages of the request to the model."""
        chat = self.call("/r1/conversations", {"kind": "assistant", **conversation})
        ids = [upload["id"] for upload in uploads]
        body = {"client_id": str(uuid.uuid4()), "content": question, "attachment_ids": ids}
        self.call(f"/r1/conversations/{chat['id']}/messages", body)
        return Provider.asked.get(timeout=PATIENCE)["messages"]
