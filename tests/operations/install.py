"""Installs the Debian package and follows the README and operations.md: install.py PROGRAM CARGO_DEB.

There is no systemd on the machine of the test, so the service is started here as its unit says.
"""

import os
import re
import sys
import tempfile
from pathlib import Path

from machine import Machine, call, enter, expect, generated_password, sign_in, sign_up, stop, until
from package import build

BASE = "http://127.0.0.1:8080"
EMAIL = "you@example.org"
CONFIG, SECRETS = "/etc/natter/config.toml", "/etc/natter/environment"
# An environment of a caller; natterctl must not take its settings from there.
CALLER = {"PATH": os.environ["PATH"], "NATTER__SERVER__PORT": "1", "NATTER__DATABASE__URL": "sqlite:///tmp/other.db"}


class Installation:
    def __init__(self, machine, package):
        self.machine, self.package, self.server = machine, package, None

    def dpkg(self, *arguments):
        # Images of containers leave out the pages.
        return self.machine.run("dpkg", "--path-include=/usr/share/*", "--force-unsafe-io", *arguments)

    def natterctl(self, *arguments, ok=True):
        return self.machine.run("natterctl", *arguments, ok=ok, env=CALLER)

    def unit(self):
        """Settings of the section [Service] of the installed unit."""
        text = next(self.machine.path("/usr/lib/systemd/system").glob("natter.service")).read_text()
        return dict(re.findall(r"^(\w+)=(.*)$", text.split("[Service]")[1].split("[Install]")[0], re.MULTILINE))

    def start(self):
        unit = self.unit()
        folder = f"/var/lib/{unit['StateDirectory']}"
        if not self.machine.path(folder).exists():
            self.machine.run("install", "-d", "-o", unit["User"], "-g", unit["Group"], "-m", unit["StateDirectoryMode"], folder)
        name, value = unit["Environment"].replace("%S", "/var/lib").split("=", 1)
        secrets = self.machine.path(unit["EnvironmentFile"].lstrip("-")).read_text()
        lines = re.findall(r"^(NATTER\w+)=(.*)$", secrets, re.MULTILINE)
        env = {"PATH": "/usr/bin:/bin", name: value, **{name: value.strip("\"'") for name, value in lines}}
        drop = ["setpriv", f"--reuid={unit['User']}", f"--regid={unit['Group']}", "--clear-groups", "--no-new-privs", "--bounding-set=-all"]
        command = ["sh", "-c", f"umask {unit['UMask']}; exec {unit['ExecStart']}"]
        self.server = self.machine.start(*drop, *command, env=env, folder=folder)
        until(f"{BASE} answers", lambda: call(BASE, "/health")[0] == 200)

    def restart(self):
        stop(self.server)
        self.start()

    def write(self, path, text):
        """Writes as an editor does: owner and permissions stay."""
        with open(self.machine.path(path), "r+") as file:
            file.truncate()
            file.write(text)


def installs(it):
    it.dpkg("--install", it.package)
    users = it.machine.path("/etc/passwd").read_text()
    natter = next(line.split(":") for line in users.splitlines() if line.startswith("natter:"))
    expect(natter[5] == "/var/lib/natter" and natter[6].endswith("nologin"), f"the user is {natter}")
    expect(it.machine.owner(SECRETS) == (0, int(natter[3]), 0o640), f"{SECRETS} has {it.machine.owner(SECRETS)}")
    expect(it.machine.run("man", "--where", "natter").strip().endswith("/natter.1.gz"), "man finds no page")
    it.machine.run("bash", "-c", ". /usr/share/bash-completion/completions/natter && complete -p natter")


def secrets_apply_to_service_and_commands(it):
    """The commands of the docs act on the database of the service."""
    it.write(SECRETS, "# A comment\n\nNATTER__DATABASE__URL=\"sqlite:///var/lib/natter/company.db\"\nNATTER__MAIL__FROM='Chat <chat@example.org>'\n")
    it.start()
    password = generated_password(it.natterctl("admin", "create", "--email", EMAIL))
    expect(sign_in(BASE, EMAIL, password)["user"]["role"] == "admin", "the account is no administrator's")
    second = sign_up(BASE, "second@example.org")
    expect(second["user"]["role"] == "user", f"the second account: {second}")
    listed = it.natterctl("admin", "users", "list")
    expect(EMAIL in listed and "second@example.org" in listed, f"the accounts are {listed}")
    settings = it.natterctl("config")
    expect("company.db" in settings and "Chat <chat@example.org>" in settings, f"natterctl has other settings: {settings}")
    expect("server.port = 8080 " in settings, f"natterctl takes its caller's settings: {settings}")
    # Without the secrets no other database is created.
    alone = ["runuser", "-u", "natter", "--", "env", "NATTER__SERVER__DATA_DIR=/var/lib/natter", "natter", "--config", CONFIG]
    said = it.machine.run(*alone, "admin", "users", "list", ok=False)
    expect("There is no database at" in said, f"natter without secrets says {said}")
    return password


