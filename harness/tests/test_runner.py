"""Scenarios against the reference server and scripted ones: each step, each expectation."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from scripted import HELLO, LOGIN, Line, Move, Scripted, close, tell

from pop3spec.accounts import Mailbox
from pop3spec.liveness import Liveness, Look
from pop3spec.maildrop import DoorError
from pop3spec.masking import masker_for
from pop3spec.probe import Observed
from pop3spec.protocol.apop import apop_digest
from pop3spec.reference.door import MemoryDoor
from pop3spec.reference.server import ReferenceServer
from pop3spec.reference.stores import MemoryStore
from pop3spec.rulebook.rules import rulebook
from pop3spec.runner import Judge, attempt
from pop3spec.scenario import Scenario, load_scenarios
from pop3spec.schedule import Attempt
from pop3spec.target import Account, Address, Target, Timeouts, Transport
from pop3spec.transcript import End, Exchange, Kind
from pop3spec.verdict import Verdict

PASSWORD = "only-a-canary"
ALICE = Account("alice", PASSWORD)
FEATURES = frozenset({"TOP", "UIDL", "APOP", "CAPA"})


@dataclass
class Place:
    """A reference server with one account, and what runs scenarios against it."""

    server: ReferenceServer
    store: MemoryStore
    mailbox: Mailbox = field(default_factory=lambda: Mailbox(ALICE))
    changes: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.door = MemoryDoor(self.store)

    @property
    def judge(self) -> Judge:
        target = Target(
            Address(*self.server.address),
            (ALICE,),
            timeouts=Timeouts(5.0, 5.0, 5.0),
            allow_cleartext=True,
            max_failed_logins=None,
        )
        values: dict[str, Any] = {
            "observed": Observed(features=FEATURES),
            "door": self.door,
            "keep_transcripts": True,
            "back_off": (0.01,) * 5,
        }
        return replace(
            Judge(target, Observed(), None, masker_for((ALICE,))), **(values | self.changes)
        )


@pytest.fixture
def place() -> Iterator[Place]:
    store = MemoryStore()
    with ReferenceServer(store, {"alice": PASSWORD}) as server:
        yield Place(server, store)


Run = Callable[..., Attempt]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Scenario]:
    """A scenario from its keys behind `id`; the rule is NOOP's where none is given."""

    def write(keys: str) -> Scenario:
        lines = ["about: x", "scenarios:", "  - id: it", "    title: It works"]
        if "rules:" not in keys:
            lines.append("    rules: [rfc1939-5-noop]")
        if "state:" not in keys:
            lines.append("    state: TRANSACTION")
        lines += [f"    {line}" for line in keys.strip("\n").splitlines()]
        path = tmp_path / "it.yaml"
        path.write_text("\n".join(lines) + "\n")
        return load_scenarios(path, rulebook().keys(), "it.yaml").scenarios[0]

    return write


@pytest.fixture
def run(place: Place, write: Callable[[str], Scenario]) -> Run:
    def run(keys: str, mailbox: Mailbox | None = place.mailbox, alone: bool = False) -> Attempt:
        return attempt(place.judge, write(keys), Transport.PLAIN, mailbox, alone=alone)

    return run


def play(
    keys: str,
    write: Callable[[str], Scenario],
    *scripts: Sequence[Move],
    reply: float = 5.0,
    alone: bool = False,
    **changes: object,
) -> Attempt:
    """A scenario against scripted servers, without a door."""
    with Scripted(*scripts) as server:
        target = server.target(reply=reply)
        judge = Judge(target, Observed(features=FEATURES), None, masker_for(target.accounts))
        values: dict[str, Any] = {"keep_transcripts": True, "back_off": (0.01,) * 3}
        judge = replace(judge, **(values | changes))
        mailbox = Mailbox(target.accounts[0])
        return attempt(judge, write(keys), Transport.PLAIN, mailbox, alone=alone)


# --- What is observed


def test_what_comes_back_is_observed_and_not_judged(run: Run) -> None:
    steps = """
  - send: LAST
    observe: last-command
  - send-bytes: "NOOP\\nNOOP\\n"
    observe: {id: bare-line-feed, of: two lines}
"""

    outcome = run(f"steps:{steps}").outcome

    assert outcome.verdict is Verdict.PASS
    assert ("last-command", "-ERR") in outcome.observations
    assert ("bare-line-feed", "two lines: +OK, +OK") in outcome.observations


def test_a_secret_in_an_observation_is_masked(write: Callable[[str], Scenario]) -> None:
    script = (HELLO, *LOGIN, "STAT", b"+OK 1 30 of correct-horse\r\n", "QUIT", b"+OK\r\n", close)

    outcome = play("steps: [{send: STAT}]", write, script).outcome

    assert ("text-behind-drop-listing", "of ***") in outcome.observations


def test_a_filling_over_which_a_login_was_lost_is_taken_out_before_others_look(
    write: Callable[[str], Scenario],
) -> None:
    store, left = MemoryStore(), []
    door = MemoryDoor(store)
    drops = (HELLO, "USER alice", b"+OK\r\n", "PASS correct-horse", close)

    def look() -> Look:
        left.append(door.contents("alice"))
        return Look()

    liveness = Liveness(look)
    for _ in range(3):
        attempt = play(
            "maildrop: [plain-text]\nsteps: [{send: NOOP}]",
            write,
            *[drops] * 4,
            door=door,
            liveness=liveness,
        )
        assert attempt.outcome.verdict is Verdict.BLOCKED

    assert left == [[]]


