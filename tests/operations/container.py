"""Plays compose-single.yaml and the README's steps for Docker without Docker: container.py PROGRAM.

The last stage of the Dockerfile and the service of the compose file are read from their files: user, folder, environment, health check, read-only root,
no capabilities. The image itself is not built.
"""

import re
import shlex
import sys
import time
import uuid
from pathlib import Path

import yaml
from machine import PASSWORD, Machine, call, data, enter, expect, generated_password, sign_in, sign_up, stop, until

ROOT = Path(__file__).parents[2]
BASE = "http://127.0.0.1:8080"
VOLUME = "/var/lib/natter"


def last_stage():
    """Instructions of the image as lists by name."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    found = {}
    for line in text[text.rindex("\nFROM ") :].splitlines():
        name, _, value = line.partition(" ")
        if name.isupper():
            found.setdefault(name, []).append(" ".join(value.split()))
    return found


class Container:
    def __init__(self, machine):
        self.machine, self.image = machine, last_stage()
        self.service = yaml.safe_load((ROOT / "deploy/compose-single.yaml").read_text())["services"]["natter"]
        self.server = None

    def words(self, instruction):
        return yaml.safe_load(self.image[instruction][-1])

    def create(self, program):
        """Prepares what the image has, then makes the root read-only."""
        users = re.search(r"groupadd .*", self.image["RUN"][-1])[0]
        self.machine.run("sh", "-c", users)
        self.machine.run("ln", "-s", program, "/usr/local/bin/natter")
        expect(self.image["VOLUME"] == [VOLUME] and self.service["volumes"] == [f"natter:{VOLUME}"], "there is another volume")
        expect(self.service["read_only"] and self.service["tmpfs"] == ["/tmp"], "the root is not read-only")
        expect(self.service["cap_drop"] == ["ALL"], "the service has capabilities")
        # A new volume has the owner of the image's folder.
        owner = self.machine.run("stat", "--format=%u:%g %a", VOLUME).split()
        self.machine.run("mount", "-t", "tmpfs", "tmpfs", VOLUME)
        self.machine.run("chown", owner[0], VOLUME)
        self.machine.run("chmod", owner[1], VOLUME)
        self.machine.run("mount", "-o", "remount,ro", "/")

    def command(self, *words):
        user, group = self.image["USER"][-1].split(":")
        drop = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
        for line in self.image["ENV"]:
            env.update(word.split("=", 1) for word in shlex.split(line))
        env.update(self.service["environment"])
        return [*drop, *words], {"env": env, "folder": self.image["WORKDIR"][-1]}

    def exec(self, *words, ok=True):
        """`docker compose exec natter …`"""
        command, how = self.command(*words)
        return self.machine.run(*command, ok=ok, **how)

    def up(self):
        command, how = self.command(*self.words("ENTRYPOINT"), *self.words("CMD"))
        self.server = self.machine.start(*command, **how)
        check = re.search(r"--start-period=(\d+)s CMD (.*)", self.image["HEALTHCHECK"][-1])
        probe, how = self.command(*yaml.safe_load(check[2]))
        until("the health check passes", lambda: self.machine.succeeds(*probe, **how))

    def down(self):
        expect(self.image["STOPSIGNAL"] == ["SIGTERM"], "the container is stopped by another signal")
        began = time.monotonic()
        stop(self.server)
        grace = int(self.service["stop_grace_period"].removesuffix("s"))
        expect(time.monotonic() - began < grace, f"the stop takes longer than {grace} s")


def an_account_needs_the_setup_token(it):
    token = it.exec("cat", f"{VOLUME}/setup-token").strip()
    status, refused = call(BASE, "/r1/auth/signup", {"email": "you@example.org", "password": PASSWORD, "display_name": "You"})
    expect(status >= 400, f"the first account needs no token: {refused}")
    first = sign_up(BASE, "you@example.org", setup_token=token)
    expect(first["user"]["role"] == "admin", f"the first account: {first}")
    return first["access_token"]


def the_demo_answers(token):
    path = f"/r1/conversations/{data(BASE, '/r1/conversations', {'kind': 'assistant'}, token)['id']}/messages"
    data(BASE, path, {"client_id": str(uuid.uuid4()), "content": "Hello?"}, token)
    until("the demo answers", lambda: "demo assistant" in str(data(BASE, path, token=token)))


def commands_act_on_the_installation(it):
    password = generated_password(it.exec("natter", "admin", "create", "--email", "other@example.org"))
    expect(sign_in(BASE, "other@example.org", password)["user"]["role"] == "admin", "the second administrator is none")
    it.exec("natter", "doctor")
    # Everything but the volume and /tmp is read-only.
    expect("Read-only file system" in it.exec("touch", "/usr/local/bin/x", ok=False), "the root can be written")


def main():
    program = str(Path(sys.argv[1]).resolve())
    enter()
    it = Container(Machine(reachable=program))
    it.create("/natter")
    it.up()
    the_demo_answers(an_account_needs_the_setup_token(it))
    commands_act_on_the_installation(it)
    it.down()
    expect("No server responds at" in it.exec("natter", "probe", ok=False), "the health check passes without a server")
    it.up()
    sign_in(BASE, "you@example.org", PASSWORD)
    it.down()
    print("The container's quick start works.")


if __name__ == "__main__":
    main()
