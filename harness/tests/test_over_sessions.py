"""What only several sessions together can break, and what must not be read into them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from pop3spec.rulebook.judgement import Broken
from pop3spec.rulebook.over_sessions import OVER_SESSIONS, SessionFacts, facts_from, judge_sessions
from pop3spec.rulebook.rules import rulebook

REMOVES, STAY, NO_QUIT = (
    "rfc1939-6-update-removes",
    "rfc1939-6-unmarked-stay",
    "rfc1939-6-no-quit-no-removal",
)
PERSIST, REUSE = "rfc1939-7-uidl-persistent", "rfc1939-7-uidl-no-reuse"
TIMESTAMPS = "rfc1939-7-apop-timestamp-differs"


def facts(
    number: int,
    ids: str | None = None,
    *,
    count: int | None = None,
    marked: tuple[int, ...] = (),
    ended: str = "quit",
    opened: float | None = None,
    closed: float | None = None,
    filling: str = "alice#1",
    account: str | None = "alice",
    digests: str = "",
    sizes: dict[int, int] | None = None,
    expires: bool = False,
    may_change: bool = False,
    timestamp: str | None = None,
) -> SessionFacts:
    """The session with this number in time; a unique-id and a digest have one letter each."""
    told = count if count is not None else len(ids) if ids is not None else None
    if sizes is None:  # each message keeps the size that its unique-id has
        sizes = {n: ord(unique_id) for n, unique_id in enumerate(ids or "", 1)}
    counts = {} if told is None else {"STAT": told, **({} if ids is None else {"UIDL": told})}
    return SessionFacts(
        account=account,
        filling=filling,
        opened=float(number) if opened is None else opened,
        closed=number + 0.5 if closed is None else closed,
        timestamp=timestamp,
        counts=counts,
        unique_ids=None if ids is None else dict(enumerate(ids, 1)),
        sizes=sizes,
        digests={n: digest for n, digest in enumerate(digests, 1) if digest != "-"},
        marked=marked,
        ended=ended,
        expires=expires,
        keeps=True,
        may_change=may_change,
        test=f"test-{number}",
    )


def verdicts(*sessions: SessionFacts) -> dict[str, str]:
    """The rules that are held or broken."""
    return {
        judged.rule: "broken" if isinstance(judged.judgement, Broken) else "held"
        for judged in judge_sessions(sessions)
    }


def broken(*sessions: SessionFacts) -> set[str]:
    return {rule for rule, verdict in verdicts(*sessions).items() if verdict == "broken"}


def test_every_rule_over_sessions_is_in_the_rulebook() -> None:
    assert OVER_SESSIONS.keys() <= rulebook().keys()


def test_what_was_marked_is_gone_and_the_rest_is_there() -> None:
    assert verdicts(facts(1, "abc", marked=(2,)), facts(2, "ac")) == {
        REMOVES: "held",
        STAY: "held",
        PERSIST: "held",
    }


@pytest.mark.parametrize(
    ("earlier", "later", "rules"),
    [
        (facts(1, "abc", marked=(2,)), facts(2, "abc"), {REMOVES}),
        (facts(1, count=3, marked=(2,)), facts(2, count=3), {REMOVES}),
        (facts(1, "abc", marked=(2,)), facts(2, "a"), {STAY}),
        (facts(1, count=3), facts(2, count=2), {STAY}),
        (facts(1, "abc", marked=(2,)), facts(2, "ab"), {REMOVES, STAY}),
        (facts(1, "abc", marked=(2,), ended="dropped"), facts(2, "ac"), {NO_QUIT}),
        (facts(1, count=3, ended="dropped"), facts(2, count=2), {NO_QUIT}),
        (facts(1, "abc"), facts(2, "abx"), {PERSIST}),
        (
            facts(1, "12", sizes={1: 100, 2: 200}, marked=(1,)),
            facts(2, "1", sizes={1: 200}),
            {PERSIST},
        ),
        (facts(1, "abc", ended="dropped"), facts(2, "xyz"), {PERSIST}),
    ],
)
def test_a_loss_a_return_or_another_name_is_a_fault(
    earlier: SessionFacts, later: SessionFacts, rules: set[str]
) -> None:
    assert broken(earlier, later) == rules
    # The order in which they are told does not matter.
    assert broken(later, earlier) == rules


@pytest.mark.parametrize(
    ("title", "sessions"),
    [
        ("marks that were dropped", (facts(1, "ab", marked=(1,), ended="dropped"), facts(2, "ab"))),
        (
            "QUIT refused: any of the marked may be gone",
            (facts(1, "abc", marked=(1, 2), ended="quit refused"), facts(2, "bc")),
        ),
        (
            "QUIT refused: or all of them",
            (facts(1, "abc", marked=(1, 2), ended="quit refused"), facts(2, "c")),
        ),
        (
            "QUIT unanswered: UPDATE may have been done",
            (facts(1, "abc", marked=(1,), ended="quit unanswered"), facts(2, "bc")),
        ),
        (
            "QUIT unanswered: or not",
            (facts(1, "abc", marked=(1,), ended="quit unanswered"), facts(2, "abc")),
        ),
        (
            "an announced EXPIRE (RFC 2449, section 6.7)",
            (facts(1, "ab", expires=True), facts(2, "b")),
        ),
        ("mail that came or went", (facts(1, "ab"), facts(2, "bcd", may_change=True))),
        ("another filling", (facts(1, "abc"), facts(2, "x", filling="alice#2"))),
        ("no filling at all", (facts(1, "abc", filling=""), facts(2, "x", filling=""))),
        (
            "sessions side by side",
            (facts(1, "abc", marked=(1,), closed=9.0), facts(2, "abc", closed=3.0)),
        ),
        (
            "one of them inside of another",
            (facts(1, "ab", closed=9.0), facts(2, "ab", marked=(1,)), facts(3, "b")),
        ),
        (
            "a session in between that told no count and removed",
            (facts(1, count=3), facts(2, marked=(1,)), facts(3, count=2)),
        ),
        (
            "a session in between of which nobody knows what it removed",
            (facts(1, "abc"), facts(2, may_change=True), facts(3, "a")),
        ),
        (
            "identical copies that share a unique-id (section 7)",
            (facts(1, "aab", marked=(1,)), facts(2, "ab")),
        ),
        (
            "header fields that a store of the mbox kind adds at QUIT",
            (facts(1, "ab", sizes={1: 100, 2: 200}), facts(2, "ab", sizes={1: 112, 2: 212})),
        ),
        (
            "such fields that make one message as long as another one was",
            (facts(1, "ab", sizes={1: 100, 2: 112}), facts(2, "ab", sizes={1: 112, 2: 124})),
        ),
        ("a session that told nothing", (facts(1, "ab"), facts(2), facts(3, "ab"))),
    ],
)
def test_a_sound_server_is_not_accused(title: str, sessions: tuple[SessionFacts, ...]) -> None:
    assert broken(*sessions) == set()


def test_a_login_that_failed_stands_between_no_sessions() -> None:
    assert broken(facts(1, "abc"), facts(2, ended="dropped"), facts(3, "ab")) == {STAY}


def test_counts_are_compared_where_the_same_command_told_them() -> None:
    by_stat = facts(1, count=3)
    by_uidl = facts(2, "ab")
    only_uidl = facts_from({**by_uidl.as_data(), "counts": {"UIDL": 2}})

    assert verdicts(by_stat, only_uidl) == {}


def test_a_unique_id_that_comes_back_for_another_message_is_reused() -> None:
    before = facts(1, "a", digests="X", filling="alice#1")

    assert broken(before, facts(2, "a", digests="Y", filling="alice#2")) == {REUSE}
    # The same message may have the same unique-id, as where it is a digest.
    assert verdicts(before, facts(2, "a", digests="X", filling="alice#2"))[REUSE] == "held"
    assert broken(before, facts(2, "a", digests="Y", filling="bob#1", account="bob")) == set()
    assert REUSE not in verdicts(facts(1, "a", filling="x"), facts(2, "a", filling="y"))
    # One id for all is the fault of another rule.
    alike = facts(1, "aa", digests="XY")
    assert broken(alike, facts(2, "a", digests="Z", filling="alice#2")) == set()


def test_a_timestamp_is_used_once() -> None:
    one, other = facts(1, timestamp="<1@h>"), facts(2, timestamp="<2@h>")
    again = facts(3, timestamp="<1@h>", account=None, filling="")

    assert verdicts(one, other)[TIMESTAMPS] == "held"
    assert TIMESTAMPS not in verdicts(one)
    (judged,) = [found for found in judge_sessions([one, other, again]) if found.rule == TIMESTAMPS]
    assert isinstance(judged.judgement, Broken)
    assert "<1@h>" in judged.judgement.got
    assert judged.tests == ("test-1", "test-3")


CHALLENGES = {
    "CRAM-MD5": "rfc2195-2-challenge-differs",
    "DIGEST-MD5": "rfc2831-2.1.1-nonce-differs",
    "SCRAM": "rfc5802-5.1-nonce-differs",
}


@pytest.mark.parametrize(("mechanism", "rule"), CHALLENGES.items())
def test_a_challenge_is_sent_once(mechanism: str, rule: str) -> None:
    def said(number: int, *values: str, by: str = mechanism) -> SessionFacts:
        told = tuple((by, value) for value in values)
        return replace(facts(number, account=None), challenges=told)

    assert verdicts(said(1, "a"), said(2, "b", "c"))[rule] == "held"
    assert rule not in verdicts(said(1, "a"), said(2, "b", by="ANOTHER"))
    assert broken(said(1, "a"), said(2, "b", "a")) == {rule}
    # Twice in one session: of CRAM-MD5 no text forbids it.
    assert broken(said(1, "a", "a")) == (set() if mechanism == "CRAM-MD5" else {rule})
    # Another mechanism may come to the same.
    assert broken(said(1, "a"), said(2, "a", by="ANOTHER")) == set()


def test_a_finding_names_the_tests_that_show_it() -> None:
    (judged,) = [
        found
        for found in judge_sessions([facts(1, "ab"), facts(2, "a"), facts(3, "a")])
        if isinstance(found.judgement, Broken)
    ]

    assert judged.rule == STAY
    assert judged.tests == ("test-1", "test-2")


def test_facts_cross_processes_as_plain_data() -> None:
    told = facts(1, "ab", digests="XY", sizes={1: 120}, marked=(2,), timestamp="<1@h>")
    told = replace(told, challenges=(("SCRAM", "x"), ("CRAM-MD5", "<2@h>")))

    assert facts_from(json.loads(json.dumps(told.as_data()))) == told
    assert facts_from(told.as_data()) == told
    assert facts_from(json.loads(json.dumps(facts(1).as_data()))) == facts(1)


RELEASED = "rfc1939-6-lock-released"


@pytest.mark.parametrize(
    ("title", "ends", "changes", "is_broken"),
    [
        ("locked for good", ("quit", "quit"), {}, True),
        ("behind a session that was dropped", ("quit", "dropped"), {}, False),
        ("a moment behind QUIT", ("quit", "quit"), {"opened": 3.5}, False),
        ("in a mailbox that others use", ("quit", "quit"), {"filling": ""}, False),
        ("beside a session that has it", ("quit", "quit"), {"closed": 99.0}, False),
    ],
)
def test_a_maildrop_that_stays_locked_behind_quit_is_told_from_one_in_use(
    title: str, ends: Sequence[str], changes: Mapping[str, Any], is_broken: bool
) -> None:
    filling = changes.get("filling", "alice#1")
    had = [facts(n, count=1, ended=end, filling=filling) for n, end in enumerate(ends, 1)]
    if changes.get("closed"):
        had.append(facts(10, count=1, filling=filling))
    had = [replace(each, logged_in=True) for each in had]
    refused = replace(facts(9, ended="dropped"), locked_out=True, **changes)

    assert (RELEASED in broken(*had, refused)) is is_broken, title


def test_a_maildrop_that_is_opened_again_is_free() -> None:
    had = [replace(facts(number, count=1), logged_in=True) for number in (1, 2)]

    assert verdicts(*had) == {**verdicts(facts(1, count=1), facts(2, count=1)), RELEASED: "held"}


def test_what_a_quit_without_a_reply_removes_later_is_not_laid_to_the_next_session() -> None:
    cut = facts(1, "abcd", marked=(1, 3), ended="quit unanswered")

    assert broken(cut, facts(2, "abcd", ended="dropped"), facts(3, "bd")) == set()
