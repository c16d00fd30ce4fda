"""Fails over to a synchronous replica of PostgreSQL under load: failover.py PROGRAM. No acknowledged message may be lost or stored twice.

The program reaches the database through a forwarder, as through the address that a cluster manager moves. For some seconds the replica answers, but can
only be read.
"""

import socket
import sys
import threading
import time
import uuid
from pathlib import Path

from machine import Machine, Postgres, call, data, enter, expect, sign_up, stop, until

BASE = "http://127.0.0.1:8080"
SENDERS = 4
# Seconds of load before the failover, while the replica can only be read, and after its promotion.
BEFORE, READ_ONLY, AFTER = 3, 4, 3
# Maximum of the time in seconds until a message is accepted after the promotion.
RECOVERY = 30


class Forwarder:
    """Forwards connections to the port `target`."""

    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self.pump, args=(source, sink), daemon=True).start()

    @staticmethod
    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Load:
    """Sends messages, each with one client_id until it is acknowledged."""

    def __init__(self, path, token):
        self.path, self.token, self.is_over = path, token, False
        self.acknowledged, self.statuses, self.newest = {}, set(), 0.0
        self.threads = [threading.Thread(target=self.send, daemon=True) for _ in range(SENDERS)]
        for thread in self.threads:
            thread.start()

    def send(self):
        while not self.is_over:
            client_id = str(uuid.uuid4())
            while True:
                # A refused connection is no response.
                try:
                    status, answer = call(BASE, self.path, {"client_id": client_id, "content": client_id}, self.token)
                except OSError:
                    status = None
                self.statuses.add(status)
                if status in (200, 201):
                    self.acknowledged[client_id] = answer["data"]["id"]
                    self.newest = time.monotonic()
                    break
                time.sleep(0.05)

    def end(self):
        self.is_over = True
        for thread in self.threads:
            thread.join(60)
        expect(not any(thread.is_alive() for thread in self.threads), "a message is never acknowledged")


def history(path, token):
    """All messages, as pairs of id and content."""
    found, after = [], 0
    while True:
        page = data(BASE, f"{path}?after_seq={after}&limit=200", token=token)
        found += [(message["id"], message["content"]) for message in page["items"]]
        if not page["has_more"]:
            return found
        after = page["items"][-1]["seq"]


def main():
    program = str(Path(sys.argv[1]).resolve())
    enter()
    machine = Machine(reachable=program)
    primary, replica = Postgres(machine, "/srv/primary", 5432), Postgres(machine, "/srv/replica", 5433)
    primary.create()
    primary.start()
    replica.copy(primary)
    replica.start()
    primary.control("stop")
    # Only now every commit waits for the replica.
    primary.start("-c synchronous_standby_names=replica")
    forwarder = Forwarder(primary.port)
    settings = {
        "SERVER__DATA_DIR": "/srv/natter",
        "DATABASE__URL": primary.url(port=forwarder.port),
        "AUTH__KEY_ENCRYPTION_SECRET": "correct horse battery staple, and more of them",
        "RATE_LIMIT__ENABLED": "false",
        "WORKSPACES__SHARED": "Home",
    }
    env = {"PATH": "/usr/bin:/bin", **{f"NATTER__{name}": value for name, value in settings.items()}}
    machine.run("/natter", "migrate", "up", env=env)
    server = machine.start("/natter", "serve", env=env, folder="/srv")
    until("the server answers", lambda: call(BASE, "/health")[0] == 200)
    anna, ben = sign_up(BASE, "anna@example.org"), sign_up(BASE, "ben@example.org")
    token = anna["access_token"]
    chat = data(BASE, "/r1/conversations", {"kind": "single", "member_ids": [ben["user"]["id"]]}, token)
    path = f"/r1/conversations/{chat['id']}/messages"

    load = Load(path, token)
    time.sleep(BEFORE)
    before = len(load.acknowledged)
    expect(before, "no message is acknowledged before the failover")
    forwarder.target = replica.port
    primary.control("--mode=immediate", "stop")
    time.sleep(READ_ONLY)
    _, health = call(BASE, "/health")
    expect(health["status"] in ("degraded", "down"), f"/health says {health['status']} on a replica")
    replica.control("promote")
    promoted = time.monotonic()
    until("a message is accepted", lambda: load.newest > promoted)
    took = load.newest - promoted
    time.sleep(AFTER)
    load.end()
    until("/health is ok", lambda: call(BASE, "/health")[1]["status"] == "ok")

    expect(load.statuses <= {200, 201, 503}, f"messages got {load.statuses}")
    expect(503 in load.statuses, "the failover refuses nothing")
    expect(took < RECOVERY, f"the first message is accepted {took:.1f} s after the promotion")
    stored = history(path, token)
    contents = [content for _, content in stored]
    expect(len(contents) == len(set(contents)), "a message is stored twice")
    lost = {client_id for client_id, message in load.acknowledged.items() if (message, client_id) not in set(stored)}
    expect(not lost, f"{len(lost)} of {len(load.acknowledged)} acknowledged messages are lost")
    stop(server)
    print(f"{len(load.acknowledged)} messages survive a failover, {before} of them from before; {took:.1f} s after the promotion the first is accepted.")


if __name__ == "__main__":
    main()
