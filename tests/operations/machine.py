"""A machine of its own for a test: the file system of this one below an overlay, and namespaces for mounts, processes and the network.

Needs root. Nothing that is written there remains, and all ports are free.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

PASSWORD = "Correct-Horse-9-Battery"
INSIDE = "NATTER_TEST_MACHINE"
# Timeout in seconds for a start and for a stop.
PATIENCE = 120
# Maximum length of a printed failure, in characters.
EXCERPT = 2_000


def enter():
    """Runs the script again in namespaces of its own. Ends it where that is not possible."""
    if INSIDE in os.environ:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with tempfile.TemporaryDirectory() as folder:
        if os.geteuid() != 0 or subprocess.run([*unshare, "sh", "-c", overlay(folder)], capture_output=True).returncode:
            print(f"Skipped {Path(sys.argv[0]).name}: it needs root and overlay file systems.")
            sys.exit()
        environment = {**os.environ, INSIDE: folder}
        sys.exit(subprocess.run([*unshare, sys.executable, "-B", *sys.argv], env=environment).returncode)


def overlay(folder):
    """Shell commands that mount the overlay at `folder`/root."""
    return (
        f"set -e; cd {shlex.quote(folder)}; mount -t tmpfs tmpfs .; cd {shlex.quote(folder)}; mkdir upper work root;"
        "mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root;"
        "mount -t proc proc root/proc; mount --rbind /dev root/dev; mount -t tmpfs tmpfs root/run; mount -t tmpfs -o mode=1777 tmpfs root/tmp"
    )


class Machine:
    def __init__(self, reachable=None):
        """`reachable` is a program that every user finds at /natter, wherever it is."""
        folder = os.environ[INSIDE]
        subprocess.run(["sh", "-c", overlay(folder)], check=True)
        self.root = Path(folder) / "root"
        if reachable:
            self.path("/natter").touch()
            subprocess.run(["mount", "--bind", reachable, self.path("/natter")], check=True)

    def path(self, name):
        return self.root / name.lstrip("/")

    def run(self, *command, ok=True, env=None, folder="/"):
        """Runs a command. Returns its output; with ok=False it must fail. `env` replaces the environment."""
        done = subprocess.run(self.inside(folder, *command), env=env, capture_output=True, text=True)
        output = done.stdout + done.stderr
        if (done.returncode == 0) != ok:
            fail(f"{shlex.join(command)} ends with {done.returncode}:\n{output}")
        return output

    def succeeds(self, *command, env=None, folder="/"):
        return subprocess.run(self.inside(folder, *command), env=env, capture_output=True).returncode == 0

    def inside(self, folder, *command):
        return [shutil.which("chroot"), self.root, "sh", "-c", 'cd "$0" && exec "$@"', folder, *command]

    def start(self, *command, env, folder):
        """Starts a program in the background. Its output goes to the file `log` beside the root."""
        log = open(self.root.parent / "log", "ab")
        return subprocess.Popen(self.inside(folder, *command), env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def log(self):
        return (self.root.parent / "log").read_text(errors="replace")

    def owner(self, name):
        found = self.path(name).stat()
        return found.st_uid, found.st_gid, found.st_mode & 0o777


class Postgres:
    """A database server of the machine, with the user `natter` and the password SECRET."""

    SECRET = "hunter22"

    def __init__(self, machine, folder, port):
        self.machine, self.folder, self.port = machine, folder, port
        machine.run("install", "-d", "-o", "postgres", folder)
        machine.run("sh", "-c", f"echo {self.SECRET} >{folder}/password; chown postgres {folder}/password")

    def run(self, tool, *arguments):
        tools = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        secret = f"PGPASSWORD={self.SECRET}"
        return self.machine.run("runuser", "-u", "postgres", "--", "env", secret, tools / tool, *arguments, folder=self.folder)

    def create(self):
        self.run("initdb", f"--pgdata={self.folder}/data", "--username=natter", "--auth=scram-sha-256", f"--pwfile={self.folder}/password")

    def copy(self, primary):
        """Copies a running server, as its replica."""
        source = f"host=127.0.0.1 port={primary.port} user=natter password={self.SECRET} application_name=replica"
        self.run("pg_basebackup", f"--pgdata={self.folder}/data", f"--dbname={source}", "--write-recovery-conf", "--checkpoint=fast")

    def control(self, *arguments):
        self.run("pg_ctl", "--silent", "--wait", f"--pgdata={self.folder}/data", f"--log={self.folder}/log", *arguments)

    def start(self, options=""):
        self.control("-o", f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories={self.folder} {options}", "start")

    def url(self, database="postgres", password=SECRET, port=None):
        return f"postgres://natter:{password}@127.0.0.1:{port or self.port}/{database}"


def fail(sentence):
    sys.exit(f"{Path(sys.argv[0]).name}: {sentence[:EXCERPT]}")


def expect(holds, sentence):
    if not holds:
        fail(sentence)


def until(what, holds):
    """Waits until `holds` returns something true, and returns that."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            found = holds()
            if found:
                return found
        time.sleep(0.1)
    fail(f"waited {PATIENCE} s for this: {what}")


def call(base, path, body=None, token=None):
    """Sends a POST with a body, a GET without one. Returns the status and the JSON of the response."""
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    request = urllib.request.Request(f"{base}{path}", None if body is None else json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def data(base, path, body=None, token=None):
    """Like `call`, for a request that succeeds. Returns its data."""
    status, answer = call(base, path, body, token)
    expect(status in (200, 201), f"{path}: {status} {answer}")
    return answer["data"]


def sign_up(base, email, **more):
    return data(base, "/r1/auth/signup", {"email": email, "password": PASSWORD, "display_name": email.split("@")[0], **more})


def sign_in(base, email, password):
    return data(base, "/r1/auth/signin", {"email": email, "password": password})


def generated_password(output):
    found = re.search(r"The password is (\S+)", output)
    expect(found, f"no password in {output!r}")
    return found[1]


def stop(process):
    """Stops a program as systemd and Docker do. It must end with 0."""
    process.terminate()
    status = process.wait(PATIENCE)
    expect(status == 0, f"the server ends with {status}")
