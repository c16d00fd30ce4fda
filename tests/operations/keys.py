"""Loses the key of an installation, resets it, and rotates it: keys.py PROGRAM. Follows docs/operations.md, "On one machine"."""

import base64
import hashlib
import hmac
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from machine import PASSWORD, call, data, expect, sign_in, sign_up, stop
from server import serve

EMAIL = "anna@example.org"
SENTENCE = "This message outlives the key."


class Installation:
    def __init__(self, program, folder):
        self.program, self.folder, self.server, self.base = program, Path(folder), None, None
        self.key = self.folder / "encryption-key"

    def start(self):
        # No provider listens at port 9.
        self.server, self.base = serve(self.program, 9, str(self.folder))

    def run(self, *command, status=0):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("NATTER")}
        environment = {**clean, "NATTER__SERVER__DATA_DIR": str(self.folder), "NATTER__SERVER__PORT": self.base.rsplit(":", 1)[1]}
        done = subprocess.run([self.program, *command], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        output = done.stdout + done.stderr
        expect(done.returncode == status, f"natter {' '.join(command)} ends with {done.returncode}: {output}")
        return output

    def unreadable(self, status):
        report = self.run("keys", "check", "--json", status=status)
        # The error follows on standard error.
        secrets = json.JSONDecoder().raw_decode(report)[0]["secrets"]
        return {one["kind"]: one["unreadable"] for one in secrets if one["count"] > 0}


def authenticator_code(secret):
    """Code of this moment (RFC 6238)."""
    counter = struct.pack(">Q", int(time.time()) // 30)
    digest = hmac.digest(base64.b32decode(secret + "=" * (-len(secret) % 8)), counter, hashlib.sha1)
    place = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[place : place + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


def fill(it):
    """Creates each secret that a person creates: an authenticator and a provider's key. Returns the conversation and a session."""

    token = sign_up(it.base, EMAIL)["access_token"]

    def post(path, body):
        return data(it.base, path, body, token)

    chat = post("/r1/conversations", {"kind": "assistant"})["id"]
    post(f"/r1/conversations/{chat}/messages", {"client_id": str(uuid.uuid4()), "content": SENTENCE})
    provider = {"name": "local", "kind": "openai", "base_url": "https://ai.example.org/v1", "keys": ["a-long-key-0001"], "models": ["large"]}
    post("/r1/admin/providers", provider)
    session = sign_in(it.base, EMAIL, PASSWORD)
    secret = post("/r1/auth/totp", {"password": PASSWORD})["secret"]
    post("/r1/auth/totp/confirm", {"code": authenticator_code(secret)})
    status, answer = call(it.base, "/r1/auth/signin", {"email": EMAIL, "password": PASSWORD})
    expect(status == 202, f"the authenticator is not asked for: {status} {answer}")
    return chat, session


def history_has_the_message(it, chat, token):
    messages = data(it.base, f"/r1/conversations/{chat}/messages", token=token)
    expect(SENTENCE in json.dumps(messages), f"the message is lost: {messages}")


def a_lost_key_is_reset(it, chat, session):
    kinds = {"signing_keys", "authenticator_apps", "push_key", "ai_providers"}
    found = it.unreadable(0)
    expect(found.keys() == kinds and not any(found.values()), f"the installation has these secrets: {found}")
    it.key.rename(it.folder / "lost")
    expect("key file is missing" in it.run("serve", status=1), "serve starts without its key")
    expect(set(it.unreadable(1).items()) == {(kind, 1) for kind in kinds}, "keys check decrypts something without the key")
    said = it.run("keys", "reset", status=1)
    expect("--yes" in said and "1 authenticator apps" in said, f"keys reset asks nothing: {said}")
    expect(not it.key.exists(), "a refused reset creates a key")
    it.run("keys", "reset", "--yes")
    expect(it.key.stat().st_mode & 0o777 == 0o600, "the new key can be read by others")
    it.run("keys", "check")
    it.start()
    status, _ = call(it.base, "/r1/users/me", token=session["access_token"])
    expect(status == 401, f"an access token of the lost key has {status}")
    # Sessions are not encrypted: the app renews its token, and nobody has to sign in.
    renewed = data(it.base, "/r1/auth/refresh", {"refresh_token": session["refresh_token"]})
    # The authenticator is gone, so the password alone suffices.
    sign_in(it.base, EMAIL, PASSWORD)
    history_has_the_message(it, chat, renewed["access_token"])
    return renewed["access_token"]


def a_key_is_rotated(it, chat, token):
    before = it.key.read_text()
    expect("Stop" in it.run("keys", "rotate", "encryption", "--yes", status=1), "the key is rotated beside a server")
    stop(it.server)
    it.run("keys", "rotate", "encryption", "--yes")
    expect(it.key.read_text() != before and it.key.stat().st_mode & 0o777 == 0o600, "the key file is the same")
    it.run("keys", "check")
    it.start()
    history_has_the_message(it, chat, token)
    it.run("keys", "rotate", "signing")
    history_has_the_message(it, chat, token)
    stop(it.server)
    it.key.write_text(before)
    expect("The key does not open the database" in it.run("serve", status=1), "serve starts with the key from before")


def main():
    with tempfile.TemporaryDirectory() as folder:
        it = Installation(str(Path(sys.argv[1]).resolve()), folder)
        try:
            it.start()
            chat, session = fill(it)
            stop(it.server)
            token = a_lost_key_is_reset(it, chat, session)
            a_key_is_rotated(it, chat, token)
        finally:
            it.server.kill()
    print("A lost key is reset, and a key is rotated.")


if __name__ == "__main__":
    main()