# --- What can be expected, each once met and once not

MAILDROP = """
maildrop:
  - |
    Subject: dots

    .one
    ..two
  - plain-text
"""

EXPECTED = {
    "a status": ("send: NOOP", "+OK", "-ERR", "-ERR", "'+OK"),
    "any reply": ("send: XYZZ", "reply", "+OK", "+OK", "'-ERR"),
    "text": (
        "send: LIST 1",
        '{status: +OK, text: "1 30"}',
        '{status: +OK, text: "1 31"}',
        "the text 1 31",
        "'1 30'",
    ),
    "lines": (
        "send: RETR 1",
        '{status: +OK, lines: "Subject: dots\\n\\n.one\\n..two\\n"}',
        '{status: +OK, lines: "Subject: dots\\n\\n.one\\n.two\\n"}',
        "line 4: '.two'",
        "'..two'",
    ),
    "fewer lines": (
        "send: LIST",
        '{status: +OK, contains-lines: "1 30\\n"}',
        '{status: +OK, lines: "1 30\\n"}',
        "1 lines",
        "line 2: '2 ",
    ),
    "more lines": (
        "send: TOP 1 0",
        '{status: +OK, lines: "Subject: dots\\n\\n"}',
        '{status: +OK, lines: "Subject: dots\\n\\n.one\\n"}',
        "line 3: '.one'",
        "the end of the reply",
    ),
    "a run of lines": (
        "send: RETR 1",
        '{status: +OK, contains-lines: ".one\\n..two\\n"}',
        '{status: +OK, contains-lines: ".one\\n.two\\n"}',
        "a line '.two'",
        "4 lines without it",
    ),
    "octets": (
        "send: RETR 1",
        "{status: +OK, octets: 30}",
        "{status: +OK, octets: 29}",
        "29 octets",
        "30 octets",
    ),
    "octets and lines": (
        "send: RETR 1",
        '{status: +OK, octets: 30, contains-lines: ".one\\n"}',
        '{status: +OK, octets: 30, contains-lines: "one\\n"}',
        "a line 'one'",
        "4 lines without it",
    ),
    "a message": (
        "send: RETR 2",
        "{status: +OK, message: plain-text}",
        "{status: +OK, message: plain-text-2}",
        "line 4: 'Subject: Lunch'",
        "'Subject: A letter'",
    ),
    "a message by its text": (
        "send: RETR 1",
        '{status: +OK, message: "Subject: dots\\n\\n.one\\n..two\\n"}',
        '{status: +OK, message: "Subject: dots\\n\\n.one\\n"}',
        "3 lines",
        "line 4: '..two'",
    ),
    "a close": ("send: QUIT", "{status: +OK, closed: yes}", "-ERR", "-ERR", "'+OK goodbye"),
    "no close": (
        "send: NOOP",
        "+OK",
        "{status: +OK, closed: yes}",
        "the close of the connection",
        "a connection that is still open",
    ),
    "silence": (
        'send-bytes: "NO"',
        "{silence: 50ms}",
        "{silence: 50ms, rule: rfc1939-3-nothing-unasked}",
        "",
        "",
    ),
    "a reply or a close": ("send: NOOP", "reply-or-closed", "closed", "the close", "still open"),
}


@pytest.mark.parametrize("title", EXPECTED)
def test_an_expectation_that_is_met_passes(title: str, run: Run) -> None:
    act, met, *_ = EXPECTED[title]

    outcome = run(f"{MAILDROP}steps:\n  - {act}\n    expect: {met}").outcome

    assert outcome.verdict is Verdict.PASS, outcome.detail
    assert "rfc1939-5-noop" in outcome.exercised


@pytest.mark.parametrize("title", [title for title, row in EXPECTED.items() if row[3]])
def test_an_expectation_that_is_not_met_is_a_finding_with_its_contrast(
    title: str, place: Place, run: Run
) -> None:
    act, _, unmet, expected, got = EXPECTED[title]
    place.changes["target"] = replace(place.judge.target, timeouts=Timeouts(5.0, 5.0, 0.3))

    outcome = run(f"{MAILDROP}steps:\n  - send: NOOP\n  - {act}\n    expect: {unmet}").outcome

    assert outcome.verdict is Verdict.FAIL
    (finding,) = outcome.findings
    assert finding.rule == "rfc1939-5-noop"
    assert finding.expected.startswith(expected)
    assert got in finding.got
    # The step's line: behind the head, the maildrop, and the step before it.
    assert finding.where.startswith("it.yaml:")
    assert finding.command == act.split(": ", 1)[1].strip('"')
    assert outcome.detail.startswith("rfc1939-5-noop: ")
    assert any("C: NOOP" in line for line in outcome.transcript)


def test_a_step_names_the_rule_that_it_breaks_and_its_line(run: Run) -> None:
    outcome = run(
        """
rules: [rfc1939-5-noop, rfc1939-5-rset]
steps:
  - send: NOOP
    expect: +OK
  - send: RSET
    expect: {status: -ERR, rule: rfc1939-5-rset}
  - send: XYZZ
"""
    ).outcome

    (finding,) = outcome.findings
    assert finding.rule == "rfc1939-5-rset"
    assert finding.where.startswith("it.yaml:10:")
    assert {"rfc1939-5-noop", "rfc1939-5-rset"} <= outcome.exercised
    # What is not met ends the scenario.
    assert not any("XYZZ" in line for line in outcome.transcript)


