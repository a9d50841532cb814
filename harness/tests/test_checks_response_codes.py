"""The checks of response codes: replies that keep, break or do not touch their rules.

SOUND holds sessions that a naive rule would accuse; each names the text that allows it.
"""

from collections.abc import Sequence

import pytest
from cases import BROKEN, HELD, NOTHING, Case, assert_as_expected, case, name_of
from said import LOGIN, QUIT, answered, began, challenged, continued, greeted, judgements, said

from pop3spec.protocol.codes import registered, response_code
from pop3spec.transcript import Exchange

FORM, TOLD = "rfc2449-8-response-code-form", "rfc2449-8-announced"
ERRORS, COMMAND = "rfc2449-8.1-errors-only", "rfc2449-8.1-fitting-command"
AUTH_TOLD = "rfc3206-5-announced"

HELLO = greeted()
USER = said("USER alice", "+OK")
CODES = said("CAPA", "+OK", ["RESP-CODES", "AUTH-RESP-CODE", "SASL PLAIN"])
NO_CODES = said("CAPA", "+OK", ["TOP"])
NO_CAPA = said("CAPA", "-ERR what?")
OPEN = (*LOGIN, CODES)
PLAIN = began("PLAIN", "+ ")


def refused(text: str, command: str = "PASS secret") -> Exchange:
    return said(command, f"-ERR {text}")


CASES = [
    *[
        case(FORM, text, verdict, HELLO, CODES, USER, refused(text))
        for text, verdict in (
            ("[AUTH] wrong", HELD),
            ("[auth]", HELD),
            ("[IN-USE]locked", HELD),
            ("[SYS/TEMP] try later", HELD),
            ("[XYZ/A/B/C] one of ours", HELD),
            ("[[AUTH] a bracket within", HELD),
            ("[] nothing", BROKEN),
            ("[IN USE] a blank", BROKEN),
            ("[AUTH wrong", BROKEN),
            ("[/TEMP] an empty level", BROKEN),
            ("[SYS/] an empty level", BROKEN),
            ("[SYS//TEMP] an empty level", BROKEN),
            ("[AUTH\t] a tab", BROKEN),
            ("wrong [AUTH]", NOTHING),
            ("", NOTHING),
        )
    ],
    case(FORM, "in a positive reply", BROKEN, *OPEN, said("NOOP", "+OK [ what")),
    case(FORM, "of many lines", BROKEN, *OPEN, said("LIST", "+OK [2 messages", [])),
    case(FORM, "where numbers come first", NOTHING, *OPEN, said("STAT", "+OK [2 200")),
    case(FORM, "without the capability", NOTHING, HELLO, NO_CODES, USER, refused("[ what")),
    case(FORM, "without CAPA", NOTHING, HELLO, NO_CAPA, USER, refused("[127.0.0.1] what")),
    case(FORM, "in a challenge", NOTHING, HELLO, CODES, began("PLAIN", "+ [ what")),
    case(FORM, "behind what no client may send", NOTHING, HELLO, CODES, said("A\x01", "-ERR [ x")),
    *[
        case(ERRORS, f"{line} to PASS", verdict, HELLO, CODES, USER, said("PASS secret", line))
        for line, verdict in (
            ("-ERR [AUTH] wrong", HELD),
            ("-ERR [sys/perm] wrong", HELD),
            ("+OK [AUTH] right", BROKEN),
            ("+OK [in-use] right", BROKEN),
            ("+OK [LOGIN-DELAY/300] right", BROKEN),
            ("+OK [SYS/TEMP/DISK] right", BROKEN),
            ("+OK [SYS] of one level", NOTHING),
            ("+OK [SYS/NEW] of another second level", NOTHING),
            ("+OK [AUTHENTIC] right", NOTHING),
            ("+OK [XYZ] right", NOTHING),
            ("+OK right [AUTH]", NOTHING),
        )
    ],
    case(ERRORS, "UTF8", BROKEN, *OPEN, said("RETR 1", "+OK [UTF8] here", [])),
    case(ERRORS, "without the capability", NOTHING, HELLO, NO_CODES, said("USER a", "+OK [AUTH]")),
    *[
        case(COMMAND, f"{code} to {command}", verdict, HELLO, CODES, refused(code, command))
        for code, command, verdict in (
            ("[IN-USE]", "PASS secret", HELD),
            ("[IN-USE]", "APOP alice 0", HELD),
            ("[IN-USE]", "AUTH PLAIN", HELD),
            ("[IN-USE]", "USER alice", BROKEN),
            ("[IN-USE/POP]", "STAT", BROKEN),
            ("[in-use]", "QX7Z", BROKEN),
            ("[LOGIN-DELAY]", "USER alice", HELD),
            ("[LOGIN-DELAY]", "AUTH PLAIN", HELD),
            ("[LOGIN-DELAY]", "CAPA", BROKEN),
            ("[AUTH]", "USER alice", HELD),
            ("[AUTH]", "pass secret", HELD),
            ("[AUTH]", "STLS", BROKEN),
            ("[AUTH]", "QUIT", BROKEN),
            ("[SYS/TEMP]", "STLS", NOTHING),
            ("[SYS/PERM]", "CAPA", NOTHING),
            ("[UTF8]", "STAT", NOTHING),
            ("[XYZ]", "STAT", NOTHING),
        )
    ],
    case(COMMAND, "the end of AUTH", HELD, HELLO, CODES, PLAIN, answered(b"x", "-ERR [AUTH]")),
    case(COMMAND, "AUTH is cancelled", HELD, HELLO, CODES, PLAIN, continued("*", "-ERR [AUTH]")),
    case(COMMAND, "behind AUTH", BROKEN, HELLO, CODES, refused("[AUTH]", "NOOP")),
    case(COMMAND, "in the greeting", NOTHING, greeted("-ERR [IN-USE] busy")),
    case(COMMAND, "without the capability", NOTHING, HELLO, NO_CODES, refused("[AUTH]", "STAT")),
    *[
        case(TOLD, name, verdict, HELLO, *capa, USER, refused(text))
        for name, capa, text, verdict in (
            ("announced", (CODES,), "[IN-USE]", HELD),
            ("not announced", (NO_CODES,), "[IN-USE]", BROKEN),
            ("not announced, in small letters", (NO_CODES,), "[sys/temp]", BROKEN),
            ("not registered", (NO_CODES,), "[XYZ]", NOTHING),
            ("AUTH, which has a rule of its own", (NO_CODES,), "[AUTH]", NOTHING),
            ("CAPA refused", (NO_CAPA,), "[IN-USE]", NOTHING),
            ("CAPA never asked", (), "[IN-USE]", NOTHING),
        )
    ],
    case(
        TOLD, "known from before the login", NOTHING, HELLO, NO_CODES, *LOGIN, refused("[SYS/TEMP]")
    ),
    *[
        case(AUTH_TOLD, name, verdict, HELLO, *capa, USER, refused(text))
        for name, capa, text, verdict in (
            ("announced", (CODES,), "[AUTH]", HELD),
            ("not announced", (NO_CODES,), "[AUTH]", BROKEN),
            ("a detail of it", (NO_CODES,), "[AUTH/EXPIRED]", BROKEN),
            ("CAPA refused", (NO_CAPA,), "[AUTH]", NOTHING),
            ("CAPA never asked", (), "[AUTH]", NOTHING),
            ("another code", (NO_CODES,), "[IN-USE]", NOTHING),
        )
    ],
]


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_check_says_what_the_rfc_says(case: Case) -> None:
    assert_as_expected(case)


