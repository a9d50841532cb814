"""The checks of TLS, STLS and capability lists: sessions that keep, break or do not touch them.

SOUND holds sessions that a naive rule would accuse; each names the text that allows it.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from cases import BROKEN, HELD, NOTHING, Case, assert_as_expected, case, name_of
from said import CLOSED, HELLO, LOGIN, QUIT, came, greeted, judgements, said, shook_hands, within

from pop3spec.transcript import End, Exchange, Kind

CAPA, ALERT, VERSION = "rfc2595-4-capa", "rfc8314-3.4-close-alert", "rfc8314-4-tls-1-2"
ANNOUNCED, LOGGED_IN = "rfc2595-4-stls-announced", "rfc2595-4-stls-in-transaction"
CLEAR, NAMES = "rfc2595-4-nothing-in-clear", "rfc4422-3.1-mechanism-names"
STAYS = "rfc5034-3-sasl-after-login"

STLS = said("STLS", "+OK")
NO_CAPA = said("CAPA", "-ERR unknown")
# A session behind STLS, one with TLS from the start, and both logged in.
BEHIND = (HELLO, STLS, shook_hands())
IMPLICIT = (shook_hands(), within(HELLO))
LOGIN_IN_TLS = tuple(map(within, LOGIN[1:]))


def listed(*lines: str) -> Exchange:
    return said("CAPA", "+OK", lines)


def closed(end: End | None, *, secure: bool = True) -> Exchange:
    return replace(came(b"", end, Kind.CLOSE), secure=secure)


CASES = [
    case(CAPA, "a list before STLS", HELD, HELLO, listed("STLS"), STLS),
    case(CAPA, "no list before STLS", BROKEN, HELLO, NO_CAPA, STLS),
    case(CAPA, "a list that nobody asked for", NOTHING, HELLO, STLS),
    case(CAPA, "a list behind STLS", HELD, *BEHIND, within(listed("SASL PLAIN"))),
    case(CAPA, "no list behind STLS", BROKEN, *BEHIND, within(NO_CAPA)),
    case(CAPA, "trouble that passes", NOTHING, *BEHIND, within(said("CAPA", "-ERR [SYS/TEMP]"))),
    case(CAPA, "no list where TLS came first", NOTHING, *IMPLICIT, within(NO_CAPA)),
    case(CAPA, "no list, and no STLS either", NOTHING, HELLO, NO_CAPA, said("STLS", "-ERR")),
    case(ANNOUNCED, "in the clear", NOTHING, HELLO, listed("STLS")),
    case(ANNOUNCED, "behind STLS", BROKEN, *BEHIND, within(listed("stls"))),
    case(ANNOUNCED, "not behind STLS", HELD, *BEHIND, within(listed("TOP"))),
    case(ANNOUNCED, "on the port with TLS", BROKEN, *IMPLICIT, within(listed("TOP", "STLS"))),
    case(ANNOUNCED, "after the login", BROKEN, *LOGIN, listed("STLS")),
    case(ANNOUNCED, "not after the login", HELD, *LOGIN, listed("TOP")),
    case(LOGGED_IN, "refused", HELD, *LOGIN, said("STLS", "-ERR")),
    case(LOGGED_IN, "accepted", BROKEN, *LOGIN, STLS),
    case(LOGGED_IN, "accepted before the login", NOTHING, HELLO, STLS),
    case(LOGGED_IN, "accepted inside TLS", BROKEN, *IMPLICIT, *LOGIN_IN_TLS, within(STLS)),
    case(CLEAR, "TLS at once", HELD, HELLO, STLS, shook_hands()),
    case(CLEAR, "a hint in a second line", BROKEN, HELLO, STLS, came(b"begin now\r\n")),
    case(CLEAR, "another reply", BROKEN, HELLO, STLS, came(b"+OK begin\r\n")),
    case(CLEAR, "an alert, which is a record of TLS", NOTHING, HELLO, STLS, came(b"\x15\3\3\0\2")),
    case(CLEAR, "TLS from the start", NOTHING, shook_hands()),
    case(ALERT, "with an alert", HELD, *IMPLICIT, within(QUIT), closed(End.CLOSED)),
    case(ALERT, "without", BROKEN, *IMPLICIT, within(QUIT), closed(End.CLOSED_WITHOUT_ALERT)),
    case(ALERT, "a reset, behind which an alert is lost", NOTHING, *IMPLICIT, closed(End.RESET)),
    case(ALERT, "in the clear", NOTHING, HELLO, QUIT, CLOSED),
    *[
        case(VERSION, version or "no common version", verdict, shook_hands(version))
        for version, verdict in (
            ("TLSv1.2", HELD),
            ("TLSv1.3", HELD),
            ("TLSv1.1", BROKEN),
            ("TLSv1", BROKEN),
            (None, BROKEN),
        )
    ],
    case(VERSION, "in the clear", NOTHING, greeted()),
    *[
        case(NAMES, f"SASL {names}", verdict, HELLO, listed(f"SASL {names}"))
        for names, verdict in (
            ("PLAIN LOGIN", HELD),
            ("X_A-9 " + "A" * 20, HELD),
            ("A" * 21, BROKEN),
            ("plain", BROKEN),
            ("AUTH=PLAIN", BROKEN),
            ("PLAIN LOGIN PLAIN", BROKEN),
            ("", NOTHING),
        )
    ],
    case(NAMES, "named on two lines", BROKEN, HELLO, listed("SASL PLAIN", "SASL PLAIN")),
    case(NAMES, "no SASL", NOTHING, HELLO, listed("TOP")),
    case(STAYS, "still there", HELD, HELLO, listed("SASL PLAIN"), *LOGIN[1:], listed("SASL X")),
    case(STAYS, "gone", BROKEN, HELLO, listed("SASL PLAIN"), *LOGIN[1:], listed("TOP")),
    case(STAYS, "never there", NOTHING, HELLO, listed("TOP"), *LOGIN[1:], listed("TOP")),
    case(STAYS, "not asked before", NOTHING, *LOGIN, listed("TOP")),
    case(
        STAYS,
        "asked on another layer before (RFC 5034, section 3)",
        NOTHING,
        *(HELLO, listed("SASL SCRAM-SHA-256"), STLS, shook_hands()),
        *LOGIN_IN_TLS,
        within(listed("TOP")),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_check_says_what_the_rule_says(case: Case) -> None:
    assert_as_expected(case)


SOUND: dict[str, Sequence[Exchange]] = {
    "STLS with all that belongs to it": [
        *(HELLO, listed("STLS", "SASL"), STLS, shook_hands()),
        *map(within, (listed("SASL PLAIN"), said("STLS", "-ERR"), *LOGIN[1:])),
        *map(within, (listed("SASL PLAIN"), said("STLS", "-ERR"), QUIT)),
        closed(End.CLOSED),
    ],
    "STLS between USER and PASS, and the name forgotten (section 4 does not say)": [
        *(HELLO, said("USER alice", "+OK"), STLS, shook_hands()),
        within(said("PASS secret", "-ERR")),
    ],
    "a server that has only TLS 1.3 (RFC 8314, section 4)": [shook_hands("TLSv1.3"), within(HELLO)],
    "a close in the middle of TLS, at a time when it is allowed": [
        *(*IMPLICIT, within(said("USER alice", "+OK")), within(said("PASS wrong", "-ERR"))),
        replace(came(b"", End.CLOSED_WITHOUT_ALERT), secure=True),
    ],
    "a command in the clear where TLS is due, and no reply to it": [
        *(HELLO, STLS, said("QUIT", None, end=End.CLOSED)),
    ],
    "a close behind STLS, before TLS (RFC 2595, section 2.5)": [
        *(HELLO, STLS, came(b"", End.CLOSED)),
    ],
}


@pytest.mark.parametrize("title", SOUND)
def test_a_sound_server_is_not_accused(title: str) -> None:
    assert judgements(SOUND[title]) == []


def test_a_second_greeting_behind_stls_is_unasked() -> None:
    again = within(came(b"+OK ready again\r\n"))

    (broken,) = judgements([*BEHIND, again])

    assert broken.startswith("rfc1939-3-nothing-unasked")