# --- Steps


def test_what_a_step_saves_is_filled_in_later(run: Run) -> None:
    outcome = run(
        """
maildrop: [plain-text, plain-text-2]
steps:
  - send: UIDL 2
    expect: {status: +OK, text: "{number} {unique-id}"}
    save: [number, unique-id]
  - send: LIST {number}
    expect: {status: +OK, text: "{number} {size}"}
    save: [size]
  - send: RETR {number}
    expect: {status: +OK, octets: "{size}", message: plain-text-2}
  - send: QUIT
    expect: +OK
  - session: second
    send: UIDL {number}
    expect: {status: +OK, text: "2 {unique-id}"}
"""
    ).outcome

    assert outcome.verdict is Verdict.PASS, outcome.detail


def test_credentials_are_filled_in_and_never_written(run: Run) -> None:
    outcome = run(
        """
state: AUTHORIZATION
failed-logins: 1
steps:
  - send: USER {user}
    expect: +OK
  - send: PASS not-{password}
    expect: -ERR
  - send: USER {b64:{user}:{password}}
    expect: +OK
  - send: APOP {user} {apop}
    expect: +OK
  - send: STAT
    expect: {status: +OK, text: never}
"""
    ).outcome

    (finding,) = outcome.findings
    text = "\n".join((*outcome.transcript, outcome.detail, finding.expected, finding.got))
    assert finding.command == "STAT"
    assert PASSWORD not in text
    assert "canary" not in text
    assert "USER alice" in text
    assert "APOP alice ***" in text


@pytest.mark.parametrize(
    "name, account, reason",
    [
        ("password-other-case", Account("alice", "12 34"), "password has no letter"),
        ("user-other-case", Account("1000", "secret"), "name has no letter"),
        ("password-of-another", ALICE, "a second account"),
    ],
)
def test_wrong_credentials_that_the_account_has_not_are_not_sent(
    place: Place, run: Run, name: str, account: Account, reason: str
) -> None:
    keys = "state: AUTHORIZATION\nfailed-logins: 1\nsteps:\n  - send: USER {user}\n"
    outcome = run(f"{keys}  - send: PASS {{{name}}}", Mailbox(account)).outcome

    assert outcome.verdict is Verdict.BLOCKED
    assert reason in outcome.detail
    assert not outcome.transcript


def test_wrong_credentials_that_are_near_the_right_ones_are_refused_and_never_written(
    place: Place, run: Run
) -> None:
    accounts = (ALICE, Account("bob", "the-secret-of-bob"))
    place.changes["target"] = replace(place.judge.target, accounts=accounts)

    keys = "state: AUTHORIZATION\nfailed-logins: 2\nsteps:\n"
    for name in ("password-other-case", "password-of-another"):
        keys += f"  - send: USER {{user}}\n  - send: PASS {{{name}}}\n    expect: -ERR\n"
    outcome = run(keys).outcome

    text = "\n".join(outcome.transcript)
    assert outcome.verdict is Verdict.PASS, outcome.detail
    assert text.count("PASS ***") == 2
    assert PASSWORD.swapcase() not in text
    assert "the-secret-of-bob" not in text


@pytest.mark.parametrize("words", ["PASS {password}", "APOP {user} {apop-without-timestamp}"])
def test_what_tells_a_password_is_withheld_where_it_would_go_in_the_clear(
    place: Place, run: Run, words: str
) -> None:
    place.changes["target"] = replace(place.judge.target, allow_cleartext=False)

    keys = "state: AUTHORIZATION\nfailed-logins: 1\nsteps:\n  - send: USER {user}\n  - send: "
    outcome = run(keys + words).outcome

    assert outcome.verdict is Verdict.BLOCKED
    assert "--allow-cleartext" in outcome.detail
    assert not any(words.split()[0] in line for line in outcome.transcript)


def test_a_digest_tells_the_password_where_the_greeting_has_no_timestamp(
    write: Callable[[str], Scenario],
) -> None:
    keys = "state: AUTHORIZATION\nsteps:\n  - send: APOP {user} {apop}"

    with Scripted([HELLO]) as server:
        target = replace(server.target(), allow_cleartext=False)
        judge = Judge(target, Observed(), None, masker_for(target.accounts))
        mailbox = Mailbox(target.accounts[0])
        outcome = attempt(judge, write(keys), Transport.PLAIN, mailbox, alone=False).outcome

    assert outcome.verdict is Verdict.BLOCKED
    assert "--allow-cleartext" in outcome.detail


REPLAY = """
state: AUTHORIZATION
failed-logins: 1
steps:
  - send: APOP {user} {apop}
    expect: +OK
  - send: QUIT
  - session: second
    send: APOP {user} {apop-of-first-session}
    expect: -ERR
"""


def test_a_digest_is_replayed_on_a_connection_with_another_timestamp(run: Run) -> None:
    outcome = run(REPLAY).outcome

    assert outcome.verdict is Verdict.PASS, outcome.detail


def test_a_digest_that_is_right_for_both_greetings_is_not_replayed(
    write: Callable[[str], Scenario],
) -> None:
    greeting = b"+OK <1@host>\r\n"
    digest = apop_digest(b"<1@host>", "correct-horse")
    first: list[Move] = [greeting, f"APOP alice {digest}", b"+OK\r\n", "QUIT", b"+OK\r\n", close]

    outcome = play(REPLAY, write, first, [greeting]).outcome

    assert outcome.verdict is Verdict.BLOCKED
    assert "one timestamp" in outcome.detail


