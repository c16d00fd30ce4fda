"""The OpenAPI document driven by Schemathesis against the real program: run.py PROGRAM.

Every operation gets requests that fit its description and requests that don't, the same ones in every run. No answer may be a 5xx, or one that
the description does not have: its status, its headers, its type and its body are compared. A request that does not fit must be refused.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
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


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(program, port, folder):
    settings = {
        "SERVER__PORT": str(port),
        "SERVER__DATA_DIR": folder,
        # What is refused for being too fast would not be looked at; everything comes from one address.
        "RATE_LIMIT__ENABLED": "false",
        "METRICS__LISTEN": "none",
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


def main():
    program = str(Path(sys.argv[1]).resolve())
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        server = serve(program, port, folder)
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
        finally:
            server.terminate()
            server.wait(30)
        log = (Path(folder) / "log").read_text(errors="replace")
        if result != 0 or not lives or "panicked" in log:
            sys.exit(f"the program {'lives' if lives else 'has died'}; the last that it said:\n{log[-3000:]}")


if __name__ == "__main__":
    main()