SOUND: dict[str, Sequence[Exchange]] = {
    "RFC 2449, section 8: a code that is not registered, with a positive reply": (
        *(HELLO, CODES, USER),
        said("PASS secret", "+OK [XNEWMAIL/3] welcome"),
        QUIT,
    ),
    "RFC 2449, section 6.4: brackets mean nothing where nothing is announced": (
        greeted("+OK [10.0.0.1] ready"),
        NO_CODES,
        said("USER alice", "+OK [alice] go on"),
        said("PASS secret", "-ERR [sorry"),
    ),
    "RFC 3206, section 4: SYS with any command": (
        *OPEN,
        said("RETR 1", "-ERR [SYS/TEMP] the store is away"),
        said("TOP 1 0", "-ERR [SYS/PERM] the message is damaged"),
    ),
    "RFC 3206, section 5: AUTH at the end of an exchange, whatever ended it": (
        *(HELLO, CODES, PLAIN),
        continued("*", "-ERR [AUTH] cancelled"),
        began("QX7ZJ4", "-ERR [AUTH] unknown"),
        began("CRAM-MD5", challenged(b"<1.2@example.org>")),
        answered(b"alice 0", "-ERR [AUTH/UNKNOWN] who?"),
    ),
}


@pytest.mark.parametrize("exchanges", SOUND.values(), ids=SOUND)
def test_a_sound_session_is_not_accused(exchanges: Sequence[Exchange]) -> None:
    assert judgements(exchanges) == []


@pytest.mark.parametrize(
    ("code", "known"),
    [
        ("AUTH", "AUTH"),
        ("AUTH/EXPIRED/TODAY", "AUTH"),
        ("SYS/TEMP", "SYS/TEMP"),
        ("SYS/PERM/DISK", "SYS/PERM"),
        ("SYS", None),
        ("SYS/OTHER", None),
        ("IN-USED", None),
        (None, None),
    ],
)
def test_a_detail_belongs_to_its_code(code: str | None, known: str | None) -> None:
    assert registered(code) == known


def test_a_code_is_read_in_any_case_and_ends_at_its_bracket() -> None:
    assert response_code(b"[Sys/Temp]] try later") == "SYS/TEMP"
    assert response_code(b" [AUTH] behind a blank") is None
