"""What is observed: each observer sees what it is for, and the same in each run."""

from collections.abc import Sequence

import pytest
from said import HELLO, LOGIN, came, greeted, history, said

from pop3spec.rulebook.history import Filling
from pop3spec.rulebook.observers import OBSERVERS, came_back, observe
from pop3spec.rulebook.rules import observation_ids
from pop3spec.transcript import End, Exchange, Kind

TWINS = Filling(count=2, is_clean=True)
DISTINCT = Filling(count=2, is_clean=True, is_distinct=True)
UNUSUAL = Filling(count=1, body=b"a\0b\xe9\r\n", is_unusual=True)
REFUSED = (HELLO, said("USER alice", "+OK"), said("PASS wrong", "-ERR"))
HEADER = ("Subject: x", "To: y", "")

SEEN: dict[str, tuple[str, Filling, Sequence[Exchange], set[str]]] = {
    "a bare -ERR": (
        "bare-status-indicator",
        DISTINCT,
        [*LOGIN, said("QZJX", "-ERR")],
        {"a bare -ERR"},
    ),
    "a reply with text": ("bare-status-indicator", DISTINCT, [said("NOOP", "+OK done")], set()),
    "a line before the close": (
        "parting-line",
        DISTINCT,
        [*LOGIN, came(b"-ERR idle for 600 s\r\n", End.CLOSED, Kind.SILENCE)],
        {"-ERR idle for N s"},
    ),
    "a close without a word": (
        "parting-line",
        DISTINCT,
        [*LOGIN, came(b"", End.CLOSED, Kind.SILENCE)],
        set(),
    ),
    "text behind the drop listing": (
        "text-behind-drop-listing",
        DISTINCT,
        [*LOGIN, said("STAT", "+OK 2 320 in 2 messages")],
        {"in N messages"},
    ),
    "text behind a scan listing": (
        "text-behind-scan-listing",
        DISTINCT,
        [*LOGIN, said("LIST", "+OK", ["1 120 octets", "2 200 octets"])],
        {"octets"},
    ),
    "listings in order": (
        "order-of-listings",
        DISTINCT,
        [*LOGIN, said("LIST", "+OK", ["1 120", "2 200"])],
        {"LIST: ascending"},
    ),
    "unique-ids from the end": (
        "order-of-listings",
        DISTINCT,
        [*LOGIN, said("UIDL", "+OK", ["2 b", "1 a"])],
        {"UIDL: not ascending"},
    ),
    "twins that share": (
        "shared-unique-id",
        TWINS,
        [*LOGIN, said("UIDL", "+OK", ["1 a", "2 a"])],
        {"shared"},
    ),
    "twins apart": (
        "shared-unique-id",
        TWINS,
        [*LOGIN, said("UIDL", "+OK", ["1 a", "2 b"])],
        {"apart"},
    ),
    "no twins": (
        "shared-unique-id",
        DISTINCT,
        [*LOGIN, said("UIDL", "+OK", ["1 a", "2 b"])],
        set(),
    ),
    "no blank line": (
        "blank-line-without-body",
        DISTINCT,
        [*LOGIN, said("RETR 1", "+OK", HEADER[:2]), said("TOP 1 0", "+OK", HEADER[:2])],
        {"left out"},
    ),
    "a blank line": (
        "blank-line-without-body",
        DISTINCT,
        [*LOGIN, said("RETR 1", "+OK", HEADER), said("TOP 1 0", "+OK", HEADER)],
        {"sent"},
    ),
    "a close behind a refused login": (
        "close-after-refused-login",
        DISTINCT,
        [*REFUSED, came(b"", End.CLOSED, Kind.UNASKED)],
        {"closed"},
    ),
    "an answer behind a refused login": (
        "close-after-refused-login",
        DISTINCT,
        [*REFUSED, said("NOOP", "-ERR")],
        {"open"},
    ),
    "a NUL that is kept": (
        "unusual-octets",
        UNUSUAL,
        [*LOGIN, said("RETR 1", "+OK", [*HEADER, "a\0b\xe9"])],
        {"NUL and octets above 127: as stored"},
    ),
    "a NUL that is not": (
        "unusual-octets",
        UNUSUAL,
        [*LOGIN, said("RETR 1", "+OK", [*HEADER, "a"])],
        {"NUL and octets above 127: changed"},
    ),
    "a message of which nothing is known": (
        "unusual-octets",
        Filling(is_unusual=True),
        [*LOGIN, said("RETR 1", "+OK", [*HEADER, "a\0b"])],
        set(),
    ),
    "brackets": ("brackets-without-at-sign", DISTINCT, [greeted("+OK <host> ready")], {"yes"}),
    "a timestamp": ("brackets-without-at-sign", DISTINCT, [greeted("+OK <1.2@host>")], set()),
}


@pytest.mark.parametrize("case", SEEN)
def test_an_observer_sees_what_it_is_for(case: str) -> None:
    name, filling, exchanges, expected = SEEN[case]

    *earlier, last = exchanges
    seen = {value for id, value in observe(last, history(*earlier, filling=filling)) if id == name}

    assert seen == expected


def test_each_observer_has_a_case_and_an_entry_in_the_rulebook() -> None:
    assert {name for name, *_ in SEEN.values()} == set(OBSERVERS)
    assert set(OBSERVERS) <= observation_ids()


def test_nothing_is_observed_behind_what_no_client_may_send() -> None:
    before = history(HELLO, said(b"NOOP\n", "-ERR"))

    assert list(observe(said("STAT", "+OK 2 320 more"), before)) == []


@pytest.mark.parametrize(
    "exchange, words",
    [
        (said("LAST", "+OK 0"), "+OK"),
        (said("LAST", "-ERR"), "-ERR"),
        (said("LAST", None, end=End.RESET), "closed"),
        (said("LAST", None, end=End.TIMEOUT), "no reply"),
        (said("LAST", "huh"), "another reply"),
    ],
    ids=["positive", "negative", "closed", "silent", "strange"],
)
def test_what_a_stimulus_comes_to_is_a_word_or_two(exchange: Exchange, words: str) -> None:
    assert came_back(exchange) == words
