"""Prints the summary of a test run: report.py FOLDER.

The folder contains the reports of the runners: JUnit's XML of nextest and of Node's test runner, Playwright's JSON. A file `NAME.N.xml` is the Nth
attempt of NAME. Prints the slowest tests, flaky tests with their first failure, and the numbers of passed and failed tests.
"""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

SLOWEST = 10
# Maximum length of a printed failure, in characters.
EXCERPT = 300


@dataclass
class Outcome:
    name: str
    seconds: float
    passed: bool
    # First failure of a flaky or failed test.
    failure: str | None


def excerpt(text):
    """Joins the first lines of a failure."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text or "")
    return " ".join(plain.split())[:EXCERPT]


def first_of(case, *tags):
    """Returns the first child with one of these names. (An element without children is false.)"""
    return next((child for child in map(case.find, tags) if child is not None), None)


def of_junit(path):
    step = path.name.split(".")[0]
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        for case in suite.findall("testcase"):
            if case.find("skipped") is not None:
                continue
            failed = first_of(case, "failure", "error")
            earlier = first_of(case, "flakyFailure", "flakyError")
            reason = failed if failed is not None else earlier
            said = None if reason is None else excerpt(reason.text or reason.get("message") or "it failed")
            # Tests of different crates may have the same name.
            name = f"{case.get('classname')} {case.get('name')}" if step == "unit" else case.get("name")
            yield Outcome(f"{step}: {name}", float(case.get("time") or 0), failed is None, said)


def of_playwright(path):
    def walk(suite, titles):
        for spec in suite.get("specs", []):
            for test in spec["tests"]:
                if test["status"] == "skipped":
                    continue
                results = test["results"]
                failure = next((excerpt(r["error"].get("message")) for r in results if r.get("error")), None)
                name = " › ".join([*titles, spec["title"]])
                seconds = max((r["duration"] for r in results), default=0) / 1000
                yield Outcome(f"browser: {name}", seconds, test["status"] in ("expected", "flaky"), failure)
        for inner in suite.get("suites", []):
            yield from walk(inner, [*titles, inner["title"]])

    for suite in json.loads(path.read_text())["suites"]:
        yield from walk(suite, [suite["title"]])


def read(path):
    """Reads a report; empty if its writer was interrupted."""
    try:
        return list(of_playwright(path) if path.suffix == ".json" else of_junit(path))
    except (ElementTree.ParseError, json.JSONDecodeError) as error:
        print(f"CUT OFF: {path.stem}: {error}")
        return []


def outcomes(folder):
    """Returns each test with the result of its last attempt."""
    found = {}
    for path in sorted(folder.iterdir()):
        for one in read(path):
            first = found.get(one.name)
            if first is not None and first.failure and one.passed:
                one.failure = first.failure
            found[one.name] = one
    return list(found.values())


def main():
    found = outcomes(Path(sys.argv[1]))
    if not found:
        return
    print(f"The {SLOWEST} slowest tests:")
    for one in sorted(found, key=lambda one: -one.seconds)[:SLOWEST]:
        print(f"{one.seconds:6.1f} s  {one.name}")
    for one in found:
        if one.passed and one.failure:
            print(f"FLAKY: {one.name}: {one.failure}")
    for one in found:
        if not one.passed:
            print(f"RED: {one.name}: {one.failure}")
    failed = sum(not one.passed for one in found)
    print(f"{len(found) - failed} passed, {failed} failed")


main()
