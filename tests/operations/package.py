"""Compares the Debian package with what the docs promise: package.py PACKAGE [CARGO_DEB [PROGRAM]].

With the command CARGO_DEB the package is built first. Without PROGRAM a script stands in for it. Nothing is compiled. The command from PyPI is too old
for the manifest of the workspace, so it gets a manifest with the package's metadata only.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = "/usr/share/doc/natter"
# Permissions of the files outside of DOCS.
FILES = {
    "/usr/bin/natter": 0o755,
    "/usr/sbin/natterctl": 0o755,
    "/usr/lib/systemd/system/natter.service": 0o644,
    "/usr/lib/sysusers.d/natter.conf": 0o644,
    "/usr/share/man/man1/natter.1.gz": 0o644,
    "/usr/share/bash-completion/completions/natter": 0o644,
    "/usr/share/zsh/vendor-completions/_natter": 0o644,
    "/usr/share/fish/vendor_completions.d/natter.fish": 0o644,
    "/etc/natter/config.toml": 0o644,
}
# Created when the package is installed or the service starts (install.py).
CREATED = {"/etc/natter/environment", "/var/lib/natter"}
# Pages and files that operations.md and README.md promise.
PROMISED = [
    "README.md",
    "CHANGELOG.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "copyright",
    "config.toml",
    "docs/operations.md",
    "docs/command-line.md",
    "deploy/nginx/natter.conf",
    "deploy/nginx/natter-below-a-path.conf",
    "deploy/haproxy/haproxy.cfg",
    "deploy/prometheus/prometheus.yaml",
    "deploy/prometheus/alerts.yaml",
    "deploy/grafana/dashboards/natter.json",
]
STAND_IN = "#!/bin/sh\necho natter \"$@\"\n"


def build(cargo_deb, package, program=None):
    """Writes the package of the program, without its debug information."""
    with tempfile.TemporaryDirectory() as folder:
        stage = Path(folder)
        release = stage / "target/release"
        release.mkdir(parents=True)
        if program:
            subprocess.run(["strip", "-o", release / "natter", program], check=True)
        else:
            (release / "natter").write_text(STAND_IN)
            (release / "natter").chmod(0o755)
        subprocess.run([ROOT / "scripts/package-files", release / "natter"], check=True)
        for name in ("config.toml", "README.md", "CHANGELOG.md", "Cross.toml", "Dockerfile", "crates", "deploy", "docs", "openapi"):
            (stage / name).symlink_to(ROOT / name)
        for licence in ROOT.glob("LICENSE-*"):
            (stage / licence.name).symlink_to(licence)
        (stage / "src").mkdir()
        (stage / "src/main.rs").write_text("fn main() {}\n")
        (stage / "Cargo.toml").write_text(manifest())
        environment = {**os.environ, "CARGO_TARGET_DIR": str(stage / "target")}
        command = [cargo_deb, "--no-build", "--no-strip", "--fast", "--quiet", "--output", Path(package).resolve()]
        subprocess.run(command, cwd=stage, env=environment, check=True, stdout=subprocess.DEVNULL)


def manifest():
    """Manifest of a package without code, with the metadata of ours."""
    text = (ROOT / "Cargo.toml").read_text()
    shared = dict(re.findall(r'^(version|license) = "(.*)"$', text.split("[workspace.package]")[1], re.MULTILINE)[:2])
    start = text.index("[package.metadata.deb]")
    end = text.index("\n[dev-dependencies]", start)
    head = {"name": "natter", "version": shared["version"], "edition": "2021", "license": shared["license"]}
    fields = "".join(f'{name} = "{value}"\n' for name, value in head.items())
    return f'[package]\n{fields}description = "Chat"\n\n{text[start:end]}'


def contents(package):
    """Files of the package with their permissions and owners."""
    listed = subprocess.run(["dpkg-deb", "--contents", package], check=True, capture_output=True, text=True).stdout
    found = {}
    for line in listed.splitlines():
        mode, owner, _, _, _, path = line.split(maxsplit=5)
        if mode[0] == "d":
            continue
        bits = sum(0o400 >> place for place, letter in enumerate(mode[1:10]) if letter != "-")
        # Debian links /lib to /usr/lib.
        path = re.sub(r"^/lib/", "/usr/lib/", "/" + path.removeprefix("./"))
        found[path] = (bits if mode[0] == "-" else None, owner)
    return found


def differences(package):
    """Returns what differs from the promises, as sentences."""
    found = contents(package)
    for path, (mode, owner) in found.items():
        if owner not in ("0/0", "root/root"):
            yield f"{path} belongs to {owner}"
        wanted = 0o644 if path.startswith(f"{DOCS}/") else FILES.get(path)
        if wanted is None:
            yield f"{path} is not promised"
        elif mode != wanted:
            yield f"{path} has the permissions {mode and oct(mode)} instead of {oct(wanted)}"
    wanted = {*FILES, *(f"{DOCS}/{name}" for name in PROMISED)}
    yield from (f"{path} is missing" for path in sorted(wanted - found.keys()))
    yield from named(found)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["dpkg-deb", "--raw-extract", package, folder], check=True)
        yield from inside(Path(folder))


def named(found):
    """Returns the paths that the section about the package names and that nothing creates."""
    text = (ROOT / "docs/operations.md").read_text()
    section = text.split("\n## As a Debian package\n")[1].split("\n## ")[0]
    for path in sorted(set(re.findall(r"`(/(?:etc|usr|var)/[^` ]+)`", section))):
        if path not in found and path not in CREATED and not any(file.startswith(f"{path}/") for file in found):
            yield f"operations.md names {path}, which is not in the package"


def inside(folder):
    """Checks the control files, the unit, and the links between the pages."""
    control = (folder / "DEBIAN/control").read_text()
    for name in ("systemd", "ca-certificates"):
        if not re.search(rf"^Depends:.*\b{name}\b", control, re.MULTILINE):
            yield f"the package does not depend on {name}"
    conffiles = folder / "DEBIAN/conffiles"
    if not conffiles.exists() or conffiles.read_text().split() != ["/etc/natter/config.toml"]:
        yield "/etc/natter/config.toml is not the only conffile"
    for name in ("postinst", "prerm", "postrm"):
        script = folder / "DEBIAN" / name
        if subprocess.run(["sh", "-n", script], check=False).returncode:
            yield f"{name} is no shell script"
        if "natter.service" not in script.read_text() and name != "postrm":
            yield f"{name} does not manage natter.service"
    unit = next(folder.glob("**/systemd/system/natter.service"))
    if unit.read_bytes() != (ROOT / "deploy/systemd/natter.service").read_bytes():
        yield "natter.service differs from deploy/systemd"
    docs = folder / DOCS[1:]
    mentioned = re.findall(rf"{DOCS}/\S+\.\w+", "".join(file.read_text() for file in (unit, folder / "etc/natter/config.toml")))
    yield from (f"{path} is mentioned and not in the package" for path in mentioned if not (folder / path[1:]).exists())
    for page in sorted(docs.rglob("*.md")):
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if not re.match(r"[a-z]+:|#", link) and not (page.parent / link.split("#")[0]).exists():
                yield f"{page.relative_to(docs)} links to {link}, which is not in the package"


def main():
    package, *how = sys.argv[1:]
    if how:
        build(how[0], package, *how[1:])
    wrong = list(differences(package))
    if wrong:
        sys.exit("The Debian package differs from what the docs promise:\n" + "\n".join(wrong))
    print(f"The Debian package has {len(contents(package))} files, as promised.")


if __name__ == "__main__":
    main()
