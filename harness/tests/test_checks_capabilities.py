"""The checks of capability lists: sessions that keep, break or do not touch them.

SOUND holds sessions that a naive rule would accuse; each names the text that allows it.
"""

from collections.abc import Sequence

import pytest
from cases import BROKEN, HELD, NOTHING, Case, assert_as_expected, case, name_of, verdicts_of
from said import HELLO, LOGIN, began, judgements, said, shook_hands, within

from pop3spec.rulebook.checks import CHECKS
from pop3spec.transcript import Exchange

STATES, LINE, LENGTH = (
    "rfc2449-5-both-states",
    "rfc2449-5-capability-line",
    "rfc2449-5-line-length",
)
STAYS, ARGUMENTS, SAME = (
    "rfc2449-5-announced-after-login",
    "rfc2449-5-same-arguments",
    "rfc2449-5-same-list",
)
FORM, USER = "rfc2449-6-tag-arguments", "rfc2449-6.2-user-after-login"
DELAY, LARGEST, TOKEN = (
    "rfc2449-6.5-login-delay-form",
    "rfc2449-6.5-largest-delay",
    "rfc2449-6.5-user-token",
)
PERIOD, SMALLEST = "rfc2449-6.7-expire-form", "rfc2449-6.7-smallest-period"

REFUSED = said("CAPA", "-ERR unknown")
WRONG = (said("USER alice", "+OK"), said("PASS wrong", "-ERR"))
STLS = (said("STLS", "+OK"), shook_hands())


def listed(*lines: str | bytes) -> Exchange:
    return said("CAPA", "+OK", lines)


def before_and_after(one: Sequence[str], other: Sequence[str]) -> list[Exchange]:
    """A list before the login, and one after it."""
    return [HELLO, listed(*one), *LOGIN[1:], listed(*other)]


