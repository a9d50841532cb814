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

from pop3spec.liveness import Liveness, Look
from pop3spec.protocol.replies import Reply, ReplyReader
from pop3spec.protocol.sasl import directives
from pop3spec.sasl import Identity, Unanswerable, begin
from pop3spec.transcript import End, Exchange, Kind

# Those that let a client wait are not waited for long; of all others a busy machine may be slow.
PATIENT = "timeouts: {connect: 10s, login: 10s, reply: 5s}\n"
BRIEF = "timeouts: {connect: 2s, login: 1s, reply: 500ms}\n"
LETS_WAIT = (
    *("silence", "endless", "slow", "one-octet", "octet-a-second", "greeting-by", "never-greets"),
    *("stls-silence", "stls-half", "stls-endless", "tls-silence", "tls-half", "tls-endless"),
    *("bans", "dies", "million", "many", "huge", "twice", "garbage", "nul"),
)
# A run against any of them: seconds, and megabytes.
MOST_SECONDS = 60.0
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


def folder_for(name: str, place: Path) -> Path:
    for user in USERS:
        for part in ("new", "cur", "tmp"):
            (place / "mail" / user / part).mkdir(parents=True)
    (place / "few.yaml").write_text(SCENARIOS)
    (place / "profile.yaml").write_text(BRIEF if name.startswith(LETS_WAIT) else PATIENT)
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


ACCOUNTS = "\n".join(f"{user}:{CANARY}" for user in USERS[:2])


def run_against(name: str, place: Path) -> Ran:
    after = 14 if name in LIFETIMES else None
    folder_for(name, place)
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


# By the beginning of a name the exit code; of all others it is 1.
CODES = {
    4: (
        *("silence-at-greeting", "close-at-greeting", "reset-at-greeting", "endless-greeting"),
        *("garbage", "http", "smtp", "never-greets", "greeting-by-octets"),
    ),
    6: ("bans",),
    0: (
        *(
            "slows-down",
            "many-capabilities",
            "scram-billion",
            "scram-ten-million",
            "scram-empty-salt",
            "scram-no-utf8",
        ),
        *("stls", "tls-silence", "tls-half", "tls-endless", "tls-close", "certificate"),
    ),
}
# What the same code does as well against a server that is in the table, too, or takes long.
ELSEWHERE = (
    *("reset-at-greeting", "close-at-user", "reset-at-user", "close-at-pass", "reset-at-pass"),
    *("silence-at-list", "octet-a-second-in-retr", "silence-in-retr", "bans-politely"),
)
COMES_BACK = (
    *("restarts", "shuts-down", "one-at-a-time", "one-at-a-time-politely", "drops-beside-others"),
)
LIGHT = [
    name
    for name, each in BEHAVIOURS.items()
    if not (each.is_heavy or each.is_slow or name in (*ELSEWHERE, *COMES_BACK, "dies"))
]


def expected_code(name: str) -> int:
    return next((code for code, names in CODES.items() if name.startswith(names)), 1)


@pytest.mark.parametrize("name", LIGHT)
def test_a_run_ends_with_the_code_that_is_promised(name: str, tmp_path: Path) -> None:
    ran = run_against(name, tmp_path)

    assert ran.code == expected_code(name), ran.text


@pytest.mark.parametrize("name", COMES_BACK)
def test_what_a_server_that_comes_back_has_cut_is_tried_again(name: str, tmp_path: Path) -> None:
    ran = run_against(name, tmp_path)

    # What is cut twice in a row is not tried a third time, and accuses nobody either.
    assert set(ran.verdicts) <= {"pass", "not-applicable", "blocked"}, ran.details
    assert ran.verdicts["pass"] > 3 * ran.verdicts["blocked"]
    assert ran.code == 0


def test_a_server_that_dies_accuses_nobody_and_blocks_the_rest(tmp_path: Path) -> None:
    ran = run_against("dies", tmp_path)

    assert ran.code == 6
    assert set(ran.verdicts) <= {"pass", "not-applicable", "blocked"}
    assert any(detail.startswith("the target went away: ") for detail in ran.details)


