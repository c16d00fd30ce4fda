"""Breaks an installation and reads what `natter doctor` says: doctor.py PROGRAM.

Only the faults that the black-box tests can't make (README.md): files of another user, a password that PostgreSQL refuses, other clocks, certificates.
"""

import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from machine import Machine, Postgres, call, enter, expect, stop, until

USER = 65534
DATA = "/srv/natter"
# Maximum length of a line, in characters. Longer ones repeat themselves.
LINE = 300


class Refusing(BaseHTTPRequestHandler):
    """A provider that rejects every key, and a web server that is not Natter."""

    def do_GET(self):
        status = 401 if self.path.startswith("/v1/") else 404
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps({"error": {"message": "Incorrect API key provided: hunter22."}}).encode())

    def log_message(self, *_):
        pass


class Doctor:
    def __init__(self, machine):
        self.machine = machine

    def command(self, name, settings, user=USER, clock=None):
        env = {"PATH": "/usr/bin:/bin", "NATTER__SERVER__DATA_DIR": DATA}
        env.update({f"NATTER__{key.upper().replace('.', '__')}": value for key, value in settings.items()})
        watch = ["faketime", "-f", clock] if clock else []
        drop = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]
        return [*drop, *watch, "/natter", name], env

    def says(self, verdict, about, sentence, settings, **how):
        """Checks the only line about a subject, and the status: 1 if there is a fault."""
        command, env = self.command("doctor", settings, **how)
        done = subprocess.run(self.machine.inside("/srv", *command), env=env, capture_output=True, text=True)
        lines = done.stdout.splitlines()
        about_it = [line for line in lines if re.match(rf"\w+ +{about}: ", line)]
        wanted = re.compile(rf"{verdict} +{about}: .*{re.escape(sentence)}")
        expect(len(about_it) == 1 and wanted.match(about_it[0]), f"no line {wanted.pattern!r} alone in:\n{done.stdout}{done.stderr}")
        has_fault = any(line.startswith("FAULT") for line in lines)
        expect(done.returncode == int(has_fault), f"the status is {done.returncode} with:\n{done.stdout}")
        expect(verdict != "FAULT" or done.returncode == 1, f"the status is {done.returncode} in spite of a fault")
        wrong = [line for line in lines if len(line) > LINE or ".." in line or "hunter22" in line]
        expect(not wrong, f"these lines are unreadable: {wrong}")
        expect(done.stderr.count("\n") <= 1, f"the log is printed as well: {done.stderr}")

    def restore_access(self):
        self.machine.run("chown", "-R", f"{USER}:{USER}", DATA)
        self.machine.run("chmod", "-R", "u=rwX,go=", DATA)


def files_of_another_user(doctor):
    for path, about in ((DATA, "disk"), (f"{DATA}/natter.db", "database"), (f"{DATA}/encryption-key", "key")):
        doctor.machine.run("chown", "root:root", path)
        doctor.machine.run("chmod", "go=", path)
        doctor.says("FAULT", about, f"{path} belongs to root. Run as root, or run chown -R nobody {path}", {})
        doctor.restore_access()


def addresses(doctor, port):
    """Addresses at which something else answers, or nothing."""
    other = f"http://127.0.0.1:{port}"
    doctor.says("warning", "public address", f"{other} answers 404", {"server.public_url": other})
    doctor.says("warning", "public address", "the host name of chat.invalid:443 is unknown", {"server.public_url": "https://chat.invalid"})
    doctor.says("FAULT", "mail", "the host name of mail.invalid:587 is unknown. Correct mail.smtp_url", {"mail.smtp_url": "smtp://mail.invalid:587"})
    provider = {"kind": "openai", "base_url": f"{other}/v1", "keys": "hunter22", "models": "small"}
    doctor.says("FAULT", "ai", "Check ai.providers.other", {f"ai.providers.other.{key}": value for key, value in provider.items()})


def an_expired_certificate(doctor):
    folder = doctor.machine.path("/srv/tls")
    folder.mkdir()
    files = ["-keyout", "/srv/tls/key", "-out", "/srv/tls/certificate"]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    doctor.machine.run("faketime", "-f", "-30d", "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *files, *subject)
    serve = ["openssl", "s_server", "-quiet", "-www", "-accept", "4443", "-cert", "/srv/tls/certificate", "-key", "/srv/tls/key"]
    server = subprocess.Popen(doctor.machine.inside("/", *serve), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until("openssl listens", lambda: doctor.machine.succeeds("bash", "-c", "true </dev/tcp/127.0.0.1/4443"))
    doctor.says("warning", "public address", "The certificate of localhost:4443 expired on 20", {"server.public_url": "https://localhost:4443"})
    server.kill()
    server.wait()


def postgres(doctor):
    """Refused passwords, a missing database and another clock."""
    server = Postgres(doctor.machine, "/srv/postgres", 5432)
    server.create()
    server.start()

    def at(url):
        return {"auth.key_encryption_secret": "correct horse battery staple, and more of them", "database.url": url}

    right = at(server.url())
    wrong_password = "the user or the password in database.url is wrong (127.0.0.1:5432)"
    doctor.says("FAULT", "database", wrong_password, at(server.url(password="another")))
    doctor.says("FAULT", "database", "there is no database absent at 127.0.0.1:5432. Create it", at(server.url("absent")))
    migrate, env = doctor.command("migrate", right)
    doctor.machine.run(*migrate, "up", env=env)
    doctor.says("ok", "clock", "apart from the database's clock", right)
    for clock in ("+2h", "-2h"):
        doctor.says("FAULT", "clock", "s apart from the database's clock. Use NTP on both machines", right, clock=clock)
    server.control("--mode=immediate", "stop")


def main():
    program = str(Path(sys.argv[1]).resolve())
    enter()
    machine = Machine(reachable=program)
    machine.path(DATA).mkdir(parents=True)
    doctor = Doctor(machine)
    doctor.restore_access()
    serve, env = doctor.command("serve", {})
    server = machine.start(*serve, env=env, folder="/srv")
    until("the server answers", lambda: call("http://127.0.0.1:8080", "/health")[0] == 200)
    stop(server)
    other = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    doctor.says("ok", "key", "The key is in", {})
    files_of_another_user(doctor)
    addresses(doctor, other.server_port)
    an_expired_certificate(doctor)
    postgres(doctor)
    print("natter doctor names each fault.")


if __name__ == "__main__":
    main()