def test_octets_go_out_as_they_stand_and_cut_as_asked(place: Place, run: Run) -> None:
    outcome = run(
        r"""
steps:
  - send-bytes: "NOOP\r\nSTAT\r\nNO"
    split: [1, 5, 6]
    expect: +OK
  - expect: +OK
  - expect: {silence: 20ms}
  - send-bytes: "OP\r\n"
    expect: +OK
"""
    ).outcome

    assert outcome.verdict is Verdict.PASS, outcome.detail
    assert [line.split("C: ")[1] for line in outcome.transcript if "C: " in line] == [
        "USER alice\\r\\n",
        "PASS ***\\r\\n",
        "NOOP\\r\\n",
        "STAT\\r\\n",
        "NOOP\\r\\n",
        "QUIT\\r\\n",
    ]


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_the_client_closes_as_asked_and_the_mail_stays(how: str, run: Run, place: Place) -> None:
    outcome = run(
        f"""
maildrop: [plain-text]
steps:
  - send: DELE 1
    expect: +OK
  - close: {how}
  - session: second
    send: STAT
    expect: {{status: +OK, text: "1 {{octets}}"}}
    save: [octets]
"""
    ).outcome

    assert outcome.verdict is Verdict.PASS, outcome.detail
    # The server may hold the lock of the first one for a moment, and refuse the second.
    first, *_, second = outcome.facts
    assert (first.ended, first.marked) == ("dropped", (1,))
    assert (second.ended, second.counts["STAT"]) == ("quit", 1)
    assert first.filling == second.filling


def test_a_delivery_in_mid_session_changes_the_filling(run: Run, place: Place) -> None:
    before = place.mailbox.filling
    outcome = run(
        """
maildrop: [plain-text]
steps:
  - send: STAT
  - deliver: [plain-text-2]
  - send: STAT
    expect: {status: +OK, text: "1 {octets}"}
    save: [octets]
  - send: QUIT
  - session: second
    send: RETR 2
    expect: {status: +OK, message: plain-text-2}
"""
    ).outcome

    assert outcome.verdict is Verdict.PASS, outcome.detail
    assert place.mailbox.filling == before + 2
    assert [facts.may_change for facts in outcome.facts] == [True, False]


def test_sessions_side_by_side_are_told_apart(place: Place, run: Run) -> None:
    outcome = run(
        """
state: AUTHORIZATION
steps:
  - send: CAPA
  - session: second
    send: XYZZ
    expect: -ERR
  - send: QUIT
    expect: {status: +OK, closed: yes}
"""
    ).outcome

    assert outcome.verdict is Verdict.PASS, outcome.detail
    assert any(line.split()[1] == "first" for line in outcome.transcript)
    assert any(line.split()[1] == "second" for line in outcome.transcript)


def test_the_filling_is_as_the_scenario_says(run: Run, place: Place) -> None:
    count = 'steps:\n  - send: STAT\n    expect: {{status: +OK, text: "{} {{o}}"}}\n    save: [o]'

    assert run("maildrop: []\n" + count.format(0)).outcome.verdict is Verdict.PASS
    assert run("maildrop: [dots, big]\n" + count.format(2)).outcome.verdict is Verdict.PASS
    # One that does not care gets one message, so that nothing depends on what ran before.
    assert run(count.format(1)).outcome.verdict is Verdict.PASS


# --- What is not tried


def test_a_feature_that_is_not_offered_makes_it_not_applicable(run: Run) -> None:
    attempt = run("requires: [UIDL, STLS]\nsteps:\n  - send: NOOP")

    assert attempt.outcome.verdict is Verdict.NOT_APPLICABLE
    assert attempt.outcome.detail == "STLS is not offered"
    assert attempt.outcome.exercised == frozenset()


class Broken:
    """A door that cannot do its job."""

    name = "broken"
    adds_headers = False

    def __init__(self, fills: bool = False) -> None:
        self._fills = fills

    def refuses(self, message: bytes) -> str:
        return ""

    def fill(self, user: str, messages: Sequence[bytes]) -> None:
        if not self._fills:
            raise DoorError("the disk is full")

    def add(self, user: str, message: bytes) -> None:
        raise DoorError("the disk is full now")

    def clear(self, user: str) -> None: ...

    def contents(self, user: str) -> list[bytes]:
        return []


class Picky(Broken):
    """A door that carries nothing."""

    def refuses(self, message: bytes) -> str:
        return "it is too long"


FILLED = "maildrop: [plain-text]\nsteps:\n  - send: NOOP\n    expect: +OK"
DELIVERS = "maildrop: []\nsteps:\n  - send: NOOP\n  - deliver: [plain-text]"


@pytest.mark.parametrize(
    ("keys", "changes", "why"),
    [
        (FILLED, {"door": None}, "no door to fill the maildrop"),
        (FILLED, {"door": Broken()}, "the disk is full"),
        (DELIVERS, {"door": Broken(fills=True)}, "the disk is full now"),
        (FILLED, {"door": Picky()}, "the door cannot carry a message of the filling: it is too"),
        (DELIVERS, {"door": Picky()}, "the door cannot carry a message of the filling: it is too"),
        (FILLED, {"observed": Observed(door_problem="no, not there")}, "no, not there"),
        (FILLED, {"observed": Observed(login_problem="all are refused")}, "all are refused"),
    ],
)
def test_what_a_mailbox_lacks_blocks(
    keys: str, changes: dict[str, object], why: str, place: Place, run: Run
) -> None:
    place.changes |= changes

    outcome = run(keys).outcome

    assert outcome.verdict is Verdict.BLOCKED
    assert why in outcome.detail