@pytest.mark.parametrize(
    "name", ["endless-message", "endless-listing", "million-capabilities", "million-times-sasl"]
)
def test_a_flood_does_not_fill_the_memory(name: str, tmp_path: Path) -> None:
    place = folder_for(name, tmp_path)
    with hostile(name, place, place / "mail") as server, (place / "text").open("wb") as text:
        begun = time.monotonic()
        run = subprocess.Popen(
            [sys.executable, "-m", "pop3spec", "run", *words_for(place, server.words)],
            cwd=place,
            env={**os.environ, "PYTHONPATH": str(SOURCE), "POP3SPEC_ACCOUNT": ACCOUNTS},
            stdout=text,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
    ended = Ended(run.returncode, (place / "text").read_text())

    assert checked(place, ended, time.monotonic() - begun).code == 1
    assert usage.ru_maxrss / 1024 < MOST_MEGABYTES


# --- What is bounded, by itself ---


def looks(*problems: str) -> Callable[[], Look]:
    told = iter(problems)
    return lambda: Look(next(told, problems[-1]))


def lost_in_a_row(liveness: Liveness, times: int) -> None:
    for _ in range(times):
        liveness.ended("no reply in time")


def test_three_losses_in_a_row_and_a_login_that_fails_give_the_target_up() -> None:
    liveness = Liveness(looks("no connection"))
    lost_in_a_row(liveness, 2)
    before = liveness.why

    lost_in_a_row(liveness, 1)

    assert (before, liveness.why) == ("", "no connection")
    with liveness.busy() as gone:
        assert gone == "no connection"


def test_a_target_that_comes_back_in_time_is_not_given_up() -> None:
    liveness = Liveness(looks("no connection", "no connection", ""), patience=10.0)

    lost_in_a_row(liveness, 3)

    assert not liveness.why


def test_a_test_that_was_served_ends_the_row() -> None:
    liveness = Liveness(looks("no connection"))

    lost_in_a_row(liveness, 2)
    liveness.ended("")
    lost_in_a_row(liveness, 2)

    assert not liveness.why


def test_a_run_has_an_end() -> None:
    liveness = Liveness(most=0.0)

    with liveness.busy() as gone:
        assert "timeouts: {run: " in gone


def unanswered(word: str, seconds: float = 1.0) -> Exchange:
    return Exchange(Kind.COMMAND, sent=word.encode(), end=End.TIMEOUT, answered_at=seconds)


def test_a_command_without_a_reply_five_times_is_not_tried_until_one_comes() -> None:
    liveness = Liveness()
    liveness.told([unanswered("STAT\r\n")] * 5)
    assert liveness.unanswered({"NOOP", "STAT"}) == "STAT"
    assert not liveness.unanswered({"STAT"}, alone=True)

    [reply] = replies(b"+OK 0 0\r\n")
    liveness.told([Exchange(Kind.COMMAND, sent=b"STAT\r\n", reply=reply)])

    assert not liveness.unanswered({"STAT"})


def test_a_wait_of_minutes_counts_for_several() -> None:
    liveness = Liveness()

    liveness.told([unanswered("RETR 1\r\n", 120.0)] * 2, alone=True)

    assert liveness.unanswered({"RETR"}, alone=True) == "RETR"


def replies(octets: bytes) -> list[Reply]:
    reader = ReplyReader()
    reader.feed(octets)
    reply = reader.next_reply(multiline=False)
    return [] if reply is None else [reply]


def test_what_is_left_out_of_a_flood_are_whole_lines() -> None:
    reader = ReplyReader()
    reader.feed(b"0123456\r\n" * 1000)

    kept, left_out = reader.unread_within(500, 100)

    assert len(kept) + left_out == 9000
    assert set(kept.split(b"\r\n")) == {b"0123456", b""}


def test_a_challenge_of_blanks_is_read_in_no_time() -> None:
    begun = time.monotonic()

    assert directives(b"realm=" + b" " * 700_000 + b'"') is None
    assert time.monotonic() - begun < 1.0


@pytest.mark.parametrize(
    "more", [b",i=999999999", b",i=9999999", b",i=0", b",i=-1", b",i=", b",i=4096,x=\xff"]
)
@pytest.mark.parametrize("twist", [None, "unknown-extension"])
def test_scram_works_out_no_more_than_a_login_is_worth(more: bytes, twist: str | None) -> None:
    client = begin("SCRAM-SHA-256", Identity("alice", CANARY), twist)
    first = client.first()
    assert first is not None
    nonce = first.split(b"r=")[1].split(b",")[0]
    begun = time.monotonic()

    if not (twist and more.endswith(b"\xff")):  # who twists does not read what is behind
        with pytest.raises(Unanswerable):
            client.answer(b"r=" + nonce + b"more,s=c2FsdA==" + more)
    assert time.monotonic() - begun < 1.0


def test_scram_takes_no_salt_that_is_no_base64() -> None:
    client = begin("SCRAM-SHA-256", Identity("alice", CANARY), "unknown-extension")
    client.first()

    with pytest.raises(Unanswerable):
        client.answer(b"r=nonce,s=!,i=4096")
