"""Runs Schemathesis with the OpenAPI document against the real program: run.py PROGRAM.

Every operation gets valid and invalid requests, the same ones in every run. No response may be a 5xx or undocumented in status, headers, media type or
body, and an invalid request must be rejected. The metrics must not have series for values that callers have made up.
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

# Random requests per operation, in addition to the boundary values of its schema.
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "12")
# Timeout in seconds. With 12 examples a run takes a third of it on two idle cores.
PATIENCE = 480
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,ignored_auth,unsupported_method,allow_header_conformance"
)
# Operations without a single response: streams.
APART = ("openWebsocket", "streamEvents")

# Number of routes that the document does not contain: app, files, health, unknown routes.
OTHER_ROUTES = 40
# An id, or a mutation of one.
UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(program, port, metrics, folder):
    settings = {
        "SERVER__PORT": str(port),
        "SERVER__DATA_DIR": folder,
        # Disables rate limits: all requests come from one address, and rejected ones would not be tested.
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
    """Returns the unexpected series of the metrics."""
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
            sys.exit(f"the program {'is running' if lives else 'has exited'}; end of its log:\n{log[-3000:]}")
        if wrong:
            sys.exit("the metrics have series for values of callers:\n" + "\n".join(wrong[:20]))


if __name__ == "__main__":
    main()