def test_a_filling_that_fails_is_still_cleared_in_the_end(place: Place, run: Run) -> None:
    place.changes["door"] = Broken()
    run(FILLED)

    assert place.mailbox.filling == 1


def test_without_an_account_only_what_needs_none_runs(run: Run) -> None:
    free = "state: AUTHORIZATION\nsteps:\n  - send: XYZZ\n    expect: -ERR"

    blocked = run("steps:\n  - send: NOOP", mailbox=None).outcome
    assert blocked.verdict is Verdict.BLOCKED
    assert "POP3SPEC_ACCOUNT" in blocked.detail
    assert run(free, mailbox=None).outcome.verdict is Verdict.PASS


def test_wrong_logins_are_counted_and_bounded(place: Place, run: Run) -> None:
    place.changes["target"] = replace(place.judge.target, max_failed_logins=1)
    keys = """
state: AUTHORIZATION
failed-logins: 1
steps:
  - send: USER {user}
  - send: PASS wrong
    expect: -ERR
"""

    assert run(keys).outcome.verdict is Verdict.PASS
    blocked = run(keys).outcome
    assert blocked.verdict is Verdict.BLOCKED
    assert "--max-failed-logins" in blocked.detail
    assert place.mailbox.failed_logins == 1


# --- Limits of the target


def test_a_maildrop_that_is_in_use_is_asked_for_again(
    place: Place, write: Callable[[str], Scenario]
) -> None:
    keys = "steps:\n  - send: NOOP\n    expect: +OK"
    scripts: list[list[Move]] = [
        [HELLO, "USER alice", b"+OK\r\n", "PASS correct-horse", b"-ERR [IN-USE] locked\r\n"],
        [HELLO, "USER alice", close],
        [b"-ERR too many\r\n", close],
        [HELLO, *LOGIN, "NOOP", b"+OK\r\n", "QUIT", b"+OK\r\n", close],
    ]

    outcome = play(keys, write, *scripts).outcome

    assert outcome.verdict is Verdict.PASS, outcome.detail
    notes = [line.split("-- ")[1] for line in outcome.transcript if "asked again" in line]
    assert len(notes) == 3
    assert "refused for now" in notes[0]


def test_a_limit_that_stays_blocks_and_accuses_nobody(write: Callable[[str], Scenario]) -> None:
    attempt = play("steps:\n  - send: NOOP", write, [HELLO, "USER alice", close])

    assert attempt.outcome.verdict is Verdict.BLOCKED
    assert "no reply to USER" in attempt.outcome.detail
    assert attempt.outcome.findings == ()
    assert attempt.again  # the limit may be one for several clients at once


def test_a_lock_of_a_session_of_the_same_scenario_is_waited_out(run: Run) -> None:
    outcome = run("steps:\n  - send: NOOP\n  - session: second\n    send: NOOP").outcome

    assert outcome.verdict is Verdict.BLOCKED
    assert "refused for now" in outcome.detail


def test_a_refused_login_is_not_asked_for_again(write: Callable[[str], Scenario]) -> None:
    script: list[Move] = [HELLO, "USER alice", b"+OK\r\n", "PASS correct-horse", b"-ERR wrong\r\n"]

    outcome = play("steps:\n  - send: NOOP", write, script).outcome

    assert outcome.verdict is Verdict.BLOCKED
    assert outcome.detail == "the login (PASS) is refused"
    assert not any("asked again" in line for line in outcome.transcript)


@pytest.mark.parametrize(
    "moves",
    [
        ("NOOP",),
        ("NOOP", b"+O"),
        ("NOOP", close),
        ("NOOP", b"+OK\r\n+OK\r\n", "STAT"),
    ],
)
def test_a_reply_that_is_missing_is_looked_at_again_alone(
    moves: tuple[Move, ...], write: Callable[[str], Scenario]
) -> None:
    keys = "steps:\n  - send: NOOP\n    expect: +OK\n  - send: STAT"

    attempt = play(keys, write, [HELLO, *LOGIN, *moves], reply=0.3)

    assert attempt.outcome.verdict is Verdict.FAIL
    assert attempt.again


def test_a_login_that_times_out_is_tried_again_alone(write: Callable[[str], Scenario]) -> None:
    attempt = play("steps:\n  - send: NOOP", write, [HELLO, "USER alice"], reply=0.2)

    assert attempt.again


def test_the_second_look_comes_from_an_address_of_its_own(
    write: Callable[[str], Scenario],
) -> None:
    sources: list[str] = []

    def note(line: Line) -> None:
        sources.append(line.sock.getpeername()[0])

    keys = "steps:\n  - send: NOOP\n    expect: +OK"
    script: list[Move] = [note, HELLO, *LOGIN, "NOOP", b"+OK\r\n", "QUIT", b"+OK\r\n", close]
    for alone in (False, True):
        play(keys, write, script, alone=alone)

    assert sources[0] == "127.0.0.1"
    assert sources[1].startswith("127.")
    assert sources[1] != sources[0]


