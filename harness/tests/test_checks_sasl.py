"""The checks of AUTH and of what is said in it: exchanges that keep, break or do not touch them.

SOUND holds sessions that a naive rule would accuse; each names the text that allows it.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from cases import BROKEN, HELD, NOTHING, Case, assert_as_expected, case, name_of
from said import (
    HELLO,
    LOGIN,
    QUIT,
    answered,
    began,
    came,
    challenged,
    continued,
    judgements,
    reply,
    said,
)

from pop3spec.transcript import End, Exchange, Kind

CHALLENGE, EMPTY = "rfc5034-4-challenge", "rfc5034-4-empty-challenge"
CLIENT_FIRST, INITIAL = "rfc5034-4-client-first", "rfc5034-4-initial-response"
LOGGED_IN, SUCCESS = "rfc5034-4-auth-in-transaction", "rfc5034-4-success-data"
CRAM, DIGEST = "rfc2195-2-challenge", "rfc2831-2.1.1-challenge"
FIRST, FINAL = "rfc5802-7-server-first-message", "rfc5802-7-server-final-message"
NONCE, COUNT = "rfc5802-5.1-server-nonce", "rfc5802-5.1-iteration-count"
OAUTH, SEQUENCE = "rfc7628-3.2.2-error-result", "rfc7628-3.2.3-error-sequence"
XOAUTH2, PROMPTS = "practice-xoauth2-error", "practice-login-mechanism"
SECRET = "practice-secret-not-repeated"

PLAIN = b"\0alice\0se-cret-1"
# RFC 5802, section 5.
CLIENT = b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"
SERVER = b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"
PROOF = b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
SIGNATURE = b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ="
SCRAM = "SCRAM-SHA-1"
ASKED = began(SCRAM, challenged(SERVER), CLIENT)
PROVEN = answered(PROOF, challenged(SIGNATURE))
# RFC 2831, section 4.
DIRECTIVES = (
    b'realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",qop="auth",'
    b"algorithm=md5-sess,charset=utf-8"
)
TOKEN = b"n,a=alice,\x01auth=Bearer vF9dft4qmT\x01\x01"
OLD_TOKEN = b"user=alice\x01auth=Bearer vF9dft4qmT\x01\x01"
ERROR = b'{"status":"invalid_token","scope":"mail"}'
NAME = began("LOGIN", challenged(b"Username:"))
PASSWORD = answered(b"alice", challenged(b"Password:"))
REFUSED = said("AUTH PLAIN", "-ERR")


def scram(first: bytes) -> Exchange:
    """What the server says to nonce and name."""
    return began(SCRAM, challenged(first), CLIENT)


def final(message: bytes) -> tuple[Exchange, ...]:
    """What the server says to the proof."""
    return HELLO, ASKED, answered(PROOF, challenged(message))


CASES = [
    *[
        case(CHALLENGE, f"{line!r}", verdict, HELLO, said("AUTH LOGIN", line))
        for line, verdict in (
            (b"+ VXNlcm5hbWU6\r\n", HELD),
            (b"+ VXNlcm5hbWU6" + b"A" * 1200 + b"\r\n", HELD),
            (b"+ VXNlcm5hbWU6\n", BROKEN),
            (b"+ VXNlcm5hbWU\r\n", BROKEN),
            (b"+ VXNl=bWU6\r\n", BROKEN),
            (b"+ VXNlcm5h-_U6\r\n", BROKEN),
            (b"+ Username:\r\n", BROKEN),
            (b"+ VXNlcm5hbWU6 \r\n", BROKEN),
            (b"+  VXNlcm5hbWU6\r\n", BROKEN),
            (b"+VXNlcm5hbWU6\r\n", BROKEN),
            (b"+ \r\n", NOTHING),
            (b"-ERR\r\n", NOTHING),
        )
    ],
    case(CHALLENGE, "a second line of base64", BROKEN, HELLO, NAME, came(b"VXNl\r\n")),
    case(CHALLENGE, "another reply behind it", NOTHING, HELLO, NAME, came(b"-ERR\r\n")),
    case(CHALLENGE, "another challenge behind it", NOTHING, HELLO, NAME, came(b"+ VXNl\r\n")),
    case(CHALLENGE, "outside of AUTH", NOTHING, HELLO, said("NOOP", "+ x")),
    case(CHALLENGE, "in a later step", BROKEN, HELLO, NAME, answered(b"alice", "+ Password:")),
    *[
        case(EMPTY, f"{line!r}", verdict, HELLO, said("AUTH PLAIN", line))
        for line, verdict in (
            (b"+ \r\n", HELD),
            (b"+\r\n", BROKEN),
            (b"+  \r\n", BROKEN),
            (b"+ \n", BROKEN),
            (b"+ VXNl\r\n", NOTHING),
            (b"+OK\r\n", NOTHING),
        )
    ],
    case(EMPTY, "in a later step", BROKEN, HELLO, NAME, answered(b"alice", b"+\r\n".decode())),
    *[
        case(CLIENT_FIRST, f"{mechanism}: {status}", verdict, HELLO, began(mechanism, status))
        for mechanism, status, verdict in (
            ("PLAIN", "+ ", HELD),
            ("plain", "+ ", HELD),
            ("SCRAM-SHA-256", "+ ", HELD),
            ("ANONYMOUS", "+", HELD),
            ("PLAIN", "+OK go on", BROKEN),
            ("PLAIN", "+ Z28gb24=", BROKEN),
            ("OAUTHBEARER", "+ e30=", BROKEN),
            ("PLAIN", "+ go on!", NOTHING),
            ("EXTERNAL", "-ERR", NOTHING),
            ("LOGIN", "+ VXNl", NOTHING),
        )
    ],
    case(CLIENT_FIRST, "with a response", NOTHING, HELLO, began("PLAIN", "+ ", PLAIN)),
    *[
        case(INITIAL, f"{mechanism}: {status}", verdict, HELLO, began(mechanism, status, octets))
        for mechanism, octets, status, verdict in (
            ("PLAIN", PLAIN, "+OK", HELD),
            (SCRAM, CLIENT, challenged(SERVER), HELD),
            ("OAUTHBEARER", TOKEN, challenged(ERROR), HELD),
            ("PLAIN", PLAIN, "+ ", BROKEN),
            ("EXTERNAL", b"", "+ ", BROKEN),
            (SCRAM, CLIENT, "+ ", BROKEN),
            ("PLAIN", PLAIN, "-ERR", NOTHING),
            ("LOGIN", b"alice", "+ ", NOTHING),
            ("DIGEST-MD5", b"x", "+ ", NOTHING),
        )
    ],
    case(INITIAL, "none in base64", NOTHING, HELLO, said("AUTH PLAIN !!!!", "+ ")),
    case(LOGGED_IN, "refused", HELD, *LOGIN, said("AUTH PLAIN", "-ERR")),
    case(LOGGED_IN, "begun", BROKEN, *LOGIN, said("AUTH PLAIN", "+ ")),
    case(LOGGED_IN, "taken", BROKEN, *LOGIN, began("PLAIN", "+OK", PLAIN)),
    case(LOGGED_IN, "behind AUTH", BROKEN, HELLO, began("PLAIN", "+OK", PLAIN), NAME),
    case(LOGGED_IN, "a list of mechanisms", NOTHING, *LOGIN, said("AUTH", "+OK", ["PLAIN"])),
    case(LOGGED_IN, "before the login", NOTHING, HELLO, NAME),
    case(SUCCESS, "the empty answer", HELD, HELLO, ASKED, PROVEN, answered(b"", "+OK")),
    case(SUCCESS, "behind +OK", BROKEN, HELLO, ASKED, answered(PROOF, f"+OK {SIGNATURE!r}")),
    case(
        SUCCESS,
        "once more behind +OK",
        BROKEN,
        *(HELLO, ASKED, PROVEN, answered(b"", f"+OK {challenged(SIGNATURE)[2:]}")),
    ),
    case(SUCCESS, "none at all", BROKEN, HELLO, ASKED, answered(PROOF, "+OK")),
    case(SUCCESS, "the empty answer refused", BROKEN, HELLO, ASKED, PROVEN, answered(b"", "-ERR")),
    case(
        SUCCESS,
        "a maildrop in use",
        NOTHING,
        *(HELLO, ASKED, PROVEN, answered(b"", "-ERR maildrop already locked")),
    ),
    case(SUCCESS, "a proof that is refused", NOTHING, HELLO, ASKED, answered(PROOF, "-ERR")),
    case(SUCCESS, "cancelled", NOTHING, HELLO, ASKED, PROVEN, continued("*", "-ERR")),
    case(SUCCESS, "another mechanism", NOTHING, HELLO, began("PLAIN", "+OK", PLAIN)),
    *[
        case(CRAM, f"{octets!r}", verdict, HELLO, began("CRAM-MD5", challenged(octets)))
        for octets, verdict in (
            (b"<1896.697170952@postoffice.reston.mci.net>", HELD),
            (b'<"a b".1@[127.0.0.1]>', HELD),
            (b"1896.697170952@postoffice", BROKEN),
            (b"<1896.697170952>", BROKEN),
            (b"<1@h", BROKEN),
        )
    ],
    case(CRAM, "no challenge", NOTHING, HELLO, began("CRAM-MD5", "-ERR")),
    case(CRAM, "an initial response", NOTHING, HELLO, began("CRAM-MD5", challenged(b"x"), b"x")),
    *[
        case(DIGEST, title, verdict, HELLO, began("DIGEST-MD5", challenged(octets)))
        for title, octets, verdict in (
            ("as in section 4", DIRECTIVES, HELD),
            ("with what is unknown", DIRECTIVES + b',x-y="a\\"b",,maxbuf=9', HELD),
            ("several realms", b'realm="a",' + DIRECTIVES, HELD),
            ("no algorithm", DIRECTIVES.replace(b"algorithm=md5-sess,", b""), BROKEN),
            ("another algorithm", DIRECTIVES.replace(b"md5-sess", b"md5"), BROKEN),
            ("two nonces", DIRECTIVES + b',nonce="x"', BROKEN),
            ("no nonce", DIRECTIVES.replace(b"nonce=", b"once="), BROKEN),
            ("no directives", b"go on!", BROKEN),
            ("2048 octets", DIRECTIVES.ljust(2048, b" "), BROKEN),
            ("2047 octets", DIRECTIVES.ljust(2047, b" "), HELD),
        )
    ],
    case(
        DIGEST,
        "what the server proves",
        NOTHING,
        *(HELLO, began("DIGEST-MD5", challenged(DIRECTIVES))),
        answered(b"username=x", challenged(b"rspauth=0")),
    ),
    *[
        case(FIRST, title, verdict, HELLO, scram(octets))
        for title, octets, verdict in (
            ("as in section 5", SERVER, HELD),
            ("an extension", SERVER + b",x=y", HELD),
            ("another order", b"s=QSXC,r=fyko,i=4096", BROKEN),
            ("a salt without padding", SERVER.replace(b"92,", b"9,"), BROKEN),
            ("no iteration", SERVER.replace(b"4096", b"0"), BROKEN),
            ("a count with zeros", SERVER.replace(b"4096", b"04096"), BROKEN),
            ("an error", b"e=other-error", NOTHING),
        )
    ],
    case(FIRST, "ignored response", NOTHING, HELLO, scram(b"")),
    case(
        FIRST,
        "nothing, to a response",
        BROKEN,
        *(HELLO, began(SCRAM, "+ "), answered(CLIENT, "+ ")),
    ),
    case(
        FIRST,
        "on a line of its own",
        HELD,
        *(HELLO, began(SCRAM, "+ "), answered(CLIENT, challenged(SERVER))),
    ),
    *[
        case(NONCE, title, verdict, HELLO, scram(octets))
        for title, octets, verdict in (
            ("with more behind", SERVER, HELD),
            ("the client's alone", SERVER.replace(b"3rfcNHYJY1ZVvWVs7j", b""), BROKEN),
            ("the client's cut", SERVER.replace(b"kxdawL3", b"3"), BROKEN),
            ("no message", b"x", NOTHING),
        )
    ],
    *[
        case(COUNT, f"i={count!r}", verdict, HELLO, scram(SERVER.replace(b"4096", count)))
        for count, verdict in ((b"4096", HELD), (b"10000", HELD), (b"4095", BROKEN), (b"", NOTHING))
    ],
    *[
        case(FINAL, f"{message!r}", verdict, *final(message))
        for message, verdict in (
            (SIGNATURE, HELD),
            (SIGNATURE + b",x=y", HELD),
            (b"e=invalid-proof", HELD),
            (b"v=", BROKEN),
            (b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ", BROKEN),
            (b"e=", BROKEN),
            (b"wrong password", BROKEN),
            (b"", BROKEN),
        )
    ],
    case(FINAL, "-ERR alone", NOTHING, HELLO, ASKED, answered(PROOF, "-ERR")),
    *[
        case(OAUTH, f"{error!r}", verdict, HELLO, began("OAUTHBEARER", challenged(error), TOKEN))
        for error, verdict in (
            (ERROR, HELD),
            (b'{"status": 401}', HELD),
            (b"invalid token", BROKEN),
            (b"{}", BROKEN),
            (b'["status"]', BROKEN),
            (b"\xff", BROKEN),
            (b"[" * 3000, BROKEN),
            (b"", NOTHING),
        )
    ],
    case(OAUTH, "-ERR at once", NOTHING, HELLO, began("OAUTHBEARER", "-ERR", TOKEN)),
    *[
        case(
            SEQUENCE,
            status,
            verdict,
            *(HELLO, began("OAUTHBEARER", challenged(ERROR), TOKEN)),
            answered(b"\x01", status),
        )
        for status, verdict in (
            ("-ERR", HELD),
            ("+OK", BROKEN),
            (challenged(ERROR), BROKEN),
        )
    ],
    case(
        SEQUENCE,
        "cancelled",
        NOTHING,
        *(HELLO, began("OAUTHBEARER", challenged(ERROR), TOKEN), continued("*", "-ERR")),
    ),
    *[
        case(XOAUTH2, f"{status}", verdict, HELLO, began("XOAUTH2", status, OLD_TOKEN))
        for status, verdict in (
            (challenged(b'{"status":"401"}'), HELD),
            (challenged(b"no"), BROKEN),
            ("-ERR", NOTHING),
        )
    ],
    *[
        case(
            XOAUTH2,
            f"then {status}",
            verdict,
            *(HELLO, began("XOAUTH2", challenged(b"{}"), OLD_TOKEN), answered(b"", status)),
        )
        for status, verdict in (("-ERR", HELD), ("+OK", BROKEN), (challenged(b"{}"), BROKEN))
    ],
    case(PROMPTS, "two questions", HELD, HELLO, NAME, PASSWORD, answered(b"x", "+OK")),
    case(PROMPTS, "two questions, refused", HELD, HELLO, NAME, PASSWORD, answered(b"x", "-ERR")),
    case(PROMPTS, "a third one", BROKEN, HELLO, NAME, PASSWORD, answered(b"x", "+ VXNl")),
    case(PROMPTS, "the name alone", BROKEN, HELLO, NAME, answered(b"alice", "+OK")),
    case(PROMPTS, "nothing", BROKEN, HELLO, began("LOGIN", "+OK")),
    case(PROMPTS, "a name that is refused", NOTHING, HELLO, NAME, answered(b"alice", "-ERR")),
    case(PROMPTS, "cancelled late", NOTHING, HELLO, NAME, PASSWORD, continued("*", "+ VXNl")),
    case(PROMPTS, "an initial response", NOTHING, HELLO, began("LOGIN", "+OK", b"alice")),
    *[
        case(SECRET, title, verdict, *exchanges)
        for title, verdict, exchanges in (
            ("PASS, silent", HELD, [HELLO, said("PASS se-cret-1", "-ERR wrong password")]),
            ("PASS, told", BROKEN, [HELLO, said("PASS se-cret-1", "-ERR bad 'se-cret-1'")]),
            ("PASS, a word", NOTHING, [HELLO, said("PASS password", "-ERR wrong password")]),
            ("PASS, short", NOTHING, [HELLO, said("PASS a-1", "-ERR a-1")]),
            (
                "PASS, the name",
                NOTHING,
                [HELLO, said("USER alice-1", "+OK"), said("PASS alice-1", "-ERR for alice-1")],
            ),
            ("APOP", BROKEN, [HELLO, said("APOP alice c4c9334bac", "-ERR c4c9334bac is wrong")]),
            ("PLAIN, silent", HELD, [HELLO, began("PLAIN", "+OK welcome alice", PLAIN)]),
            ("PLAIN, told", BROKEN, [HELLO, began("PLAIN", "-ERR alice/se-cret-1", PLAIN)]),
            ("the line", BROKEN, [HELLO, began("PLAIN", "-ERR AGFsaWNlAHNlLWNyZXQtMQ==", PLAIN)]),
            ("LOGIN", BROKEN, [HELLO, NAME, PASSWORD, answered(b"se-cret-1", "-ERR se-cret-1")]),
            ("the name of LOGIN", NOTHING, [HELLO, NAME, answered(b"alice-1", "-ERR alice-1")]),
            (
                "no base64, told",
                BROKEN,
                [HELLO, began("PLAIN", "+ "), continued("AGFsaWNl!AHNl", "-ERR AGFsaWNl!AHNl")],
            ),
            (
                "no base64, silent",
                HELD,
                [HELLO, began("PLAIN", "+ "), continued("AGFsaWNl!AHNl", "-ERR no base64")],
            ),
            ("a proof", HELD, [HELLO, ASKED, answered(PROOF, "-ERR")]),
            (
                "a token in the error",
                BROKEN,
                [HELLO, began("OAUTHBEARER", challenged(b'{"a":"vF9dft4qmT"}'), TOKEN)],
            ),
        )
    ],
]


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_check_says_what_the_rule_says(case: Case) -> None:
    assert_as_expected(case)


IN_TRANSACTION = (HELLO, began("PLAIN", "+OK", PLAIN))

SOUND: dict[str, Sequence[Exchange]] = {
    "a login by PLAIN, then STAT (RFC 5034, section 4)": [
        *(*IN_TRANSACTION, said("STAT", "+OK 0 0"), said("AUTH PLAIN", "-ERR"), QUIT),
    ],
    "a login by PLAIN in two lines": [
        *(HELLO, began("PLAIN", "+ "), answered(PLAIN, "+OK"), said("NOOP", "+OK")),
    ],
    "a login by LOGIN, whatever the words (an expired draft)": [
        *(HELLO, began("LOGIN", challenged(b"User Name\0")), answered(b"a", challenged(b"?"))),
        *(answered(b"x", "+OK"), said("LIST", "+OK", ())),
    ],
    "a login by SCRAM": [HELLO, ASKED, PROVEN, answered(b"", "+OK"), said("STAT", "+OK 0 0")],
    "SCRAM refused with an error first (RFC 5802, section 5.1)": [
        *final(b"e=invalid-proof"),
        answered(b"", "-ERR"),
        said("CAPA", "+OK", ()),
    ],
    "a response that looks like a command": [
        *(HELLO, began("LOGIN", "+ VXNl"), continued("STAT", "+ UGFz"), continued("QUIT", "-ERR")),
        said("CAPA", "+OK", ()),
    ],
    "a close behind a refused exchange (RFC 1939, section 4)": [
        *(HELLO, began("PLAIN", "+ "), answered(PLAIN, "-ERR"), came(b"", End.CLOSED)),
    ],
    "a close behind a cancelled one": [
        *(HELLO, began("PLAIN", "+ "), continued("*", "-ERR"), came(b"", End.CLOSED)),
    ],
    "a close instead of a refusal": [
        *(HELLO, began("PLAIN", "+ ")),
        replace(answered(PLAIN, "-ERR"), reply=None, end=End.CLOSED),
    ],
    "a timer that expires in an exchange": [
        *(HELLO, began("PLAIN", "+ "), came(b"-ERR idle\r\n", End.CLOSED, Kind.SILENCE, at=60.0)),
    ],
    "a challenge that is longer than a reply (RFC 5034, section 4)": [
        *(HELLO, began("LOGIN", challenged(b"x" * 3000)), answered(b"a", challenged(b"?"))),
    ],
    "AUTH without a mechanism (RFC 1734's heirs)": [HELLO, said("AUTH", "-ERR"), QUIT],
    "a name that outlives an AUTH that failed (RFC 5034, section 4)": [
        *(HELLO, said("USER alice", "+OK"), began("PLAIN", "+ "), answered(PLAIN, "-ERR")),
        said("PASS se-cret-1", "+OK"),
    ],
    "nothing said by EXTERNAL": [HELLO, began("EXTERNAL", "-ERR", b""), QUIT],
}


@pytest.mark.parametrize("title", SOUND)
def test_a_sound_server_is_not_accused(title: str) -> None:
    assert judgements(SOUND[title]) == []


def hung(response: bytes) -> Exchange:
    return replace(answered(response, "x"), reply=None, end=End.TIMEOUT)


WRONG: dict[str, tuple[str, Sequence[Exchange]]] = {
    "a response that is not answered": (
        "rfc1939-3-reply-per-command",
        [HELLO, began("PLAIN", "+ "), hung(PLAIN)],
    ),
    "STAT behind a refused exchange": (
        "rfc1939-4-login-refused",
        [HELLO, began("PLAIN", "-ERR", PLAIN), said("STAT", "+OK 0 0")],
    ),
    "STAT where a list of mechanisms was refused": (
        "rfc1939-3-wrong-state",
        [HELLO, said("AUTH", "-ERR"), said("STAT", "+OK 0 0")],
    ),
    "a close behind success": (
        "rfc1939-3-stays-open",
        [*IN_TRANSACTION, came(b"", End.CLOSED)],
    ),
    "a close behind a challenge": (
        "rfc1939-3-stays-open",
        [HELLO, began("PLAIN", "+ "), came(b"", End.CLOSED)],
    ),
    "lines behind a refused exchange": (
        "rfc1939-3-error-single-line",
        [HELLO, began("PLAIN", "+ "), answered(PLAIN, "-ERR"), came(b"see the log\r\n")],
    ),
    "lines behind success": (
        "rfc1939-3-single-line",
        [HELLO, began("PLAIN", "+ "), answered(PLAIN, "+OK"), came(b"you have mail\r\n")],
    ),
    "two replies to one response": (
        "rfc1939-3-nothing-unasked",
        [HELLO, began("PLAIN", "+ "), answered(PLAIN, "-ERR"), came(b"-ERR\r\n")],
    ),
    "a login by APOP behind one by AUTH": (
        "rfc1939-7-login-in-transaction",
        [*IN_TRANSACTION, said("USER alice", "+OK")],
    ),
    "an end without a line end": (
        "rfc1939-3-response-crlf",
        [
            *(HELLO, began("PLAIN", "+ ")),
            replace(answered(PLAIN, "-ERR"), reply=reply(b"-ERR\n")),
        ],
    ),
}


@pytest.mark.parametrize("title", WRONG)
def test_what_rfc_1939_says_holds_in_an_exchange_of_sasl_as_well(title: str) -> None:
    rule, exchanges = WRONG[title]

    (broken,) = judgements(exchanges)

    assert broken.startswith(f"{rule}:")


def test_a_finding_never_shows_the_secret() -> None:
    told = said("PASS se-cret-1", "-ERR bad password 'se-cret-1'")

    (broken,) = judgements([HELLO, said("USER alice", "+OK"), told])

    assert "se-cret" not in broken
