"""Runs against servers that nobody should meet: they end, and do not lie about what was tried."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from command import SOURCE, Ended, judge_here
from hostile import BEHAVIOURS, CANARY, USERS, hostile

from pop3spec.collected import home
from pop3spec.connection import MAX_LINE
from pop3spec.liveness import Liveness, Look
from pop3spec.protocol.replies import ReplyReader
from pop3spec.protocol.sasl import directives
from pop3spec.sasl import Identity, Unanswerable, begin
from pop3spec.transcript import End, Exchange, Kind

PROFILE = "timeouts: {connect: 500ms, login: 500ms, reply: 500ms}\n"
# A run against any of them: seconds, and megabytes.
MOST_SECONDS = 20.0
MOST_MEGABYTES = 400
MOST_OCTETS = 3_000_000

SCENARIOS = """\
about: a few of each kind
topic: state
scenarios:
  - id: before-the-login
    title: NOOP is refused before the login, {n}
    rules: [rfc1939-3-wrong-state]
    state: AUTHORIZATION
    steps:
      - send: NOOP
        expect: -ERR
    examples: [{id: one, n: once}, {id: two, n: twice}, {id: three, n: again}]
  - id: listings
    title: The listings agree, {n}
    rules: [rfc1939-5-stat-drop-listing]
    state: TRANSACTION
    steps:
      - send: STAT
        expect: +OK
      - send: LIST
        expect: +OK
      - send: UIDL
        expect: +OK
    examples: [{id: one, n: once}, {id: two, n: twice}, {id: three, n: again}]
  - id: message
    title: RETR brings the message, {n}
    rules: [rfc1939-5-retr]
    state: TRANSACTION
    maildrop: [plain-text]
    steps:
      - send: RETR 1
        expect: +OK
      - send: QUIT
        expect: +OK
    examples: [{id: one, n: once}, {id: two, n: twice}, {id: three, n: again}]
  - id: login
    title: A login by {mechanism} succeeds
    rules: [rfc5034-4-login]
    requires: ["SASL {mechanism}"]
    state: AUTHORIZATION
    steps:
      - authenticate: "{mechanism}"
        expect: +OK
    examples:
      - {id: scram, mechanism: SCRAM-SHA-256}
      - {id: digest, mechanism: DIGEST-MD5}
  - id: secured
    title: A session in TLS is served
    rules: [rfc2595-4-stls]
    transport: stls
    state: TRANSACTION
    steps:
      - send: STAT
        expect: +OK
"""
LIFETIMES = ("bans-by-reset", "bans-by-silence", "bans-politely", "dies", "restarts", "shuts-down")


@dataclass(frozen=True)
class Ran:
    """How a run ended."""

    code: int
    text: str
    seconds: float
    verdicts: Counter[str]
    details: tuple[str, ...]


def folder_for(place: Path) -> Path:
    for user in USERS:
        for part in ("new", "cur", "tmp"):
            (place / "mail" / user / part).mkdir(parents=True)
    (place / "few.yaml").write_text(SCENARIOS)
    (place / "profile.yaml").write_text(PROFILE)
    return place


def words_for(place: Path, words: list[str]) -> list[str]:
    return [
        *words,
        "few.yaml",
        "--target-profile=profile.yaml",
        f"--maildrop=maildir:{place / 'mail'}/{{user}}",
        "--report-dir=reports",
        "--transcripts=all",
    ]


ACCOUNTS = "\n".join(f"{user}:{CANARY}" for user in USERS)


def run_against(name: str, place: Path) -> Ran:
    after = 14 if name in LIFETIMES else None
    folder_for(place)
    with hostile(name, place, place / "mail", after) as server:
        begun = time.monotonic()
        ended = judge_here(place, *words_for(place, server.words), POP3SPEC_ACCOUNT=ACCOUNTS)
        seconds = time.monotonic() - begun
    return checked(place, ended, seconds)


def checked(place: Path, ended: Ended, seconds: float) -> Ran:
    """What holds of every run."""
    files = [file for file in (place / "reports").rglob("*") if file.is_file()]
    assert not any(CANARY.encode() in file.read_bytes() for file in files)
    assert CANARY not in ended.text
    assert "Traceback" not in ended.text
    assert "INTERNALERROR" not in ended.text
    assert sum(file.stat().st_size for file in files) < MOST_OCTETS
    rows = []
    if (place / "reports" / "results.json").exists():
        rows = json.loads((place / "reports" / "results.json").read_text())["scenarios"]
    verdicts = Counter(row["verdict"] for row in rows)
    assert "error" not in verdicts, ended.text
    assert seconds < MOST_SECONDS
    return Ran(ended.code, ended.text, seconds, verdicts, tuple(row["detail"] for row in rows))


@pytest.mark.parametrize("name", [name for name, each in BEHAVIOURS.items() if not each.is_heavy])
def test_a_run_ends_and_says_how(name: str, tmp_path: Path) -> None:
    ran = run_against(name, tmp_path)
    print("RAN", name, ran.code, f"{ran.seconds:.1f}", dict(ran.verdicts))
    import json as j; print([(r["id"], round(r["seconds"],1), r["detail"][:60]) for r in j.loads((tmp_path / "reports" / "results.json").read_text())["scenarios"]] if ran.verdicts else "")