@pytest.mark.parametrize(
    ("step", "verdict"),
    [
        ("send: NOOP\n    expect: +OK", Verdict.BLOCKED),
        ("send: NOOP\n    expect: reply-or-closed", Verdict.PASS),
        ("expect: closed", Verdict.PASS),
        ("expect: {silence: 50ms}", Verdict.PASS),
    ],
)
@pytest.mark.parametrize("parting", [b"", b"-ERR bye\r\n"])
def test_a_close_that_may_be_is_no_fault(
    step: str, verdict: Verdict, parting: bytes, write: Callable[[str], Scenario]
) -> None:
    if parting and step.endswith("silence: 50ms}"):
        verdict = Verdict.FAIL  # a parting line is not the silence that was asked for
    keys = f"""
state: AUTHORIZATION
steps:
  - send: XYZZ
  - send: XYZZ
    expect: -ERR
  - {step}
"""
    refused = ("XYZZ", b"-ERR\r\n", "XYZZ", b"-ERR\r\n" + parting, close)

    outcome = play(keys, write, [HELLO, *refused]).outcome

    assert outcome.verdict is verdict, outcome.detail


def test_a_close_that_may_not_be_is_one_finding(write: Callable[[str], Scenario]) -> None:
    keys = "steps:\n  - send: STAT\n  - send: NOOP\n    expect: +OK"

    outcome = play(keys, write, [HELLO, *LOGIN, "STAT", b"+OK 1 9\r\n", close]).outcome

    assert outcome.verdict is Verdict.FAIL
    assert [finding.rule for finding in outcome.findings] == ["rfc1939-3-stays-open"]


def test_what_came_before_a_blocked_step_still_counts(write: Callable[[str], Scenario]) -> None:
    moves = ("XYZZ", b"-ERROR\r\n", "XYZZ", b"-ERR\r\n", "XYZZ", b"-ERR\r\n", close)
    keys = "state: AUTHORIZATION\nsteps:\n" + "  - send: XYZZ\n" * 3 + "  - send: QUIT\n"

    outcome = play(keys, write, [HELLO, *moves]).outcome

    assert outcome.verdict is Verdict.FAIL
    assert "rfc1939-3-status-indicator" in [finding.rule for finding in outcome.findings]


# --- Our own faults


def test_a_scenario_cannot_talk_on_where_it_closed(run: Run) -> None:
    outcome = run("steps:\n  - close: fin\n  - send: NOOP\n    expect: +OK").outcome

    assert outcome.verdict is Verdict.BLOCKED
    assert outcome.detail == "the session is closed before NOOP"
    assert outcome.findings == ()


def test_what_may_not_be_sent_is_our_error(place: Place, write: Callable[[str], Scenario]) -> None:
    """The loader refuses such a scenario; the session would not send it either."""
    harmful = replace(
        write("maildrop: [plain-text]\nsteps:\n  - send: DELE 1\n    expect: +OK"), maildrop=None
    )

    outcome = attempt(place.judge, harmful, Transport.PLAIN, place.mailbox, alone=False).outcome

    assert outcome.verdict is Verdict.ERROR
    assert "DELE for mail that it did not deliver" in outcome.detail
    assert len(place.store.entries("alice")) == 1


