"""The OpenAPI document driven by Schemathesis against the real program: run.py PROGRAM.

Every operation gets requests that fit its description and requests that don't, the same ones in every run. No answer may be a 5xx, or one that
the description does not have: its status, its headers, its type and its body are compared. A request that does not fit must be refused.
Whatever was asked, the metrics have series for what the program knows and for nothing that callers made up.
"""

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

# Requests for each operation; beside them come those that go to the edges of its schema.
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "12")
# With 12 examples a run takes a third of it on two idle cores.
PATIENCE = 480
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,ignored_auth,unsupported_method,allow_header_conformance"
)
# What is no request with an answer: streams, and the way to another site.
APART = ("openWebsocket", "streamEvents")

# Routes that the description does not have: the app, files, health, what is none.
OTHER_ROUTES = 40
# An id, or what was made of one.
UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(program, port, metrics, folder):
    settings = {
        "SERVER__PORT": str(port),
        "SERVER__DATA_DIR": folder,
        # What is refused for being too fast would not be looked at; everything comes from one address.
        "RATE_LIMIT__ENABLED": "false",
        "METRICS__LISTEN": f"127.0.0.1:{metrics}",
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NATTER")}
    environment = {**clean, **{f"NATTER__{name}": value for name, value in settings.items()}, "RUST_LOG": "warn"}
    log = open(Path(folder) / "log", "wb")
    server = subprocess.Popen([program, "serve"], env=environment, cwd=folder, stdout=log, stderr=log)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return server
        except OSError:
            time.sleep(0.05)
    sys.exit("natter does not listen")


def read(url):
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read().decode()


def grown(base, metrics):
    """What stands in the metrics that should not."""
    paths = len(json.loads(read(f"{base}/openapi.json"))["paths"])
    series = [line for line in read(f"http://127.0.0.1:{metrics}/metrics").splitlines() if line and line[0] != "#"]
    routes = {route for line in series for route in re.findall(r'route="([^"]*)"', line)}
    print(f"{len(series)} series after the fuzz, {len(routes)} routes of {paths} described")
    wrong = [line for line in series if UUID.search(line)]
    if len(routes) > paths + OTHER_ROUTES:
        wrong.append(f"{len(routes)} routes: {sorted(routes)}")
    return wrong


def main():
    program = str(Path(sys.argv[1]).resolve())
    port, metrics = free_port(), free_port()
    base = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        server = serve(program, port, metrics, folder)
        command = [Path(sys.executable).with_name("schemathesis")]
        command += ["--config-file", str(Path(__file__).with_name("schemathesis.toml")), "run", f"{base}/openapi.json"]
        command += ["--checks", CHECKS, "--phases", "coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", "20261120"]
        command += ["--no-shrink", "--continue-on-failure", "--request-timeout", "20"]
        command += [part for name in APART for part in ("--exclude-operation-id", name)]
        environment = {
            **os.environ,
            "FUZZ_BASE": base,
            "SCHEMATHESIS_HOOKS": str(Path(__file__).with_name("hooks.py")),
        }
        try:
            result = subprocess.run(command, env=environment, cwd=folder, check=False, timeout=PATIENCE).returncode
            lives = server.poll() is None
            wrong = grown(base, metrics) if lives else []
        finally:
            server.terminate()
            server.wait(30)
        log = (Path(folder) / "log").read_text(errors="replace")
        if result != 0 or not lives or "panicked" in log:
            sys.exit(f"the program {'lives' if lives else 'has died'}; the last that it said:\n{log[-3000:]}")
        if wrong:
            sys.exit("the metrics grow with what callers make up:\n" + "\n".join(wrong[:20]))


if __name__ == "__main__":
    main()