CASES = [
    case(STATES, "twice", HELD, HELLO, listed("TOP"), listed("TOP")),
    case(STATES, "before and after the login", HELD, *before_and_after(["TOP"], ["TOP"])),
    case(STATES, "once", NOTHING, HELLO, listed("TOP")),
    case(STATES, "never", NOTHING, HELLO, REFUSED, *LOGIN[1:], REFUSED),
    case(STATES, "not after the login", BROKEN, HELLO, listed("TOP"), *LOGIN[1:], REFUSED),
    case(STATES, "after the login alone", BROKEN, HELLO, REFUSED, *LOGIN[1:], listed("TOP")),
    case(STATES, "not behind a wrong password", BROKEN, HELLO, listed("TOP"), *WRONG, REFUSED),
    case(STATES, "not in small letters", NOTHING, HELLO, listed("TOP"), said("capa", "-ERR")),
    case(STATES, "not inside TLS", NOTHING, HELLO, listed("TOP"), *STLS, within(REFUSED)),
    case(
        STATES,
        "trouble that passes",
        NOTHING,
        *(HELLO, listed("TOP"), said("CAPA", "-ERR [SYS/TEMP] later")),
    ),
    *[
        case(LINE, repr(line), verdict, HELLO, listed(line))
        for line, verdict in (
            ("TOP", HELD),
            ("sasl PLAIN X.Y", HELD),
            ("IMPLEMENTATION Pop3d v1.2 (build 7)", HELD),
            ("TOP ", BROKEN),
            (" TOP", BROKEN),
            ("SASL  PLAIN", BROKEN),
            ("SASL\tPLAIN", BROKEN),
            ("X.Y", BROKEN),
            ("IMPLEMENTATION caf\xe9", BROKEN),
            ("", BROKEN),
        )
    ],
    case(LINE, "no line at all", NOTHING, HELLO, listed()),
    case(LENGTH, "512 octets", HELD, HELLO, listed("X " + "y" * 508)),
    case(LENGTH, "513 octets", BROKEN, HELLO, listed("X " + "y" * 509)),
    case(LENGTH, "a refusal", NOTHING, HELLO, REFUSED),
    *[
        case(STAYS, title, verdict, *before_and_after(one, other))
        for title, one, other, verdict in (
            ("the same", ["TOP", "UIDL"], ["uidl", "top"], HELD),
            ("one more", ["TOP"], ["TOP", "EXPIRE 5"], HELD),
            ("one less", ["TOP", "PIPELINING"], ["TOP"], BROKEN),
            ("one less that nobody has registered", ["TOP", "XY"], ["TOP"], BROKEN),
            ("STLS, USER, SASL and UTF8", ["STLS", "USER", "SASL X", "UTF8"], ["TOP"], NOTHING),
        )
    ],
    case(STAYS, "asked on another layer", NOTHING, HELLO, listed("TOP"), *STLS, within(listed())),
    case(STAYS, "not asked before", NOTHING, *LOGIN, listed("TOP")),
    *[
        case(ARGUMENTS, f"{one}, then {other}", verdict, *before_and_after([one], [other]))
        for one, other, verdict in (
            ("SASL PLAIN LOGIN", "SASL LOGIN PLAIN", HELD),
            ("SASL PLAIN LOGIN", "SASL LOGIN", BROKEN),
            ("SASL PLAIN", "SASL", BROKEN),
            ("SASL", "SASL PLAIN", BROKEN),
            ("SASL PLAIN", "TOP", NOTHING),
            ("UTF8 USER", "UTF8 user", HELD),
            ("UTF8 USER", "UTF8", BROKEN),
            ("EXPIRE 5 USER", "EXPIRE 7", NOTHING),
            ("IMPLEMENTATION x", "IMPLEMENTATION x 7", NOTHING),
            ("XY 1", "XY 2", NOTHING),
        )
    ],
    *[
        case(SAME, title, verdict, HELLO, listed(*one), listed(*other))
        for title, one, other, verdict in (
            ("in another order", ["TOP", "SASL X Y"], ["SASL Y X", "TOP"], HELD),
            ("on two lines", ["SASL X Y"], ["SASL X", "SASL Y"], HELD),
            ("with a counter", ["IMPLEMENTATION x 1"], ["IMPLEMENTATION x 2"], HELD),
            ("without STLS", ["TOP", "STLS"], ["TOP"], HELD),
            ("with one less", ["TOP", "UIDL"], ["UIDL"], BROKEN),
            ("with one more", ["TOP"], ["TOP", "UIDL"], BROKEN),
            ("with other mechanisms", ["SASL X"], ["SASL Y"], BROKEN),
        )
    ],
    case(SAME, "after the login", NOTHING, *before_and_after(["TOP"], ["TOP", "UIDL"])),
    *[
        case(FORM, line, verdict, HELLO, listed(line))
        for line, verdict in (
            ("TOP", HELD),
            ("auth-resp-code", HELD),
            ("UTF8", HELD),
            ("UTF8 USER", HELD),
            ("IMPLEMENTATION Pop3d v1.2", HELD),
            ("TOP 1", BROKEN),
            ("PIPELINING yes", BROKEN),
            ("UTF8 yes", BROKEN),
            ("UTF8 USER USER", BROKEN),
            ("IMPLEMENTATION", BROKEN),
            ("SASL PLAIN", NOTHING),
            ("XY 1", NOTHING),
        )
    ],
    case(USER, "still there", HELD, *before_and_after(["USER"], ["user"])),
    case(USER, "gone", BROKEN, *before_and_after(["USER"], ["TOP"])),
    case(USER, "never there", NOTHING, *before_and_after(["TOP"], ["TOP"])),
    *[
        case(rule, f"{line} before the login", verdict, HELLO, listed(line))
        for rule, line, verdict in (
            (DELAY, "LOGIN-DELAY 900", HELD),
            (DELAY, "login-delay 0 USER", HELD),
            (DELAY, "LOGIN-DELAY", BROKEN),
            (DELAY, "LOGIN-DELAY 5m", BROKEN),
            (DELAY, "LOGIN-DELAY NEVER", BROKEN),
            (DELAY, "LOGIN-DELAY 5 seconds", BROKEN),
            (DELAY, "EXPIRE 5m", NOTHING),
            (PERIOD, "EXPIRE 0", HELD),
            (PERIOD, "EXPIRE NEVER", HELD),
            (PERIOD, "EXPIRE NEVER USER", HELD),
            (PERIOD, "EXPIRE 5 USER", HELD),
            (PERIOD, "EXPIRE -1", BROKEN),
            (PERIOD, "EXPIRE USER", BROKEN),
            (PERIOD, "EXPIRE 5 USER USER", BROKEN),
            (PERIOD, "LOGIN-DELAY 5m", NOTHING),
        )
    ],
    *[
        case(rule, f"{line} after the login", verdict, *LOGIN, listed(line))
        for rule, line, verdict in (
            (DELAY, "LOGIN-DELAY 5", HELD),
            (DELAY, "LOGIN-DELAY 5 USER", BROKEN),
            (PERIOD, "EXPIRE NEVER", HELD),
            (PERIOD, "EXPIRE 5 USER", BROKEN),
        )
    ],
    *[
        case(rule, f"{one}, then {other}", verdict, *before_and_after([one], [other]))
        for rule, one, other, verdict in (
            (LARGEST, "LOGIN-DELAY 120", "LOGIN-DELAY 90", HELD),
            (LARGEST, "LOGIN-DELAY 90", "LOGIN-DELAY 120", BROKEN),
            (LARGEST, "LOGIN-DELAY 90", "LOGIN-DELAY 90", HELD),
            (LARGEST, "LOGIN-DELAY 90", "LOGIN-DELAY 2m", NOTHING),
            (LARGEST, "LOGIN-DELAY 90", "TOP", NOTHING),
            (SMALLEST, "EXPIRE 5 USER", "EXPIRE 30", HELD),
            (SMALLEST, "EXPIRE 5 USER", "EXPIRE NEVER", HELD),
            (SMALLEST, "EXPIRE NEVER", "EXPIRE never", HELD),
            (SMALLEST, "EXPIRE 30", "EXPIRE 5", BROKEN),
            (SMALLEST, "EXPIRE NEVER USER", "EXPIRE 5", BROKEN),
            (SMALLEST, "TOP", "EXPIRE 5", NOTHING),
            (TOKEN, "EXPIRE 5 USER", "EXPIRE 30", HELD),
            (TOKEN, "EXPIRE 5", "EXPIRE 30", BROKEN),
            (TOKEN, "EXPIRE 5", "EXPIRE 005", NOTHING),
            (TOKEN, "LOGIN-DELAY 9", "LOGIN-DELAY 8", BROKEN),
            (TOKEN, "LOGIN-DELAY 9 USER", "LOGIN-DELAY 8", HELD),
        )
    ],
]