def test_an_exception_of_ours_is_an_error_with_its_traceback(
    place: Place, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mad(Broken):
        def fill(self, user: str, messages: Sequence[bytes]) -> None:
            raise ZeroDivisionError(f"mad about {PASSWORD}")

    place.changes["door"] = Mad()
    outcome = run(FILLED).outcome

    assert outcome.verdict is Verdict.ERROR
    assert "ZeroDivisionError: mad about ***" in outcome.detail
    assert PASSWORD not in outcome.detail


def test_a_run_that_is_interrupted_blocks_what_is_left(place: Place, run: Run) -> None:
    stopped = threading.Event()
    stopped.set()
    place.changes["stopped"] = stopped

    outcome = run("steps:\n  - send: NOOP\n    expect: +OK").outcome

    assert outcome.verdict is Verdict.BLOCKED
    assert outcome.detail == "the run was interrupted"


def test_a_run_that_is_interrupted_while_it_backs_off_ends_at_once(
    write: Callable[[str], Scenario],
) -> None:
    stopped, asked = threading.Event(), threading.Event()
    script: list[Move] = [tell(asked), lambda line: stopped.set(), b"-ERR busy\r\n", close]

    outcome = play(
        "steps:\n  - send: NOOP", write, script, stopped=stopped, back_off=(3600.0,)
    ).outcome

    assert asked.is_set()
    assert outcome.detail == "the run was interrupted"


# --- The end of a scenario


def test_a_scenario_ends_with_quit_only_where_that_does_no_harm(
    write: Callable[[str], Scenario],
) -> None:
    """Without a filling of ours QUIT could remove what was read, by a policy of the server."""
    quits: list[Move] = [HELLO, *LOGIN, "NOOP", b"+OK\r\n", "QUIT", b"+OK\r\n", close]
    reads: list[Move] = [HELLO, *LOGIN, "RETR 1", b"+OK\r\nA: b\r\n\r\n.\r\n"]

    polite = play("steps:\n  - send: NOOP", write, quits).outcome
    careful = play("steps:\n  - send: RETR 1", write, reads).outcome

    assert any("C: QUIT" in line for line in polite.transcript)
    assert not any("C: QUIT" in line for line in careful.transcript)
    assert (polite.facts[0].ended, careful.facts[0].ended) == ("quit", "dropped")


def test_transcripts_are_kept_where_something_is_wrong_or_all_are_wanted(
    place: Place, run: Run
) -> None:
    place.changes["keep_transcripts"] = False
    keys = "steps:\n  - send: NOOP\n    expect: {}"

    assert run(keys.format("+OK")).outcome.transcript == ()
    assert run(keys.format("-ERR")).outcome.transcript != ()


def test_capabilities_that_the_probe_saw_count_in_every_session(place: Place, run: Run) -> None:
    place.changes["observed"] = Observed(
        capabilities={"AUTHORIZATION": {"EXPIRE": ["0"]}, "TRANSACTION": {"UTF8": []}}
    )

    outcome = run("maildrop: [plain-text]\nsteps:\n  - send: LIST\n  - send: RETR 1").outcome

    assert outcome.facts[0].expires
    # Sizes are not exact where UTF8 is announced (RFC 6856, section 2.1).
    assert "rfc1939-11-exact-size" not in outcome.exercised


# --- One cause, one finding


@pytest.mark.parametrize(
    ("rule", "expect", "answer", "found"),
    [
        # The rulebook sees the same: one finding, with the contrast of the step.
        ("rfc1939-5-noop", "+OK", b"-ERR\r\n", ("rfc1939-5-noop", "+OK")),
        # What is wrong is another rule's: the step says nothing besides.
        ("rfc1939-5-rset", "+OK", b"-ERR\r\n", ("rfc1939-5-noop", "")),
        ("rfc1939-5-rset", "+OK", b"+OKAY\r\n", ("rfc1939-3-status-indicator", "")),
        (
            "rfc1939-5-rset",
            "{status: +OK, text: fine}",
            b"+OK fine\n",
            ("rfc1939-3-response-crlf", ""),
        ),
        # Nothing but the step can see this.
        (
            "rfc1939-5-rset",
            "{status: +OK, text: fine}",
            b"+OK\r\n",
            ("rfc1939-5-rset", "the text fine"),
        ),
    ],
)
def test_one_fault_is_accused_once(
    rule: str,
    expect: str,
    answer: bytes,
    found: tuple[str, str],
    write: Callable[[str], Scenario],
) -> None:
    keys = f"rules: [{rule}]\nsteps:\n  - send: NOOP\n    expect: {expect}"

    bye = ("QUIT", b"+OK\r\n", close)

    outcome = play(keys, write, [HELLO, *LOGIN, "NOOP", answer, *bye]).outcome

    assert [(finding.rule, finding.expected) for finding in outcome.findings] == [found]


@pytest.mark.parametrize(
    ("line", "expect", "answer", "verdict"),
    [
        ("XYZZ", "{status: -ERR, code: SYS/TEMP}", b"-ERR [sys/temp] x\r\n", Verdict.PASS),
        ("XYZZ", "{status: -ERR, code: SYS/TEMP}", b"-ERR SYS/TEMP x\r\n", Verdict.FAIL),
        ("XYZZ", "{status: -ERR, code: AUTH}", b"-ERR [AUTH/OLD] x\r\n", Verdict.PASS),
        ("XYZZ", "{status: -ERR, code: AUTH}", b"-ERR [AUTHOR] x\r\n", Verdict.FAIL),
        ("XYZZ", "{status: -ERR, without-code: AUTH}", b"-ERR [auth] x\r\n", Verdict.FAIL),
        ("XYZZ", "{status: -ERR, without-code: AUTH}", b"-ERR AUTH x\r\n", Verdict.PASS),
        ("AUTH PLAIN", "{status: +}", b"+ \r\n", Verdict.PASS),
        ("AUTH PLAIN", "{status: +}", b"-ERR\r\n", Verdict.FAIL),
        ("XYZZ", "{status: reply}", b"-ERR\r\n", Verdict.PASS),
    ],
)
def test_response_codes_and_challenges_can_be_expected(
    line: str, expect: str, answer: bytes, verdict: Verdict, write: Callable[[str], Scenario]
) -> None:
    keys = f"state: AUTHORIZATION\nsteps:\n  - send: {line}\n    expect: {expect}"

    outcome = play(keys, write, [HELLO, line, answer]).outcome

    assert outcome.verdict is verdict, outcome.detail


# --- What the target may refuse


def test_a_login_on_trial_that_may_come_later_is_no_fault(
    write: Callable[[str], Scenario],
) -> None:
    keys = """
rules: [rfc1939-7-user-pass]
state: AUTHORIZATION
steps:
  - send: USER {user}
    expect: +OK
  - send: PASS {password}
    expect: +OK
"""
    attempt = play(keys, write, [HELLO, *LOGIN[:3], b"-ERR [IN-USE] locked\r\n"])

    assert attempt.outcome.verdict is Verdict.BLOCKED
    assert attempt.again

    wrong = play(keys, write, [HELLO, *LOGIN[:3], b"-ERR wrong\r\n"])
    assert [finding.rule for finding in wrong.outcome.findings] == ["rfc1939-7-user-pass"]


@pytest.mark.parametrize(
    ("user", "reply", "verdict"),
    [
        (b"+OK\r\n", b"-ERR [AUTH] wrong\r\n", Verdict.PASS),
        (b"+OK\r\n", b"-ERR wrong\r\n", Verdict.FAIL),
        (b"+OK\r\n", b"-ERR [SYS/TEMP] too many\r\n", Verdict.BLOCKED),
        (b"+OK\r\n", b"-ERR [LOGIN-DELAY] later\r\n", Verdict.BLOCKED),
        (b"+OK\r\n", b"-ERR [IN-USE] locked\r\n", Verdict.BLOCKED),
        (b"+OK\r\n", b"-ERR plaintext needs TLS\r\n", Verdict.BLOCKED),
        (b"+OK\r\n", b"+OK welcome\r\n", Verdict.BLOCKED),
        (b"-ERR who?\r\n", b"-ERR no name\r\n", Verdict.BLOCKED),
    ],
    ids=lambda value: value.decode().strip() if isinstance(value, bytes) else None,
)
def test_the_code_of_a_refusal_is_judged_where_it_is_about_the_credentials(
    write: Callable[[str], Scenario], user: bytes, reply: bytes, verdict: Verdict
) -> None:
    keys = """
rules: [rfc3206-6-auth-code]
state: AUTHORIZATION
failed-logins: 1
steps:
  - send: USER {user}
  - send: PASS wrong-{user}-qx7zj4
    expect: {status: -ERR, code: AUTH}
"""
    script: list[Move] = [HELLO, "USER alice", user, "PASS wrong-alice-qx7zj4", reply]
    if reply.startswith(b"+OK"):
        script += ["QUIT", b"+OK\r\n", close]

    outcome = play(keys, write, script).outcome

    assert outcome.verdict is verdict, outcome.detail


def test_a_server_that_says_that_it_shuts_down_is_not_judged(
    write: Callable[[str], Scenario],
) -> None:
    keys = "steps:\n  - send: NOOP\n    expect: +OK\n  - send: STAT\n    expect: +OK"
    words = b"-ERR [SYS/TEMP] Server shutting down.\r\n"

    for moves in (("NOOP", words, close), ("NOOP", b"+OK\r\n" + words, close)):
        attempt = play(keys, write, [HELLO, *LOGIN, *moves])

        assert attempt.outcome.verdict is Verdict.BLOCKED, attempt.outcome.detail
        assert attempt.outcome.findings == ()


@pytest.mark.parametrize(("sessions", "verdict"), [(1, Verdict.FAIL), (2, Verdict.BLOCKED)])
def test_a_drop_is_first_a_limit_where_another_session_is_open(
    sessions: int, verdict: Verdict, write: Callable[[str], Scenario]
) -> None:
    keys = "steps:\n  - send: NOOP\n    expect: +OK\n"
    if sessions > 1:
        keys += "  - session: second\n    send: NOOP\n    expect: +OK\n"
    stays: list[Move] = [HELLO, *LOGIN, "NOOP", b"+OK\r\n", "QUIT", b"+OK\r\n", close]
    scripts = [stays] * (sessions - 1)

    attempt = play(keys, write, *scripts, [HELLO, *LOGIN, "NOOP", close])

    assert attempt.outcome.verdict is verdict
    assert bool(attempt.outcome.findings) == (verdict is Verdict.FAIL)
    assert attempt.again


def test_an_update_that_fails_and_says_so_is_no_fault(
    place: Place, write: Callable[[str], Scenario]
) -> None:
    keys = "steps:\n  - send: DELE 1\n  - send: QUIT\n    expect: +OK"
    moves = ("DELE 1", b"+OK\r\n", "QUIT", b"-ERR some were not removed\r\n", close)
    with Scripted([HELLO, *LOGIN, *moves]) as server:
        target = replace(server.target(), allow_delete=True)
        judge = Judge(target, Observed(), None, masker_for(target.accounts))
        scenario = replace(write("maildrop: [plain-text]\n" + keys), maildrop=None)
        outcome = attempt(
            judge, scenario, Transport.PLAIN, Mailbox(target.accounts[0]), alone=False
        ).outcome

    assert outcome.verdict is Verdict.BLOCKED
    assert outcome.findings == ()
    assert outcome.facts[0].ended == "quit refused"


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [("robust-serves-next-client", Verdict.FAIL), ("rfc1939-5-noop", Verdict.BLOCKED)],
)
def test_a_target_that_serves_nobody_any_more_fails_where_that_is_the_question(
    rule: str, verdict: Verdict, write: Callable[[str], Scenario]
) -> None:
    keys = f"""
rules: [{rule}]
state: AUTHORIZATION
steps:
  - send: XYZZ
    expect: -ERR
  - session: next
    send: QUIT
    expect: +OK
"""

    outcome = play(keys, write, [HELLO, "XYZZ", b"-ERR\r\n"], [close]).outcome

    assert outcome.verdict is verdict, outcome.detail
    assert [finding.rule for finding in outcome.findings] == (
        [rule] if verdict is Verdict.FAIL else []
    )


def test_a_second_look_is_in_vain_only_for_what_the_first_one_waited_for(
    place: Place, write: Callable[[str], Scenario]
) -> None:
    judge, scenario = place.judge, write("steps: [{send: NOOP}]")
    silent = Exchange(Kind.COMMAND, sent=b"NOOP\r\n", end=End.TIMEOUT, sent_at=0.0, answered_at=1.0)

    first = attempt(judge, scenario, Transport.PLAIN, place.mailbox, alone=False)
    judge.liveness.told([silent] * 3, alone=True)
    second = attempt(judge, scenario, Transport.PLAIN, place.mailbox, alone=True)

    assert not first.is_in_vain
    assert not second.is_in_vain
    assert second.outcome.verdict is Verdict.PASS