def natterctl_refuses(it):
    secrets = it.machine.path(SECRETS).read_text()
    for line, sentence in (("NATTER__MAIL__FROM=a\\nb", "contains a backslash"), ("export A=1", "is not NAME=value")):
        it.write(SECRETS, f"{secrets}{line}\n")
        expect(sentence in it.natterctl("config", ok=False), f"natterctl accepts {line}")
    it.write(SECRETS, secrets)
    as_other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "natterctl", "config"]
    expect("Run it as root" in it.machine.run(*as_other, ok=False), "natterctl runs for everybody")


def a_proxy_is_set_up(it):
    """Step 3 of the README. Only with the second setting the clients of the proxy have addresses of their own."""
    shipped = it.machine.path(CONFIG).read_text()
    changed = shipped.replace('# public_url = "https://chat.example.org"', f'public_url = "{BASE}"')
    changed = changed.replace('# trusted_proxies = ["127.0.0.1/32"]', 'trusted_proxies = ["127.0.0.1/32"]')
    expect(changed.count("\n") == shipped.count("\n") and changed.count("# ") == shipped.count("# ") - 2, "config.toml lacks the settings")
    it.write(CONFIG, changed)
    it.restart()
    checks = it.natterctl("doctor")
    expect("FAULT" not in checks and "public address: " in checks, f"natterctl doctor says {checks}")
    return changed


def backups_can_be_restored(it, password):
    archive = "/var/lib/natter/backups/now.tar"
    it.natterctl("backup", "create")
    it.natterctl("backup", "verify")
    it.natterctl("backup", archive)
    stop(it.server)
    said = it.natterctl("restore", archive, ok=False)
    expect("--yes" in said, f"restore overwrites without a question: {said}")
    it.natterctl("restore", archive, "--yes")
    it.natterctl("admin", "ledger", "verify")
    it.start()
    sign_in(BASE, EMAIL, password)
    strangers = it.machine.run("find", "/var/lib/natter", "!", "-user", "natter", "-o", "-perm", "/077", "!", "-type", "l")
    expect(not strangers, f"not the service's own: {strangers}")


def upgrades_keep_settings(it, config, password):
    secrets = it.machine.path(SECRETS).read_text()
    it.dpkg("--install", it.package)
    expect(it.machine.path(CONFIG).read_text() == config, "an upgrade replaces config.toml")
    expect(it.machine.path(SECRETS).read_text() == secrets, "an upgrade replaces the secrets")
    it.restart()
    sign_in(BASE, EMAIL, password)


def a_purge_keeps_data_and_secrets(it):
    stop(it.server)
    it.dpkg("--purge", "natter")
    for path, stays in ((CONFIG, False), ("/usr/bin/natter", False), (SECRETS, True), ("/var/lib/natter/company.db", True)):
        expect(it.machine.path(path).exists() == stays, f"{path} {'is removed' if stays else 'stays'}")


def main():
    program, cargo_deb = (str(Path(argument).resolve()) for argument in sys.argv[1:])
    enter()
    with tempfile.TemporaryDirectory() as folder:
        package = f"{folder}/natter.deb"
        build(cargo_deb, package, program)
        machine = Machine()
        machine.path("/natter.deb").write_bytes(Path(package).read_bytes())
    it = Installation(machine, "/natter.deb")
    installs(it)
    password = secrets_apply_to_service_and_commands(it)
    natterctl_refuses(it)
    config = a_proxy_is_set_up(it)
    backups_can_be_restored(it, password)
    upgrades_keep_settings(it, config, password)
    a_purge_keeps_data_and_secrets(it)
    print("The Debian package was installed, upgraded and purged.")


if __name__ == "__main__":
    main()
