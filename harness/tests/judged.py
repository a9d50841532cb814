"""Runs of a few small scenarios against the reference server, and what they left behind."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from command import Ended, judge_here

from pop3spec.reference.server import ReferenceServer
from pop3spec.reference.stores import MemoryStore

STATE, ARGUMENT = "rfc1939-3-wrong-state", "rfc1939-5-no-argument"
PRACTICE, ROBUST = "practice-password-case", "robust-serves-next-client"
# What breaks STATE, and ARGUMENT, which is a SHOULD, where nobody has to log in.
STATES_FAULT, ARGUMENT_FAULT = "uidl-before-login", "argument-of-quit-ignored"

SCENARIOS = f"""\
about: a test
topic: state
scenarios:
  - id: early
    title: UIDL is refused before the login
    rules: [{STATE}]
    state: AUTHORIZATION
    steps:
      - send: UIDL
        expect: -ERR
  - id: argument
    title: QUIT takes no argument
    rules: [{ARGUMENT}]
    state: AUTHORIZATION
    steps:
      - send: QUIT now
        expect: -ERR
  - id: both
    title: Neither is taken
    rules: [{STATE}, {ARGUMENT}]
    state: AUTHORIZATION
    steps:
      - send: UIDL
      - session: second
        send: QUIT now
  - id: practice
    title: What no server does
    rules: [{PRACTICE}]
    state: AUTHORIZATION
    steps:
      - send: NOOP
        expect: +OK
  - id: robust
    title: What no server does, and has to
    rules: [{ROBUST}]
    state: AUTHORIZATION
    steps:
      - send: NOOP
        expect: +OK
  - id: blocked
    title: What wants an account
    rules: [{STATE}]
    state: TRANSACTION
    steps:
      - send: USER alice
        expect: -ERR
  - id: absent
    title: What wants a feature that is not there
    rules: [{STATE}]
    requires: [LANG]
    state: AUTHORIZATION
    steps:
      - send: UIDL
        expect: -ERR
"""


@dataclass(frozen=True)
class Run:
    """The end of a run and its reports; scenarios by the slug of their id."""

    ended: Ended
    reports: Path

    @property
    def results(self) -> dict[str, Any]:
        """What results.json says."""
        document: dict[str, Any] = json.loads((self.reports / "results.json").read_text())
        return document

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The scenarios of results.json."""
        return {each["id"].rpartition("::")[2]: each for each in self.results["scenarios"]}

    @property
    def junit(self) -> dict[str, str]:
        """What junit.xml makes of each: '' for a plain row, else tag and message."""
        found = {}
        for case in ET.parse(self.reports / "junit.xml").iter("testcase"):
            said = [child for child in case if child.tag in ("skipped", "failure", "error")]
            found[case.get("name", "")] = f"{said[0].tag}: {said[0].get('message')}" if said else ""
        return found


def judge(
    directory: Path,
    *words: str,
    faults: Sequence[str] = (),
    scenarios: str = SCENARIOS,
    reports: str = "reports",
) -> Run:
    """Judge the reference server by these scenarios."""
    (directory / "own.yaml").write_text(scenarios)
    paths = () if any(word.startswith("own.yaml") for word in words) else ("own.yaml",)
    with ReferenceServer(MemoryStore(), {}, faults=tuple(faults)) as server:
        address = f"127.0.0.1:{server.address[1]}"
        ended = judge_here(directory, address, *paths, *words, f"--report-dir={reports}")
    return Run(ended, directory / reports)
