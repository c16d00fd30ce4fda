"""Runs Autobahn's cases against our WebSocket stack: run.py PROGRAM, which is examples/ws_echo.rs of the crate realtime.

Every case passes, or exceptions.txt gives the reason why it fails or is skipped. A listed case that passes is an error, as is an unlisted case that fails.
"""

import asyncio
import fnmatch
import itertools
import socket
import subprocess
import sys
import time
from pathlib import Path

from kosoku import FailureError, run_fuzzingclient
from kosoku.cases import CASES

# Cases that wait run in parallel.
SIDE_BY_SIDE = 16
# Autobahn's verdicts that count as a pass.
GOOD = {"OK", "INFORMATIONAL"}


def exceptions():
    """Reads lines such as `SKIP 12.3.* the reason`."""
    found = {}
    for line in Path(__file__).with_name("exceptions.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            verdict, case, reason = line.split(maxsplit=2)
            # A pattern without a match stays and is reported.
            for fitting in fnmatch.filter(CASES, case) or [case]:
                found.setdefault(verdict, {})[fitting] = reason
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_listening(port, server):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit("the echo server does not listen")


async def run(address, skipped):
    chosen = [case for case in CASES if case not in skipped]
    try:
        results = await run_fuzzingclient(address, chosen, None, concurrency=SIDE_BY_SIDE)
    except FailureError as failure:
        results = failure.results
    return len(chosen), results


def main():
    known = exceptions()
    skipped, failing = known.get("SKIP", {}), known.get("FAILS", {})
    unknown = (skipped.keys() | failing.keys()) - CASES.keys()
    port = free_port()
    address = f"127.0.0.1:{port}"
    server = subprocess.Popen([sys.argv[1], address])
    begun = time.monotonic()
    try:
        wait_until_listening(port, server)
        count, results = asyncio.run(run(f"ws://{address}", skipped))
        died = server.poll() is not None
    finally:
        server.kill()
        server.wait()
    bad = {
        result.case_id: result
        for result in results
        if result.behavior.value not in GOOD or result.behavior_close.value not in GOOD
    }
    wrong = [f"{case} is in exceptions.txt and no case" for case in sorted(unknown)]
    wrong += [f"{case} passes, and exceptions.txt says it fails" for case in failing if case not in bad]
    wrong += [
        f"{case} {result.behavior.value}, close {result.behavior_close.value}: {result.result} {result.result_close}"
        for case, result in bad.items()
        if case not in failing
    ]
    if died:
        wrong.append("the echo server ended by itself")
    for line in wrong:
        print(line)
    for reason, cases in itertools.groupby(sorted(failing.keys() & bad.keys()), key=failing.get):
        print(f"explained: {', '.join(cases)}: {reason}")
    slowest = sorted(results, key=lambda result: result.duration, reverse=True)[:3]
    print("slowest:", ", ".join(f"{result.case_id} {result.duration / 1000:.1f} s" for result in slowest))
    print(
        f"Autobahn: {count} cases in {time.monotonic() - begun:.0f} s, {count - len(bad)} pass, "
        f"{len(bad)} do not, {len(skipped)} are not run"
    )
    sys.exit(1 if wrong else 0)


main()
