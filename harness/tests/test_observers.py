"""What is observed: each observer sees what it is for, and the same in each run."""

from collections.abc import Sequence

import pytest
from said import (
    HELLO,
    LOGIN,
    answered,
    began,
    came,
    challenged,
    continued,
    greeted,
    history,
    said,
    shook_hands,
    within,
)

from pop3spec.rulebook.history import Filling
from pop3spec.rulebook.observers import OBSERVERS, came_back, observe
from pop3spec.rulebook.rules import observation_ids
from pop3spec.transcript import End, Exchange, Kind

TWINS = Filling(count=2, is_clean=True)
DISTINCT = Filling(count=2, is_clean=True, is_distinct=True)
UNUSUAL = Filling(count=1, body=b"a\0b\xe9\r\n", is_unusual=True)
REFUSED = (HELLO, said("USER alice", "+OK"), said("PASS wrong", "-ERR"))
HEADER = ("Subject: x", "To: y", "")
STLS = said("STLS", "+OK")
CLEAR = (HELLO, said("CAPA", "+OK", ["TOP", "STLS"]))
CODES = (HELLO, said("CAPA", "+OK", ["RESP-CODES", "AUTH-RESP-CODE", "SASL PLAIN"]))
SCRAM = "SCRAM-SHA-256"
NONCE = began(SCRAM, challenged(b"r=ab,s=eA==,i=4096"), b"n,,n=alice,r=a")
NO_NONCE = began(SCRAM, "-ERR", b"n,,n=alice,r=a")

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
    "mechanisms in the clear": (
        "sasl-mechanisms",
        DISTINCT,
        [HELLO, said("CAPA", "+OK", ["SASL SCRAM-SHA-1 PLAIN"])],
        {"in the clear: PLAIN SCRAM-SHA-1"},
    ),
    "mechanisms inside TLS": (
        "sasl-mechanisms",
        DISTINCT,
        [HELLO, STLS, shook_hands(), within(said("CAPA", "+OK", ["SASL PLAIN"]))],
        {"inside TLS: PLAIN"},
    ),
    "mechanisms after the login": (
        "sasl-mechanisms",
        DISTINCT,
        [*LOGIN, said("CAPA", "+OK", ["SASL PLAIN"])],
        set(),
    ),
    "no mechanisms": (
        "sasl-without-mechanisms",
        DISTINCT,
        [HELLO, said("CAPA", "+OK", ["SASL"])],
        {"in the clear"},
    ),
    "no SASL": ("sasl-without-mechanisms", DISTINCT, [said("CAPA", "+OK", ["TOP"])], set()),
    "another list inside TLS": (
        "capabilities-in-tls",
        DISTINCT,
        [*CLEAR, STLS, shook_hands(), within(said("CAPA", "+OK", ["TOP", "SASL X", "USER"]))],
        {"only in the clear: STLS; only inside TLS: SASL USER"},
    ),
    "the same list inside TLS": (
        "capabilities-in-tls",
        DISTINCT,
        [*CLEAR, STLS, shook_hands(), within(said("CAPA", "+OK", ["TOP", "STLS"]))],
        {"the same"},
    ),
    "a list inside TLS alone": (
        "capabilities-in-tls",
        DISTINCT,
        [shook_hands(), within(HELLO), within(said("CAPA", "+OK", ["TOP"]))],
        set(),
    ),
    "a tag on two lines": (
        "repeated-tag",
        DISTINCT,
        [HELLO, said("CAPA", "+OK", ["SASL X", "TOP", "sasl Y"])],
        {"SASL"},
    ),
    "tags on one line each": ("repeated-tag", DISTINCT, CLEAR, set()),
    "a capability that comes with the login": (
        "capabilities-after-login",
        DISTINCT,
        [*CLEAR, *LOGIN[1:], said("CAPA", "+OK", ["TOP", "UIDL"])],
        {"UIDL"},
    ),
    "no list before the login": (
        "capabilities-after-login",
        DISTINCT,
        [*LOGIN, said("CAPA", "+OK", ["TOP", "UIDL"])],
        set(),
    ),
    "private capabilities": (
        "unknown-capabilities",
        DISTINCT,
        [HELLO, said("CAPA", "+OK", ["XTND", "TOP", "apop"])],
        {"APOP XTND"},
    ),
    "registered capabilities": ("unknown-capabilities", DISTINCT, CLEAR, set()),
    "a command that works unannounced": (
        "unannounced-commands",
        DISTINCT,
        [*LOGIN, said("CAPA", "+OK", ["TOP"]), said("UIDL 1", "+OK 1 a")],
        {"UIDL"},
    ),
    "a login with USER that works unannounced": (
        "unannounced-commands",
        DISTINCT,
        [*CLEAR, *LOGIN[1:]],
        {"USER"},
    ),
    "a command that works, and the list after the login is not known": (
        "unannounced-commands",
        DISTINCT,
        [*CLEAR, *LOGIN[1:], said("UIDL 1", "+OK 1 a")],
        set(),
    ),
    "a server without CAPA": (
        "unannounced-commands",
        DISTINCT,
        [*LOGIN, said("CAPA", "-ERR"), said("UIDL 1", "+OK 1 a")],
        set(),
    ),
    "the name of the server": (
        "implementation-name",
        DISTINCT,
        [HELLO, said("CAPA", "+OK", ["IMPLEMENTATION Pop3d v1.2"])],
        {"AUTHORIZATION: Pop3d v1.2"},
    ),
    "the name of the server after the login": (
        "implementation-name",
        DISTINCT,
        [*LOGIN, said("CAPA", "+OK", ["implementation Pop3d"])],
        {"TRANSACTION: Pop3d"},
    ),
    "no name": ("implementation-name", DISTINCT, CLEAR, set()),
    "TLS from the start": (
        "tls-parameters",
        DISTINCT,
        [shook_hands("TLSv1.2")],
        {"tls: TLSv1.2: TLS_AES_256_GCM_SHA384"},
    ),
    "TLS behind STLS": (
        "tls-parameters",
        DISTINCT,
        [HELLO, STLS, shook_hands()],
        {"stls: TLSv1.3: TLS_AES_256_GCM_SHA384"},
    ),
    "no TLS": ("tls-parameters", DISTINCT, [shook_hands(None)], set()),
    "a question for the name": (
        "login-prompts",
        DISTINCT,
        [HELLO, began("LOGIN", challenged(b"User Name\0"))],
        {r"name: User Name\xN"},
    ),
    "a question for the password": (
        "login-prompts",
        DISTINCT,
        [HELLO, began("LOGIN", challenged(b"?")), answered(b"alice", challenged(b"Password:"))],
        {"password: Password:"},
    ),
    "a question of another mechanism": (
        "login-prompts",
        DISTINCT,
        [HELLO, began("CRAM-MD5", challenged(b"<1@h>"))],
        set(),
    ),
    "an iteration count": ("scram-iteration-count", DISTINCT, [HELLO, NONCE], {f"{SCRAM}: 4096"}),
    "no iteration count": ("scram-iteration-count", DISTINCT, [HELLO, NO_NONCE], set()),
    "an error about a proof": (
        "scram-error-message",
        DISTINCT,
        [HELLO, NONCE, answered(b"c=biws,r=ab,p=eA==", challenged(b"e=invalid-proof"))],
        {"an error message: invalid-proof"},
    ),
    "no error about a proof": (
        "scram-error-message",
        DISTINCT,
        [HELLO, NONCE, answered(b"c=biws,r=ab,p=eA==", "-ERR")],
        {"-ERR alone"},
    ),
    "a right proof": (
        "scram-error-message",
        DISTINCT,
        [HELLO, NONCE, answered(b"c=biws,r=ab,p=eA==", challenged(b"v=eA=="))],
        set(),
    ),
    "an error about a token": (
        "oauth-error-challenge",
        DISTINCT,
        [HELLO, began("OAUTHBEARER", challenged(b"{}"), b"n,,")],
        {"an error challenge"},
    ),
    "a token refused": (
        "oauth-error-challenge",
        DISTINCT,
        [HELLO, began("OAUTHBEARER", "-ERR", b"n,,")],
        {"-ERR at once"},
    ),
    "a token refused behind an error": (
        "oauth-error-challenge",
        DISTINCT,
        [HELLO, began("OAUTHBEARER", challenged(b"{}"), b"n,,"), answered(b"\x01", "-ERR")],
        set(),
    ),
    "a code of the server's own": (
        "unregistered-codes",
        DISTINCT,
        [*CODES, said("PASS secret", "-ERR [XQUOTA/90] full")],
        {"PASS: -ERR [XQUOTA/N]"},
    ),
    "a code that is registered": (
        "unregistered-codes",
        DISTINCT,
        [*CODES, said("PASS secret", "-ERR [AUTH/EXPIRED] no")],
        set(),
    ),
    "brackets that are no code": (
        "unregistered-codes",
        DISTINCT,
        [HELLO, said("CAPA", "+OK", ["TOP"]), said("PASS secret", "-ERR [XQUOTA] full")],
        set(),
    ),
    "trouble of the system": (
        "sys-code",
        DISTINCT,
        [*CODES, said("USER alice", "+OK"), said("PASS secret", "-ERR [sys/temp] later")],
        {"PASS: SYS/TEMP"},
    ),
    "a code for a name alone": (
        "code-without-wrong-credentials",
        DISTINCT,
        [*CODES, said("USER alice", "-ERR [AUTH] no")],
        {"USER"},
    ),
    "a code for a password without a name": (
        "code-without-wrong-credentials",
        DISTINCT,
        [*CODES, said("PASS secret", "-ERR [AUTH] no")],
        {"PASS without USER"},
    ),
    "a code for an unknown mechanism": (
        "code-without-wrong-credentials",
        DISTINCT,
        [*CODES, said("AUTH QX7ZJ4", "-ERR [AUTH] no")],
        {"an unknown mechanism"},
    ),
    "a code for an asterisk": (
        "code-without-wrong-credentials",
        DISTINCT,
        [*CODES, began("PLAIN", "+ "), continued("*", "-ERR [AUTH] no")],
        {"a cancelled exchange"},
    ),
    "a code for credentials that may be wrong": (
        "code-without-wrong-credentials",
        DISTINCT,
        [*CODES, began("PLAIN", "+ "), answered(b"\0alice\0secret", "-ERR [AUTH] no")],
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