@pytest.mark.parametrize("given", CASES, ids=name_of)
def test_a_check_says_what_the_rule_says(given: Case) -> None:
    assert_as_expected(given)


def test_each_check_holds_breaks_and_is_silent_somewhere() -> None:
    seen = verdicts_of(CASES)

    assert {rule: verdicts for rule, verdicts in seen.items() if len(verdicts) < 3} == {}
    assert seen.keys() <= CHECKS.keys()


SOUND: dict[str, Sequence[Exchange]] = {
    "nothing but PASS and QUIT behind USER (RFC 1939, section 7)": [
        *(HELLO, said("USER alice", "+OK"), REFUSED, REFUSED, said("PASS wrong", "-ERR")),
        *(listed("TOP"), said("USER alice", "+OK"), REFUSED, said("PASS secret", "-ERR")),
    ],
    "a server without CAPA (section 5)": [HELLO, REFUSED, *LOGIN[1:], REFUSED],
    "tags in any case and order, unknown ones, and some after the login alone (section 5)": [
        *before_and_after(
            ["top", "X-FOO bar", "Sasl PLAIN", "IMPLEMENTATION a b.c"],
            ["IMPLEMENTATION a b.c", "SASL PLAIN", "x-foo baz", "TOP", "UIDL", "EXPIRE 0"],
        )
    ],
    "USER and PLAIN inside TLS alone, where STLS is gone (RFC 2595, section 4)": [
        *(HELLO, listed("STLS", "SASL SCRAM-SHA-256"), *STLS),
        *map(within, (listed("USER", "SASL PLAIN SCRAM-SHA-256"), *LOGIN[1:])),
        within(listed("USER", "SASL SCRAM-SHA-256 PLAIN")),
    ],
    "STLS before the login alone (RFC 2595, section 4)": [
        *before_and_after(["STLS", "TOP"], ["TOP"]),
    ],
    "STLS that is not for who has begun with UTF8 (RFC 6856, section 2.1)": [
        *(HELLO, listed("STLS", "UTF8"), said("UTF8", "+OK"), listed("UTF8")),
    ],
    "a delay and a period of the account's own (sections 6.5 and 6.7)": [
        *before_and_after(
            ["LOGIN-DELAY 900 USER", "EXPIRE 0 USER"], ["LOGIN-DELAY 60", "EXPIRE NEVER"]
        )
    ],
    "IMPLEMENTATION after the login alone (section 6.9)": [
        *before_and_after(["TOP"], ["TOP", "IMPLEMENTATION Shlemazle-Plotz-v302"]),
    ],
    "a login by AUTH (RFC 5034, section 3)": [
        *(HELLO, listed("SASL PLAIN"), began("PLAIN", "+OK", b"\0alice\0secret")),
        listed("SASL PLAIN"),
    ],
    "a tag on two lines": [HELLO, listed("SASL PLAIN", "SASL LOGIN"), listed("SASL LOGIN PLAIN")],
}


@pytest.mark.parametrize("title", SOUND)
def test_a_sound_server_is_not_accused(title: str) -> None:
    assert judgements(SOUND[title]) == []
