"""The checks, one by one: the smallest session that keeps, breaks or does not touch a rule.

SOUND holds sessions that a naive rule would accuse; each names the text that allows it.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from cases import BROKEN, HELD, NOTHING, Case, assert_as_expected, case, name_of, verdicts_of
from said import (
    CLOSED,
    HELLO,
    LOGIN,
    QUIT,
    announcing,
    came,
    continued,
    greeted,
    history,
    judgements,
    said,
)
from test_checks_capabilities import CASES as CASES_OF_CAPABILITIES
from test_checks_internationalisation import CASES as CASES_OF_INTERNATIONALISATION
from test_checks_response_codes import CASES as CASES_OF_RESPONSE_CODES
from test_checks_sasl import CASES as CASES_OF_SASL
from test_checks_tls import CASES as CASES_OF_TLS

from pop3spec.rulebook.checks import CHECKS, judge
from pop3spec.rulebook.history import Filling
from pop3spec.rulebook.rules import rulebook
from pop3spec.transcript import End, Exchange, Kind

TWO = Filling(count=2, is_clean=True, is_distinct=True)
EMPTY = Filling(count=0, is_clean=True, is_distinct=True)
UNENDED = Filling(count=2, is_distinct=True)
UNUSUAL_LINES = ("Subject: x", "", "caf\xe9", "a\0nul", "x" * 999, "the end")
UNUSUAL = Filling(
    count=1,
    is_clean=True,
    body="".join(f"{line}\r\n" for line in UNUSUAL_LINES[2:]).encode("latin-1"),
    is_unusual=True,
)
LONE_CR = Filling(count=1, body=b"a\rb\xe9\r\n", is_unusual=True)
CHANGING = Filling(may_change=True)

STAT = said("STAT", "+OK 2 320")
LIST = said("LIST", "+OK", ["1 120", "2 200"])
UIDL = said("UIDL", "+OK", ["1 a", "2 b"])
DELE = said("DELE 1", "+OK")
RSET = said("RSET", "+OK")
MESSAGE = ("Subject: x", "", "one", "two")
SIZE = sum(len(line) + 2 for line in MESSAGE)
RETR = said("RETR 1", "+OK", MESSAGE)
APOP = said("APOP alice 0", "+OK")
UNKNOWN = said("XQZJ", "-ERR")
REFUSED = (HELLO, said("USER alice", "+OK"), said("PASS wrong", "-ERR"))


def without(octets: str, other: str) -> list[str]:
    """The unusual lines with something else in place of some octets."""
    return [line.replace(octets, other, 1) for line in UNUSUAL_LINES]


def silence(at: float = 0.0, partial: bytes = b"", end: End | None = None) -> Exchange:
    return came(partial, end, Kind.SILENCE, at)


def cut(command: str, partial: bytes, end: End) -> Exchange:
    """A reply that did not come to its end."""
    return said(command, None, partial=partial, end=end)


def unanswered(command: str | bytes, end: End = End.TIMEOUT) -> Exchange:
    return said(command, None, end=end)


OFFERS = said("CAPA", "+OK", ["TOP", "UIDL"])
FORTY = "9" * 40
NAME = "x" * 40
LONGEST = "x" * 248
REST = came(b"-ERR unknown\r\n")
PLAIN_CAPA = said("CAPA", "+OK", ["USER"])
LANG_CAPA = said("CAPA", "+OK", ["LANG"])

FRAMING = [
    *[
        case("rfc1939-3-status-indicator", title, verdict, HELLO, said("NOOP", line))
        for title, line, verdict in (
            ("a bare +OK (RFC 1957)", "+OK", HELD),
            ("a bare -ERR", "-ERR", HELD),
            ("a blank and nothing", "+OK ", HELD),
            ("a bare +OK with LF alone", b"+OK\n", HELD),
            ("+OKAY", "+OKAY", BROKEN),
            ("-ERROR", "-ERROR x", BROKEN),
            ("lower case", "+ok x", BROKEN),
            ("a tab instead of the blank", "+OK\tx", BROKEN),
            ("a challenge outside of AUTH", "+ x", BROKEN),
            ("an empty line", b"\r\n", BROKEN),
        )
    ],
    case("rfc1939-3-status-indicator", "the greeting", HELD, greeted()),
    case("rfc1939-3-status-indicator", "an IMAP greeting", BROKEN, greeted("* OK")),
    case(
        "rfc1939-3-status-indicator",
        "a SASL challenge (RFC 5034)",
        NOTHING,
        HELLO,
        said("AUTH PLAIN", "+ "),
    ),
    case(
        "rfc1939-3-status-indicator",
        "another challenge",
        NOTHING,
        HELLO,
        said("AUTH LOGIN", "+ VXNlcg=="),
        continued("YQ==", "+ UGFzcw=="),
    ),
    case("rfc1939-3-status-indicator", "no reply", NOTHING, HELLO, unanswered("NOOP")),
    case(
        "rfc1939-3-status-indicator",
        "perhaps a late line of the listing that LIST 1 got",
        NOTHING,
        *LOGIN,
        said("LIST 1", "+OK 1 messages:"),
        said("STAT", "1 222"),
    ),
    case(
        "rfc1939-3-status-indicator",
        "behind LIST 1 with a scan listing",
        BROKEN,
        *LOGIN,
        said("LIST 1", "+OK 1 222"),
        said("STAT", "1 222"),
    ),
    case("rfc1939-3-response-crlf", "CRLF", HELD, HELLO, said("NOOP", "+OK")),
    case("rfc1939-3-response-crlf", "LF alone", BROKEN, HELLO, said("NOOP", b"+OK\n")),
    case("rfc1939-3-response-crlf", "CR CR LF", BROKEN, HELLO, said("NOOP", b"+OK\r\r\n")),
    case("rfc1939-3-response-crlf", "a lone CR", BROKEN, HELLO, said("NOOP", b"+OK a\rb\r\n")),
    case(
        "rfc1939-3-response-crlf",
        "no line end at all",
        BROKEN,
        HELLO,
        cut("NOOP", b"+OK", End.TIMEOUT),
    ),
    case(
        "rfc1939-3-response-crlf",
        "a connection that breaks in mid-line",
        NOTHING,
        HELLO,
        cut("NOOP", b"+OK", End.CLOSED),
    ),
    case("rfc1939-3-response-crlf", "nothing came", NOTHING, HELLO, unanswered("NOOP")),
    case(
        "rfc1939-3-response-length",
        "512 octets with CRLF",
        HELD,
        HELLO,
        said("NOOP", "+OK " + "x" * 506),
    ),
    case(
        "rfc1939-3-response-length",
        "513 octets",
        BROKEN,
        HELLO,
        said("NOOP", "+OK " + "x" * 507),
    ),
    case(
        "rfc1939-3-response-length",
        "a greeting of 513 octets",
        BROKEN,
        greeted("+OK " + "x" * 507),
    ),
    case(
        "rfc1939-3-response-length",
        "a line without end",
        BROKEN,
        HELLO,
        cut("NOOP", b"x" * 2000, End.TOO_LONG),
    ),
    case(
        "rfc1939-3-response-length",
        "further lines have no limit",
        HELD,
        *LOGIN,
        said("RETR 1", "+OK", ["x" * 2000]),
    ),
    case(
        "rfc1939-3-response-length",
        "a challenge has no limit (RFC 5034, section 4)",
        NOTHING,
        HELLO,
        said("AUTH GSSAPI", "+ " + "x" * 2000),
    ),
    case(
        "rfc1939-3-response-length",
        "the echo of an over-long line",
        NOTHING,
        HELLO,
        said("x" * 600, "-ERR unknown command " + "x" * 600),
    ),
    case("rfc1939-3-line-crlf", "a clean listing", HELD, *LOGIN, LIST),
    case(
        "rfc1939-3-line-crlf",
        "LF in a listing",
        BROKEN,
        *LOGIN,
        said("LIST", "+OK", b"1 120\n2 200\r\n"),
    ),
    case(
        "rfc1939-3-line-crlf",
        "CR in a capability list",
        BROKEN,
        HELLO,
        said("CAPA", "+OK", b"TOP\r\r\nUIDL\r\n"),
    ),
    case(
        "rfc1939-3-line-crlf",
        "LF in a message that holds none",
        BROKEN,
        *LOGIN,
        said("RETR 1", "+OK", b"a\nb\r\n"),
        filling=TWO,
    ),
    case(
        "rfc1939-3-line-crlf",
        "LF in somebody's message",
        NOTHING,
        *LOGIN,
        said("RETR 1", "+OK", b"a\nb\r\n"),
    ),
    case("rfc1939-3-line-crlf", "one line", NOTHING, *LOGIN, STAT),
    case("rfc1939-3-multi-line-end", "a dot", HELD, *LOGIN, LIST),
    case(
        "rfc1939-3-multi-line-end",
        "an empty listing",
        HELD,
        *LOGIN,
        said("LIST", "+OK", []),
    ),
    case(
        "rfc1939-3-multi-line-end",
        "dot and LF",
        BROKEN,
        *LOGIN,
        cut("LIST", b"+OK\r\n1 120\r\n.\n", End.TIMEOUT),
    ),
    case(
        "rfc1939-3-multi-line-end",
        "a close in the middle",
        BROKEN,
        *LOGIN,
        cut("LIST", b"+OK\r\n1 12", End.CLOSED),
    ),
    case(
        "rfc1939-3-multi-line-end",
        "a listing without end",
        BROKEN,
        *LOGIN,
        cut("LIST", b"+OK\r\n1 120\r\n", End.TOO_LONG),
    ),
    case("rfc1939-3-multi-line-end", "one line", NOTHING, *LOGIN, STAT),
    case("rfc1939-3-multi-line-end", "no reply", NOTHING, *LOGIN, unanswered("LIST")),
    case("rfc1939-3-multi-line-end", "a refusal", NOTHING, *LOGIN, said("LIST", "-ERR")),
    case("rfc1939-3-reply-per-command", "a refusal", HELD, HELLO, said("XYZZ", "-ERR")),
    case("rfc1939-3-reply-per-command", "silence", BROKEN, HELLO, unanswered("NOOP")),
    case(
        "rfc1939-3-reply-per-command",
        "half a reply",
        NOTHING,
        HELLO,
        cut("NOOP", b"+O", End.TIMEOUT),
    ),
    case(
        "rfc1939-3-reply-per-command",
        "a close instead of it",
        NOTHING,
        HELLO,
        unanswered("NOOP", End.CLOSED),
    ),
    case(
        "rfc1939-3-reply-per-command",
        "silence about a line with LF alone",
        NOTHING,
        HELLO,
        unanswered(b"NOOP\n"),
    ),
    case(
        "rfc1939-3-reply-per-command",
        "silence behind an over-long line",
        NOTHING,
        HELLO,
        said("x" * 300, "-ERR"),
        unanswered("NOOP"),
    ),
    case("rfc1939-3-nothing-unasked", "silence", HELD, HELLO, silence()),
    case("rfc1939-3-nothing-unasked", "the next reply", HELD, HELLO, said("CAPA", "-ERR")),
    case(
        "rfc1939-3-nothing-unasked",
        "two replies to one command",
        BROKEN,
        *LOGIN,
        DELE,
        came(b"+OK\r\n"),
    ),
    case(
        "rfc1939-3-nothing-unasked",
        "a notice while nothing is outstanding",
        BROKEN,
        *LOGIN,
        LIST,
        silence(partial=b"* you have mail\r\n"),
    ),
    case(
        "rfc1939-3-nothing-unasked",
        "a parting line after several refusals",
        NOTHING,
        HELLO,
        said("XYZZ", "-ERR"),
        said("XYZZ", "-ERR"),
        came(b"-ERR too many errors\r\n", End.CLOSED),
    ),
    case(
        "rfc1939-3-nothing-unasked",
        "an early parting line",
        BROKEN,
        HELLO,
        said("NOOP", "-ERR"),
        came(b"-ERR I am going\r\n", End.CLOSED),
    ),
    case(
        "rfc1939-3-nothing-unasked",
        "a notice that the service ends",
        NOTHING,
        *LOGIN,
        came(b"-ERR [SYS/TEMP] shutting down\r\n", End.CLOSED),
    ),
    case(
        "rfc1939-3-nothing-unasked",
        "a notice of the autologout timer (SHOULD at most)",
        NOTHING,
        *LOGIN,
        silence(600.0, b"-ERR autologout\r\n", End.CLOSED),
    ),
    case(
        "rfc1939-3-nothing-unasked",
        "more replies behind an over-long line that was cut",
        NOTHING,
        HELLO,
        said("x" * 600, "-ERR"),
        came(b"-ERR\r\n-ERR\r\n"),
    ),
    case(
        "rfc1939-3-nothing-unasked",
        "an answer to an over-long line before it has an end",
        NOTHING,
        HELLO,
        came(b"-ERR too long\r\n", deliberate=True),
    ),
    case(
        "rfc1939-3-nothing-unasked",
        "a line that came while CAPA was on its way",
        BROKEN,
        HELLO,
        said("CAPA", "+OK hello again", ("+OK here is the list", "TOP")),
    ),
    case(
        "rfc1939-3-nothing-unasked",
        "the reply to an earlier command, before that to CAPA",
        NOTHING,
        HELLO,
        unanswered("NOOP"),
        said("CAPA", "+OK", ("+OK here is the list", "TOP")),
    ),
    case(
        "rfc1939-3-nothing-unasked",
        "the end of a message that had ended at a dot before",
        BROKEN,
        *LOGIN,
        said("TOP 1 2", "+OK", ("Subject: dots", "")),
        said("STAT", "."),
    ),
    case(
        "rfc1939-3-status-indicator",
        "the end of a message that had ended at a dot before",
        NOTHING,
        *LOGIN,
        said("TOP 1 2", "+OK", ("Subject: dots", "")),
        said("STAT", "."),
    ),
    case("rfc1939-3-status-indicator", "a dot for an answer", BROKEN, *LOGIN, said("STAT", ".")),
    case(
        "rfc1939-3-nothing-unasked",
        "a reply that is late",
        NOTHING,
        *LOGIN,
        unanswered("STAT"),
        came(b"+OK 2 320\r\n"),
    ),
    case("rfc1939-3-error-single-line", "silence", HELD, HELLO, said("NOOP", "-ERR"), silence()),
    case(
        "rfc1939-3-error-single-line",
        "a terminating dot",
        BROKEN,
        *LOGIN,
        said("RETR 9", "-ERR"),
        came(b".\r\n"),
    ),
    case(
        "rfc1939-3-error-single-line",
        "help on further lines",
        BROKEN,
        HELLO,
        said("XYZZ", "-ERR commands are:"),
        silence(partial=b"USER PASS\r\n"),
    ),
    case("rfc1939-3-error-single-line", "behind +OK", NOTHING, *LOGIN, STAT),
    case("rfc1939-3-single-line", "the next reply", HELD, *LOGIN, STAT, RSET),
    case(
        "rfc1939-3-single-line",
        "DELE with a dot",
        BROKEN,
        *LOGIN,
        DELE,
        came(b".\r\n"),
    ),
    case(
        "rfc1939-3-single-line",
        "LIST n with lines",
        BROKEN,
        *LOGIN,
        said("LIST 1", "+OK"),
        came(b"1 120\r\n.\r\n"),
    ),
    case("rfc1939-3-single-line", "behind a listing", NOTHING, *LOGIN, LIST, STAT),
    case(
        "rfc1939-3-single-line",
        "a vendor's command with lines",
        NOTHING,
        HELLO,
        said("HELP", "+OK"),
        came(b"USER PASS\r\n.\r\n"),
    ),
    case("rfc1939-3-stays-open", "a reply", HELD, HELLO, said("NOOP", "-ERR")),
    case("rfc1939-3-stays-open", "unasked", BROKEN, *LOGIN, came(b"", End.CLOSED)),
    case("rfc1939-3-stays-open", "a reset", BROKEN, *LOGIN, unanswered("STAT", End.RESET)),
    case(
        "rfc1939-3-stays-open",
        "after one refusal",
        BROKEN,
        HELLO,
        said("XYZZ", "-ERR"),
        came(b"", End.CLOSED),
    ),
    *[
        case("rfc1939-3-stays-open", title, NOTHING, *exchanges, came(b"", End.CLOSED, at=at))
        for title, exchanges, at in (
            ("after several refusals", (HELLO, *[said("XYZZ", "-ERR")] * 2), 0.0),
            ("after a failed login (section 4)", REFUSED, 0.0),
            ("after a name that is refused", (HELLO, said("USER alice", "-ERR")), 0.0),
            ("after an over-long line", (HELLO, said("x" * 300, "-ERR")), 0.0),
            ("after QUIT", (*LOGIN, QUIT), 0.0),
            ("by the autologout timer (section 3)", LOGIN, 600.0),
            ("by a shorter timer before the login", (HELLO,), 30.0),
        )
    ],
    case("rfc1939-3-stays-open", "in a moment", BROKEN, *LOGIN, silence(0.2, end=End.CLOSED)),
    case(
        "rfc1939-3-stays-open",
        "by a timer that is too short, which is another rule",
        NOTHING,
        *LOGIN,
        silence(540.0, end=End.CLOSED),
    ),
    case(
        "rfc1939-3-stays-open",
        "with the words that the service ends",
        NOTHING,
        *LOGIN,
        said("STAT", "-ERR Server shutting down."),
        came(b"", End.CLOSED),
    ),
    case(
        "rfc1939-3-autologout",
        "after 9 minutes",
        BROKEN,
        *LOGIN,
        silence(540.0, end=End.CLOSED),
    ),
    case(
        "rfc1939-3-autologout",
        "a close that is found at the next command",
        BROKEN,
        *LOGIN,
        replace(unanswered("STAT", End.CLOSED), sent_at=30.0, answered_at=30.0),
    ),
    case(
        "rfc1939-3-autologout",
        "after ten minutes",
        NOTHING,
        *LOGIN,
        came(b"", End.CLOSED, at=600.0),
    ),
    case("rfc1939-3-autologout", "still open then", HELD, *LOGIN, silence(595.0)),
    case("rfc1939-3-autologout", "before the login", NOTHING, HELLO, silence(30.0, end=End.CLOSED)),
    case("rfc1939-3-autologout", "at once", NOTHING, *LOGIN, came(b"", End.CLOSED)),
    case(
        "rfc1939-3-stays-open",
        "instead of a reply to PASS",
        NOTHING,
        HELLO,
        said("USER alice", "+OK"),
        unanswered("PASS wrong", End.CLOSED),
    ),
    case(
        "rfc1939-3-stays-open",
        "instead of a reply to garbage",
        NOTHING,
        HELLO,
        unanswered(b"\0\xff\n", End.CLOSED),
    ),
    case(
        "rfc1939-3-stays-open",
        "in mid-reply, which is another rule",
        NOTHING,
        *LOGIN,
        cut("LIST", b"+OK\r\n1", End.CLOSED),
    ),
    case("rfc1939-3-stays-open", "silence", NOTHING, HELLO, silence()),
]

LENGTHS = [
    *[
        case("rfc1939-3-response-crlf", title, verdict, HELLO, said(sent, line))
        for title, verdict, sent, line in (
            ("a CR that came in comes back", NOTHING, b"NOOP\r\r\n", b"-ERR NOOP\r?\r\n"),
            ("LF alone, whatever came in", BROKEN, b"NOOP\r\r\n", b"-ERR NOOP\n"),
        )
    ],
    *[
        case("rfc1939-3-argument-length", title, verdict, *exchanges)
        for title, verdict, exchanges in (
            ("quiet", HELD, (HELLO, said(f"USER {NAME}", "+OK"), silence())),
            ("two replies", BROKEN, (HELLO, said(f"USER {NAME}", "+OK"), REST)),
            ("two refusals", BROKEN, (*LOGIN, said(f"LIST {FORTY}", "-ERR"), REST)),
            (
                "no reply, to a long name alone",
                BROKEN,
                (HELLO, said("USER x", "+OK"), unanswered(f"USER {NAME}")),
            ),
            (
                "a close, at a long number alone",
                BROKEN,
                (*LOGIN, said("LIST 9", "-ERR"), unanswered(f"LIST {FORTY}", End.CLOSED)),
            ),
            (
                "a close that may be",
                NOTHING,
                (HELLO, said("USER x", "-ERR"), unanswered(f"USER {NAME}", End.CLOSED)),
            ),
            (
                "a close with more on its way behind the command",
                NOTHING,
                (
                    *LOGIN,
                    said("LIST 9", "-ERR"),
                    replace(unanswered(f"LIST {FORTY}", End.CLOSED), is_followed=True),
                ),
            ),
            ("a short name", NOTHING, (HELLO, said("USER x", "+OK"), REST)),
            ("a positive reply besides", NOTHING, (*LOGIN, RETR, came(b"+OK\r\n"))),
            (
                "41 characters",
                NOTHING,
                (HELLO, said(f"USER {NAME}x", "+OK"), REST),
            ),
            (
                "of a server that answers nobody",
                NOTHING,
                (HELLO, unanswered(f"USER {NAME}")),
            ),
        )
    ],
    *[
        case("rfc2449-4-command-length", title, verdict, *exchanges)
        for title, verdict, exchanges in (
            ("quiet", HELD, (HELLO, PLAIN_CAPA, said(f"USER {LONGEST}", "-ERR"), silence())),
            ("two replies", BROKEN, (HELLO, PLAIN_CAPA, said(f"USER {LONGEST}", "+OK"), REST)),
            (
                "no reply",
                BROKEN,
                (HELLO, PLAIN_CAPA, said("USER x", "+OK"), unanswered(f"USER {LONGEST}")),
            ),
            ("no CAPA", NOTHING, (HELLO, said(f"USER {LONGEST}", "+OK"), REST)),
            (
                "a close, at a number too many",
                NOTHING,
                (
                    *(*LOGIN, PLAIN_CAPA, said("RETR 9", "-ERR")),
                    unanswered(f"RETR {'1' * 200} 2", End.CLOSED),
                ),
            ),
            (
                "a close, at AUTH with an initial response",
                NOTHING,
                (
                    *(HELLO, PLAIN_CAPA, said("AUTH PLAIN", b"+ \r\n")),
                    unanswered(f"AUTH PLAIN {'A' * 60}", End.CLOSED),
                ),
            ),
            (
                "256 octets",
                NOTHING,
                (HELLO, PLAIN_CAPA, said(f"USER {LONGEST}x", "-ERR"), REST),
            ),
        )
    ],
    *[
        case("rfc2449-3-printable-text", repr(line), verdict, HELLO, capa, said("NOOP", line))
        for capa, line, verdict in (
            (PLAIN_CAPA, b"-ERR no", HELD),
            (PLAIN_CAPA, b"-ERR", HELD),
            (PLAIN_CAPA, b"-ERR a\ttab", HELD),
            (PLAIN_CAPA, b"-ERR a\x7fDEL", HELD),
            (PLAIN_CAPA, b"-ERR [SYS/TEMP] \x01", HELD),
            (PLAIN_CAPA, b"-ERR [SYS/TEMP] \x00", BROKEN),
            (PLAIN_CAPA, b"-ERR \x00", BROKEN),
            (PLAIN_CAPA, b"-ERR \x1b[31mno", BROKEN),
            (PLAIN_CAPA, b"-ERR na\xefve", BROKEN),
            (PLAIN_CAPA, "-ERR na\u00efve".encode(), BROKEN),
            (PLAIN_CAPA, b"-err \x01", NOTHING),
            (LANG_CAPA, "-ERR na\u00efve".encode(), HELD),
            (LANG_CAPA, b"-ERR na\xefve", BROKEN),
            (said("CAPA", "-ERR"), b"-ERR na\xefve", NOTHING),
        )
    ],
    case(
        "rfc2449-3-printable-text",
        "what came in comes back",
        NOTHING,
        HELLO,
        PLAIN_CAPA,
        said("PASS \u00e9".encode(), "-ERR \u00e9"),
    ),
    case(
        "rfc2449-3-printable-text",
        "a challenge",
        NOTHING,
        HELLO,
        PLAIN_CAPA,
        said("AUTH X", b"+ \xff"),
    ),
]

COMMANDS = [
    case("rfc1939-3-unknown-command", "refused", HELD, HELLO, said("XYZZ", "-ERR")),
    case("rfc1939-3-unknown-command", "accepted", BROKEN, HELLO, said("XYZZ", "+OK")),
    case("rfc1939-3-unknown-command", "five letters", BROKEN, *LOGIN, said("STATX", "+OK 2 320")),
    case(
        "rfc1939-3-unknown-command",
        "garbage accepted",
        BROKEN,
        HELLO,
        said("A" * 300, "+OK"),
    ),
    case("rfc1939-3-unknown-command", "garbage refused", NOTHING, HELLO, said("A" * 300, "-ERR")),
    case("rfc1939-3-unknown-command", "a vendor's command", NOTHING, *LOGIN, said("LAST", "+OK 0")),
    case("rfc1939-3-unknown-command", "8-bit octets", NOTHING, HELLO, said(b"\xff\r\n", "-ERR")),
    case("rfc1939-3-unknown-command", "a tab", NOTHING, *LOGIN, said("NOOP\t", "+OK")),
    case("rfc1939-3-unknown-command", "two in one", NOTHING, *LOGIN, said("NOOP\rNOOP", "+OK")),
    case("rfc1939-3-missing-argument", "RETR", HELD, *LOGIN, said("RETR", "-ERR")),
    case("rfc1939-3-missing-argument", "DELE", BROKEN, *LOGIN, said("DELE", "+OK")),
    case("rfc1939-3-missing-argument", "TOP 1", BROKEN, *LOGIN, said("TOP 1", "+OK", [])),
    case("rfc1939-3-missing-argument", "a blank only", BROKEN, *LOGIN, said("RETR ", "+OK", [])),
    case("rfc1939-3-missing-argument", "USER", BROKEN, HELLO, said("USER", "+OK")),
    case("rfc1939-3-missing-argument", "an empty name", NOTHING, HELLO, said("USER ", "+OK")),
    case("rfc1939-3-missing-argument", "in another state", NOTHING, HELLO, said("RETR", "-ERR")),
    case("rfc1939-3-missing-argument", "an optional one", NOTHING, *LOGIN, LIST),
    case("rfc1939-3-missing-argument", "AUTH (RFC 1734)", NOTHING, HELLO, said("AUTH", "+OK", [])),
    *[
        case("rfc1939-3-malformed-number", line, BROKEN, *LOGIN, said(line, "+OK"))
        for line in (
            "LIST 1abc",
            "DELE -1",
            "LIST 0x1",
            "LIST 1.0",
            "LIST x",
            "DELE ++1",
            "DELE -0",
        )
    ],
    case("rfc1939-3-malformed-number", "refused", HELD, *LOGIN, said("TOP 1 -1", "-ERR")),
    *[
        case("rfc1939-3-malformed-number", line, BROKEN, *LOGIN, said(line, "+OK", []))
        for line in ("TOP 1 -1", "TOP 1 --0", "TOP 1 -", "TOP 1 +-0", "TOP -0 0", "TOP 1 -01")
    ],
    *[
        case("rfc1939-3-malformed-number", line, NOTHING, *LOGIN, said(line, "+OK", []))
        for line in ("TOP 1 -0", "TOP 1 -00", "TOP 1 +0", "TOP 01 00")
    ],
    *[
        case("rfc1939-3-malformed-number", f"leniency: {line}", NOTHING, *LOGIN, said(line, "+OK"))
        for line in ("LIST +1", "LIST 01", "LIST  1", "LIST 1 ", "LIST\t1")
    ],
    case("rfc1939-3-malformed-number", "NUL", NOTHING, *LOGIN, said("LIST 1\0", "+OK 1 120")),
    case("rfc1939-3-malformed-number", "state", NOTHING, HELLO, said("LIST x", "-ERR")),
    case("rfc1939-3-surplus-argument", "refused", HELD, *LOGIN, said("LIST 1 2", "-ERR")),
    case("rfc1939-3-surplus-argument", "DELE 1 2", BROKEN, *LOGIN, said("DELE 1 2", "+OK")),
    case("rfc1939-3-surplus-argument", "TOP", BROKEN, *LOGIN, said("TOP 1 2 3", "+OK", [])),
    case("rfc1939-3-surplus-argument", "blanks", NOTHING, *LOGIN, said("LIST  1 ", "+OK 1 120")),
    case("rfc1939-3-surplus-argument", "STAT x", NOTHING, *LOGIN, said("STAT x", "+OK 2 320")),
    case("rfc1939-5-no-argument", "refused", HELD, *LOGIN, said("STAT x", "-ERR")),
    case("rfc1939-5-no-argument", "STAT", BROKEN, *LOGIN, said("STAT x", "+OK 2 320")),
    case("rfc1939-5-no-argument", "QUIT", BROKEN, HELLO, said("QUIT now", "+OK")),
    case("rfc1939-5-no-argument", "a trailing blank", NOTHING, *LOGIN, said("NOOP ", "+OK")),
    case("rfc1939-5-no-argument", "in another state", NOTHING, HELLO, said("STAT x", "-ERR")),
    *[
        case("rfc1939-3-wrong-state", line, verdict, HELLO, said(line, status))
        for line in ("STAT", "LIST 1", "RETR 1", "DELE 1", "RSET", "TOP 1 0", "UIDL 1")
        for status, verdict in (("-ERR", HELD), ("+OK", BROKEN))
    ],
    case("rfc1939-3-wrong-state", "even with LF alone", BROKEN, HELLO, said(b"STAT\n", "+OK 2 1")),
    case("rfc1939-3-wrong-state", "after the login", NOTHING, *LOGIN, STAT),
    case("rfc1939-3-wrong-state", "CAPA", NOTHING, HELLO, said("CAPA", "+OK", [])),
    case("rfc1939-3-wrong-state", "after a refused one", NOTHING, *REFUSED, said("STAT", "-ERR")),
    case("rfc1939-3-wrong-state", "no reply", NOTHING, HELLO, unanswered("STAT")),
    case("rfc1939-4-login-refused", "refused", HELD, *REFUSED, said("STAT", "-ERR")),
    case("rfc1939-4-login-refused", "accepted", BROKEN, *REFUSED, said("STAT", "+OK 2 320")),
    case("rfc1939-4-login-refused", "a new login", NOTHING, *REFUSED, *LOGIN[1:], STAT),
    case("rfc1939-4-login-refused", "before any login", NOTHING, HELLO, said("STAT", "-ERR")),
    case("rfc1939-5-noop-state", "refused", HELD, HELLO, said("NOOP", "-ERR")),
    case("rfc1939-5-noop-state", "accepted", BROKEN, HELLO, said("NOOP", "+OK")),
    case("rfc1939-5-noop-state", "after the login", NOTHING, *LOGIN, said("NOOP", "+OK")),
    *[
        case("rfc1939-7-login-in-transaction", line, verdict, *LOGIN, said(line, status))
        for line in ("USER alice", "PASS secret", "APOP alice 0")
        for status, verdict in (("-ERR", HELD), ("+OK", BROKEN))
    ],
    case("rfc1939-7-login-in-transaction", "before", NOTHING, HELLO, said("USER a", "+OK")),
    case("rfc1939-7-pass-after-user", "refused", HELD, HELLO, said("PASS secret", "-ERR")),
    case("rfc1939-7-pass-after-user", "accepted", BROKEN, HELLO, said("PASS secret", "+OK")),
    case(
        "rfc1939-7-pass-after-user",
        "after a refused USER",
        BROKEN,
        HELLO,
        said("USER bob", "-ERR"),
        said("PASS secret", "+OK"),
    ),
    case("rfc1939-7-pass-after-user", "in order", NOTHING, *LOGIN),
    case(
        "rfc1939-7-pass-after-user",
        "a name that is remembered beyond another one",
        NOTHING,
        HELLO,
        said("USER alice", "+OK"),
        said("USER bob", "-ERR"),
        said("PASS secret", "+OK"),
    ),
    case(
        "rfc1939-7-pass-after-user",
        "a name that is remembered beyond PASS",
        NOTHING,
        *REFUSED,
        said("PASS secret", "+OK"),
    ),
    case(
        "practice-pass-directly-after-user",
        "refused",
        HELD,
        HELLO,
        said("USER alice", "+OK"),
        said("NOOP", "-ERR"),
        said("PASS secret", "-ERR"),
    ),
    case(
        "practice-pass-directly-after-user",
        "a name that is remembered",
        BROKEN,
        *REFUSED,
        said("PASS secret", "+OK"),
    ),
    case("practice-pass-directly-after-user", "in order", NOTHING, *LOGIN),
    case(
        "practice-pass-directly-after-user",
        "a failed AUTH in between, which does not count (RFC 5034, section 4)",
        NOTHING,
        HELLO,
        said("USER alice", "+OK"),
        said("AUTH LOGIN", "+ VXNlcg=="),
        continued("*", "-ERR"),
        said("PASS secret", "+OK"),
    ),
    case(
        "practice-pass-directly-after-user",
        "without any USER",
        NOTHING,
        HELLO,
        said("PASS secret", "+OK"),
    ),
]

SESSIONS = [
    case("rfc1939-4-greeting", "+OK", HELD, HELLO),
    case("rfc1939-4-greeting", "another protocol", BROKEN, greeted("220 ESMTP")),
    case("rfc1939-4-greeting", "two lines", BROKEN, HELLO, came(b"+OK welcome\r\n")),
    case("rfc1939-4-greeting", "the service is refused", NOTHING, greeted("-ERR busy")),
    case(
        "rfc1939-4-greeting",
        "a notice of an impatient timer",
        NOTHING,
        HELLO,
        silence(30.0, b"-ERR timeout\r\n", End.CLOSED),
    ),
    case("rfc1939-4-greeting", "a command", NOTHING, HELLO, said("NOOP", "+OK")),
    case("rfc1939-4-quit", "+OK", HELD, HELLO, QUIT),
    case("rfc1939-4-quit", "-ERR", BROKEN, HELLO, said("QUIT", "-ERR")),
    case("rfc1939-4-quit", "-ERR behind one", BROKEN, HELLO, UNKNOWN, said("QUIT", "-ERR")),
    case(
        "rfc1939-4-quit",
        "a parting line behind several refusals",
        NOTHING,
        *(HELLO, UNKNOWN, UNKNOWN),
        said("QUIT", "-ERR Too many invalid bad commands."),
    ),
    case("rfc1939-4-quit", "no reply but a close", BROKEN, HELLO, unanswered("QUIT", End.CLOSED)),
    case("rfc1939-4-quit", "a close that may be", NOTHING, *REFUSED, unanswered("QUIT", End.RESET)),
    case("rfc1939-4-quit", "with an argument", NOTHING, HELLO, said("QUIT now", "-ERR")),
    case("rfc1939-4-quit", "after the login", NOTHING, *LOGIN, QUIT),
    case("rfc1939-6-quit", "+OK", HELD, *LOGIN, QUIT),
    case("rfc1939-6-quit", "-ERR with nothing marked", BROKEN, *LOGIN, said("QUIT", "-ERR")),
    case("rfc1939-6-quit", "-ERR about marks", HELD, *LOGIN, DELE, said("QUIT", "-ERR")),
    case("rfc1939-6-quit", "before the login", NOTHING, HELLO, QUIT),
    case("rfc1939-6-close", "a close", HELD, *LOGIN, QUIT, CLOSED),
    case("rfc1939-6-close", "a reset", HELD, *LOGIN, QUIT, came(b"", End.RESET, Kind.CLOSE)),
    case("rfc1939-6-close", "open", BROKEN, *LOGIN, QUIT, came(b"", End.TIMEOUT, Kind.CLOSE)),
    case(
        "rfc1939-6-close",
        "more octets",
        BROKEN,
        *LOGIN,
        QUIT,
        came(b"+OK bye\r\n", End.CLOSED, Kind.CLOSE),
    ),
    case(
        "rfc1939-6-close",
        "behind garbage",
        NOTHING,
        HELLO,
        said("x" * 300, "-ERR"),
        QUIT,
        came(b"-ERR\r\n", End.CLOSED, Kind.CLOSE),
    ),
    case("rfc1939-6-close", "a command", NOTHING, *LOGIN, QUIT),
    *[
        case("rfc1939-7-apop-timestamp", line, verdict, greeted(line))
        for line, verdict in (
            ("+OK <1896.697170952@dbc.mtview.ca.us>", HELD),
            ("+OK hello <1.2@[127.0.0.1]> there", HELD),
            ('+OK <"a b".1@host_name>', HELD),
            ("+OK <1@a> <2@b>", BROKEN),
            ("+OK <1@>", BROKEN),
            ("+OK <@host>", BROKEN),
            ("+OK <1.2@a..b>", BROKEN),
            ("+OK ready", NOTHING),
            ("+OK <mail.example.org>", NOTHING),
            ("+OK ask postmaster@example.org", NOTHING),
        )
    ],
    *[
        case("rfc1939-7-apop-without-timestamp", title, verdict, greeted(line), apop)
        for title, line, apop, verdict in (
            ("accepted with one", "+OK <1.2@host>", APOP, HELD),
            ("accepted without one", "+OK ready", APOP, BROKEN),
            ("refused without one", "+OK ready", said("APOP alice 0", "-ERR"), HELD),
            ("refused with one", "+OK <1.2@host>", said("APOP alice 0", "-ERR"), NOTHING),
            ("accepted with one of another form", '+OK <"a b"@host>', APOP, HELD),
            ("accepted with one without an at sign", "+OK <1.2>", APOP, HELD),
            ("without a digest", "+OK ready", said("APOP alice", "+OK"), NOTHING),
            ("no reply", "+OK ready", unanswered("APOP alice 0"), NOTHING),
        )
    ],
    case("rfc1939-7-apop-without-timestamp", "after a login", NOTHING, *LOGIN, APOP),
    case("rfc1939-5-noop", "+OK", HELD, *LOGIN, said("NOOP", "+OK")),
    case("rfc1939-5-noop", "-ERR", BROKEN, *LOGIN, said("NOOP", "-ERR")),
    case("rfc1939-5-noop", "a trailing blank", NOTHING, *LOGIN, said("NOOP ", "-ERR")),
    case("rfc1939-5-noop", "before the login", NOTHING, HELLO, said("NOOP", "-ERR")),
    case("rfc1939-5-rset", "+OK", HELD, *LOGIN, RSET),
    case("rfc1939-5-rset", "-ERR", BROKEN, *LOGIN, said("RSET", "-ERR")),
    case("rfc1939-5-rset", "an argument", NOTHING, *LOGIN, said("RSET 1", "-ERR")),
    case("rfc1939-5-rset", "-ERR about garbage", NOTHING, *LOGIN, said(b"RSET\n", "-ERR")),
]

LISTINGS = [
    *[
        case("rfc1939-5-stat-drop-listing", line, verdict, *LOGIN, said("STAT", line))
        for line, verdict in (
            ("+OK 2 320", HELD),
            ("+OK 0 0", HELD),
            ("+OK 2 320 octets in 2 messages", HELD),
            ("+OK 1 18446744073709551615", HELD),
            ("+OK", BROKEN),
            ("+OK 2", BROKEN),
            ("+OK  2 320", BROKEN),
            ("+OK 2\t320", BROKEN),
            ("+OK 2 messages, 320 octets", BROKEN),
            ("+OK [X] 2 320", BROKEN),
            ("-ERR", BROKEN),
            ("-ERR [SYS/TEMP] the store is away", NOTHING),
            ("-ERR [in-use] wait", NOTHING),
        )
    ],
    *[
        case("rfc1939-5-stat-drop-listing", title, verdict, *exchanges, said(command, "-ERR"))
        for title, exchanges, command, verdict in (
            ("refused when all is marked", (*LOGIN, DELE), "STAT", BROKEN),
            ("refused before a login", (HELLO,), "STAT", NOTHING),
            ("refused with an argument", LOGIN, "STAT 1", NOTHING),
            ("refused in lower case", LOGIN, "stat", NOTHING),
            (
                "refused behind what no client may send",
                (*LOGIN, said("\0", "-ERR")),
                "STAT",
                NOTHING,
            ),
            (
                "refused behind a long command",
                (*LOGIN, said(f"LIST {FORTY}", "-ERR")),
                "STAT",
                NOTHING,
            ),
        )
    ],
    *[
        case("rfc1939-5-list-scan-listing", repr(line), verdict, *LOGIN, listing)
        for line, verdict in (
            ("1 120", HELD),
            ("1 120 octets", HELD),
            ("01 0120", HELD),
            ("1 0", HELD),
            ("1  120", BROKEN),
            ("1", BROKEN),
            (" 1 120", BROKEN),
            ("1 120k", BROKEN),
            ("", BROKEN),
        )
        for listing in (said("LIST 1", f"+OK {line}"), said("LIST", "+OK", ["2 200", line]))
    ],
    case("rfc1939-5-list-scan-listing", "nothing", NOTHING, *LOGIN, said("LIST", "+OK", [])),
    case("rfc1939-5-list-scan-listing", "-ERR", NOTHING, *LOGIN, said("LIST 1", "-ERR")),
    *[
        case("rfc1939-7-uidl-unique-id-listing", repr(line), verdict, *LOGIN, listing)
        for line, verdict in (
            ("1 a", HELD),
            ("1 " + "~" * 70, HELD),
            ("1 a b", BROKEN),
            ("1 a ", BROKEN),
            ("1  a", BROKEN),
            ("1", BROKEN),
        )
        for listing in (said("UIDL 1", f"+OK {line}"), said("UIDL", "+OK", [line]))
    ],
    case("rfc1939-7-uidl-unique-id-listing", "-ERR", NOTHING, *LOGIN, said("UIDL", "-ERR")),
    *[
        case("rfc1939-7-unique-id-form", title, verdict, *LOGIN, said("UIDL", "+OK", [line]))
        for title, line, verdict in (
            ("both ends of the range", "1 !~", HELD),
            ("70 octets", "1 " + "x" * 70, HELD),
            ("71 octets", "1 " + "x" * 71, BROKEN),
            ("none", "1 ", BROKEN),
            ("8 bits", b"1 \xe9", BROKEN),
            ("a tab", "1 a\tb", BROKEN),
        )
    ],
    case("rfc1939-7-unique-id-form", "no listing", NOTHING, *LOGIN, said("UIDL", "+OK", [])),
    case(
        "rfc1939-5-list-argument",
        "the same",
        HELD,
        *LOGIN,
        said("LIST 2", "+OK 2 200"),
        filling=TWO,
    ),
    case(
        "rfc1939-5-list-argument",
        "another",
        BROKEN,
        *LOGIN,
        said("LIST 2", "+OK 1 120"),
        filling=TWO,
    ),
    case("rfc1939-5-list-argument", "-ERR", BROKEN, *LOGIN, said("LIST 2", "-ERR"), filling=TWO),
    *[
        case("rfc1939-5-list-argument", title, NOTHING, *LOGIN, exchange, filling=filling)
        for title, exchange, filling in (
            ("of unknown mail", said("LIST 2", "-ERR"), Filling()),
            ("the system failed", said("LIST 2", "-ERR [SYS/TEMP] disk"), TWO),
            ("for UTF-8 mode", said("LIST 2", "-ERR [UTF8] later"), TWO),
            ("leading zeros refused", said("LIST 02", "-ERR"), TWO),
            ("lower case refused", said("list 2", "-ERR"), TWO),
            ("above the count", said("LIST 3", "-ERR"), TWO),
            ("mail that may have gone", said("LIST 2", "-ERR"), replace(TWO, may_change=True)),
        )
    ],
    case(
        "rfc1939-5-list-argument",
        "marked",
        NOTHING,
        *LOGIN,
        DELE,
        said("LIST 1", "-ERR"),
        filling=TWO,
    ),
    case(
        "rfc1939-7-uidl-argument",
        "the same",
        HELD,
        *LOGIN,
        said("UIDL 2", "+OK 2 b"),
        filling=TWO,
    ),
    case(
        "rfc1939-7-uidl-argument",
        "another",
        BROKEN,
        *LOGIN,
        said("UIDL 2", "+OK 1 a"),
        filling=TWO,
    ),
    case(
        "rfc1939-7-uidl-argument",
        "refused where UIDL is there",
        BROKEN,
        *LOGIN,
        UIDL,
        said("UIDL 2", "-ERR"),
        filling=TWO,
    ),
    case(
        "rfc1939-7-uidl-argument",
        "refused where it is perhaps not",
        NOTHING,
        *LOGIN,
        said("UIDL 2", "-ERR"),
        filling=TWO,
    ),
    case("rfc1939-4-message-numbers", "in order", HELD, *LOGIN, LIST, filling=TWO),
    case(
        "rfc1939-4-message-numbers",
        "out of order (only implied)",
        HELD,
        *LOGIN,
        said("LIST", "+OK", ["2 200", "1 120"]),
        filling=TWO,
    ),
    *[
        case(
            "rfc1939-4-message-numbers",
            title,
            BROKEN,
            *LOGIN,
            said("LIST", "+OK", lines),
            filling=TWO,
        )
        for title, lines in (
            ("zero", ["0 1", "1 120"]),
            ("twice", ["1 120", "1 120"]),
            ("above the count", ["1 120", "3 200"]),
        )
    ],
    case(
        "rfc1939-4-message-numbers",
        "a gap in unknown mail",
        BROKEN,
        *LOGIN,
        said("UIDL", "+OK", ["1 a", "3 c"]),
    ),
    case(
        "rfc1939-4-message-numbers",
        "a gap that DELE left",
        HELD,
        *LOGIN,
        DELE,
        said("UIDL", "+OK", ["2 b", "3 c"]),
    ),
    case(
        "rfc1939-4-message-numbers",
        "a gap that a DELE left which only a lenient server reads",
        HELD,
        *LOGIN,
        said("DELE +1", "+OK"),
        said("UIDL", "+OK", ["2 b", "3 c"]),
    ),
    case(
        "rfc1939-4-message-numbers",
        "above, where mail may arrive",
        HELD,
        *LOGIN,
        STAT,
        said("UIDL", "+OK", ["1 a", "2 b", "3 c"]),
        filling=CHANGING,
    ),
    case("rfc1939-4-message-numbers", "none", NOTHING, *LOGIN, said("LIST", "+OK", [])),
    *[
        case(rule, title, verdict, *LOGIN, said(word, "+OK", lines), filling=filling)
        for rule, word in (
            ("rfc1939-5-list-complete", "LIST"),
            ("rfc1939-7-uidl-complete", "UIDL"),
        )
        for title, lines, filling, verdict in (
            ("all", ["1 1", "2 2"], TWO, HELD),
            ("all, out of order", ["2 2", "1 1"], TWO, HELD),
            ("the last is missing", ["1 1"], TWO, BROKEN),
            ("all are missing", [], TWO, BROKEN),
            ("mail that nobody knows", ["1 1", "2 2"], Filling(), NOTHING),
            ("mail that may vanish", ["2 2"], CHANGING, NOTHING),
            ("an empty maildrop", [], EMPTY, NOTHING),
        )
    ],
    case(
        "rfc1939-5-list-complete",
        "without what is marked",
        HELD,
        *LOGIN,
        DELE,
        said("LIST", "+OK", ["2 200"]),
        filling=TWO,
    ),
    *[
        case(rule, title, verdict, *LOGIN, *exchanges, filling=filling)
        for rule, title, exchanges, filling, verdict in (
            ("rfc1939-5-list-complete", "refused", (said("LIST", "-ERR"),), TWO, BROKEN),
            (
                "rfc1939-5-list-complete",
                "refused with STAT alone to say how many there are",
                (STAT, said("LIST", "-ERR")),
                CHANGING,
                BROKEN,
            ),
            (
                "rfc1939-5-list-complete",
                "refused when empty",
                (said("LIST", "-ERR"),),
                EMPTY,
                NOTHING,
            ),
            (
                "rfc1939-5-list-complete",
                "the system failed",
                (said("LIST", "-ERR [SYS/PERM] disk"),),
                TWO,
                NOTHING,
            ),
            ("rfc1939-7-uidl-complete", "refused", (OFFERS, said("UIDL", "-ERR")), TWO, BROKEN),
            (
                "rfc1939-7-uidl-complete",
                "refused though it worked",
                (said("UIDL 1", "+OK 1 a"), said("UIDL", "-ERR")),
                TWO,
                BROKEN,
            ),
            ("rfc1939-7-uidl-complete", "not there", (said("UIDL", "-ERR"),), TWO, NOTHING),
            (
                "rfc1939-7-uidl-complete",
                "refused when empty",
                (OFFERS, said("UIDL", "-ERR")),
                EMPTY,
                NOTHING,
            ),
            (
                "rfc1939-7-uidl-complete",
                "refused when all is marked",
                (OFFERS, DELE, said("DELE 2", "+OK"), said("UIDL", "-ERR")),
                TWO,
                NOTHING,
            ),
            (
                "rfc1939-7-uidl-complete",
                "refused where mail may vanish",
                (OFFERS, STAT, said("UIDL", "-ERR")),
                CHANGING,
                NOTHING,
            ),
            ("rfc1939-7-uidl-argument", "refused", (OFFERS, said("UIDL 2", "-ERR")), TWO, BROKEN),
            (
                "rfc1939-5-list-argument",
                "refused though it was listed",
                (STAT, LIST, said("LIST 2", "-ERR")),
                Filling(),
                BROKEN,
            ),
            (
                "rfc1939-5-list-argument",
                "refused though STAT counted it",
                (STAT, said("LIST 2", "-ERR")),
                Filling(),
                NOTHING,
            ),
            (
                "rfc1939-7-uidl-argument",
                "refused when the other one is marked",
                (UIDL, DELE, said("UIDL 2", "-ERR")),
                TWO,
                BROKEN,
            ),
            ("rfc1939-7-top", "refused", (OFFERS, said("TOP 2 0", "-ERR")), TWO, BROKEN),
            (
                "rfc1939-7-top",
                "refused though it worked",
                (said("TOP 1 0", "+OK", MESSAGE[:2]), said("TOP 1 1", "-ERR")),
                TWO,
                BROKEN,
            ),
            ("rfc1939-7-top", "not there", (said("TOP 2 0", "-ERR"),), TWO, NOTHING),
            ("rfc1939-7-top", "of nobody", (OFFERS, said("TOP 3 0", "-ERR")), TWO, NOTHING),
            (
                "rfc1939-7-top",
                "of the marked",
                (OFFERS, DELE, said("TOP 1 0", "-ERR")),
                TWO,
                NOTHING,
            ),
            ("rfc1939-7-top", "zeros before", (OFFERS, said("TOP 01 0", "-ERR")), TWO, NOTHING),
            ("rfc1939-7-top", "no count", (OFFERS, said("TOP 1", "-ERR")), TWO, NOTHING),
            (
                "rfc1939-7-top",
                "a count beyond 31 bits",
                (OFFERS, said(f"TOP 1 {2**31}", "-ERR")),
                TWO,
                NOTHING,
            ),
            (
                "rfc1939-7-top",
                "for UTF-8 mode",
                (OFFERS, said("TOP 1 0", "-ERR [UTF8] later")),
                TWO,
                NOTHING,
            ),
            (
                "rfc1939-5-rset-unmarks",
                "TOP refused",
                (said("TOP 2 0", "+OK", MESSAGE[:2]), DELE, RSET, said("TOP 1 0", "-ERR")),
                TWO,
                BROKEN,
            ),
            (
                "rfc1939-5-rset-unmarks",
                "TOP that is perhaps refused for any message",
                (DELE, RSET, said("TOP 1 0", "-ERR")),
                TWO,
                NOTHING,
            ),
        )
    ],
    case("rfc1939-5-list-empty", "no lines", HELD, *LOGIN, said("LIST", "+OK", []), filling=EMPTY),
    case("rfc1939-5-list-empty", "-ERR", BROKEN, *LOGIN, said("LIST", "-ERR"), filling=EMPTY),
    case(
        "rfc1939-5-list-empty",
        "no dot",
        BROKEN,
        *LOGIN,
        cut("LIST", b"+OK\r\n", End.TIMEOUT),
        filling=EMPTY,
    ),
    case("rfc1939-5-list-empty", "mail", NOTHING, *LOGIN, LIST, filling=TWO),
    case("rfc1939-5-list-empty", "LIST 1", NOTHING, *LOGIN, said("LIST 1", "-ERR"), filling=EMPTY),
    case(
        "rfc1939-5-list-empty",
        "where mail may arrive",
        NOTHING,
        *LOGIN,
        said("STAT", "+OK 0 0"),
        said("LIST", "-ERR"),
        filling=CHANGING,
    ),
    *[
        case(rule, title, verdict, *LOGIN, *exchanges)
        for rule, word in (
            ("rfc1939-5-list-without-marked", "LIST"),
            ("rfc1939-7-uidl-without-marked", "UIDL"),
        )
        for title, verdict, exchanges in (
            ("left out", HELD, (DELE, said(word, "+OK", ["2 2"]))),
            ("listed", BROKEN, (DELE, said(word, "+OK", ["1 1", "2 2"]))),
            ("after RSET", NOTHING, (DELE, RSET, said(word, "+OK", ["1 1", "2 2"]))),
            ("DELE was refused", NOTHING, (said("DELE 1", "-ERR"), said(word, "+OK", ["1 1"]))),
        )
    ],
]

COUNTS = [
    case("rfc1939-5-stat-count", "as filled", HELD, *LOGIN, STAT, filling=TWO),
    case("rfc1939-5-stat-count", "not so", BROKEN, *LOGIN, said("STAT", "+OK 1 1"), filling=TWO),
    case("rfc1939-5-stat-count", "as LIST has", HELD, *LOGIN, LIST, STAT),
    case("rfc1939-5-stat-count", "LIST has fewer", BROKEN, *LOGIN, STAT, said("LIST", "+OK", [])),
    case("rfc1939-5-stat-count", "UIDL has more", BROKEN, *LOGIN, UIDL, said("STAT", "+OK 1 1")),
    case("rfc1939-5-stat-count", "nothing to compare", NOTHING, *LOGIN, STAT),
    case(
        "rfc1939-5-stat-count",
        "behind DELE, which is another point",
        NOTHING,
        *LOGIN,
        LIST,
        DELE,
        said("STAT", "+OK 1 200"),
    ),
    case(
        "rfc1939-5-stat-count",
        "where mail may arrive",
        NOTHING,
        *LOGIN,
        LIST,
        said("STAT", "+OK 3 400"),
        filling=CHANGING,
    ),
    case("rfc1939-5-stat-total", "the sum", HELD, *LOGIN, LIST, STAT),
    case("rfc1939-5-stat-total", "the sum, told before", HELD, *LOGIN, STAT, LIST),
    case("rfc1939-5-stat-total", "not so", BROKEN, *LOGIN, LIST, said("STAT", "+OK 2 300")),
    case(
        "rfc1939-5-stat-total",
        "another count, which is another rule",
        NOTHING,
        *LOGIN,
        LIST,
        said("STAT", "+OK 1 120"),
    ),
    case("rfc1939-5-stat-total", "behind DELE", NOTHING, *LOGIN, LIST, DELE, STAT),
    case(
        "rfc1939-5-stat-total",
        "with UTF8 (RFC 6856, section 2.1)",
        NOTHING,
        said("CAPA", "+OK", ["UTF8"]),
        *LOGIN,
        LIST,
        said("STAT", "+OK 2 300"),
    ),
    case("rfc1939-4-count-fixed", "the same", HELD, *LOGIN, STAT, STAT),
    case("rfc1939-4-count-fixed", "fewer", BROKEN, *LOGIN, STAT, said("STAT", "+OK 1 120")),
    case("rfc1939-4-count-fixed", "behind DELE", NOTHING, *LOGIN, STAT, DELE, STAT),
    case(
        "rfc1939-4-count-fixed",
        "behind a DELE that only a lenient server reads",
        NOTHING,
        *LOGIN,
        STAT,
        said("DELE +1", "+OK"),
        said("STAT", "+OK 1 200"),
        filling=TWO,
    ),
    case(
        "rfc1939-4-count-fixed",
        "behind who knows what",
        NOTHING,
        *LOGIN,
        STAT,
        said("NOOP\rDELE 1", "+OK"),
        said("STAT", "+OK 1 200"),
        filling=TWO,
    ),
    case("rfc1939-4-no-arrivals", "none", HELD, *LOGIN, STAT, STAT, filling=CHANGING),
    case(
        "rfc1939-4-no-arrivals",
        "one",
        BROKEN,
        *LOGIN,
        STAT,
        said("LIST", "+OK", ["1 120", "2 200", "3 80"]),
        filling=CHANGING,
    ),
    case("rfc1939-4-no-arrivals", "the first count", NOTHING, *LOGIN, STAT, filling=CHANGING),
    case("rfc1939-4-no-arrivals", "nothing can come", NOTHING, *LOGIN, STAT, STAT, filling=TWO),
    case(
        "rfc1939-4-no-arrivals",
        "a mark that nobody knows of is taken back",
        NOTHING,
        *LOGIN,
        said("DELE +1", "+OK"),
        said("STAT", "+OK 1 200"),
        RSET,
        STAT,
    ),
    case(
        "rfc1939-5-stat-without-marked",
        "left out",
        HELD,
        *LOGIN,
        STAT,
        LIST,
        DELE,
        said("STAT", "+OK 1 200"),
    ),
    case("rfc1939-5-stat-without-marked", "counted", BROKEN, *LOGIN, STAT, DELE, STAT),
    case(
        "rfc1939-5-stat-without-marked",
        "its octets counted",
        BROKEN,
        *LOGIN,
        STAT,
        LIST,
        DELE,
        said("STAT", "+OK 1 320"),
    ),
    case(
        "rfc1939-5-stat-without-marked",
        "octets that never were the sum of LIST",
        HELD,
        *LOGIN,
        said("STAT", "+OK 2 310"),
        LIST,
        DELE,
        said("STAT", "+OK 1 195"),
    ),
    case("rfc1939-5-stat-without-marked", "no mark", NOTHING, *LOGIN, STAT),
    case(
        "rfc1939-5-stat-without-marked",
        "a count that nobody knows",
        NOTHING,
        *LOGIN,
        DELE,
        said("STAT", "+OK 1 200"),
    ),
    case("rfc1939-5-rset-unmarks", "as at the opening", HELD, *LOGIN, STAT, DELE, RSET, STAT),
    case(
        "rfc1939-5-rset-unmarks",
        "still fewer",
        BROKEN,
        *LOGIN,
        STAT,
        DELE,
        RSET,
        said("STAT", "+OK 1 200"),
    ),
    case(
        "rfc1939-5-rset-unmarks",
        "other octets",
        BROKEN,
        *LOGIN,
        STAT,
        DELE,
        RSET,
        said("STAT", "+OK 2 200"),
    ),
    case("rfc1939-5-rset-unmarks", "in UIDL", HELD, *LOGIN, UIDL, DELE, RSET, UIDL),
    case(
        "rfc1939-5-rset-unmarks",
        "not in LIST",
        BROKEN,
        *LOGIN,
        LIST,
        DELE,
        RSET,
        said("LIST", "+OK", ["2 200"]),
    ),
    case(
        "rfc1939-5-rset-unmarks",
        "RETR refused",
        BROKEN,
        *LOGIN,
        said("RETR 2", "+OK", MESSAGE),
        DELE,
        RSET,
        said("RETR 1", "-ERR"),
    ),
    case(
        "rfc1939-5-rset-unmarks",
        "the system failed",
        NOTHING,
        *LOGIN,
        DELE,
        RSET,
        said("RETR 1", "-ERR [SYS/TEMP] disk"),
    ),
    case("rfc1939-5-rset-unmarks", "marked again", NOTHING, *LOGIN, DELE, RSET, DELE, STAT),
    case("rfc1939-5-rset-unmarks", "nothing was marked", NOTHING, *LOGIN, STAT, RSET, STAT),
    case("rfc1939-4-size-fixed", "the same", HELD, *LOGIN, LIST, said("LIST 1", "+OK 1 120")),
    case("rfc1939-4-size-fixed", "another", BROKEN, *LOGIN, LIST, said("LIST 1", "+OK 1 121")),
    case(
        "rfc1939-4-size-fixed",
        "another behind DELE and RSET",
        BROKEN,
        *LOGIN,
        LIST,
        DELE,
        RSET,
        said("LIST", "+OK", ["1 120", "2 201"]),
    ),
    case("rfc1939-4-size-fixed", "the first time", NOTHING, *LOGIN, LIST),
    case("rfc1939-7-unique-id-fixed", "the same", HELD, *LOGIN, UIDL, said("UIDL 1", "+OK 1 a")),
    case("rfc1939-7-unique-id-fixed", "another", BROKEN, *LOGIN, UIDL, said("UIDL 1", "+OK 1 c")),
    case(
        "rfc1939-7-unique-id-fixed", "another case", BROKEN, *LOGIN, UIDL, said("UIDL 1", "+OK 1 A")
    ),
    case("rfc1939-7-unique-id-fixed", "the first time", NOTHING, *LOGIN, UIDL),
    case("rfc1939-7-unique-id-unique", "different", HELD, *LOGIN, UIDL),
    case(
        "rfc1939-7-unique-id-unique",
        "one for two different messages",
        BROKEN,
        *LOGIN,
        said("UIDL", "+OK", ["1 a", "2 a"]),
        filling=TWO,
    ),
    case(
        "rfc1939-7-unique-id-unique",
        "one for messages of different sizes",
        BROKEN,
        *LOGIN,
        LIST,
        said("UIDL", "+OK", ["1 a", "2 a"]),
    ),
    case(
        "rfc1939-7-unique-id-unique",
        "told one by one",
        BROKEN,
        *LOGIN,
        said("UIDL 1", "+OK 1 a"),
        said("UIDL 2", "+OK 2 a"),
        filling=TWO,
    ),
    case(
        "rfc1939-7-unique-id-unique",
        "one for identical copies (section 7)",
        NOTHING,
        *LOGIN,
        RETR,
        said("RETR 2", "+OK", MESSAGE),
        said("UIDL", "+OK", ["1 a", "2 a"]),
    ),
    case("rfc1939-7-unique-id-unique", "only one", NOTHING, *LOGIN, said("UIDL 1", "+OK 1 a")),
]

MESSAGES = [
    case("rfc1939-5-no-such-message", "refused", HELD, *LOGIN, said("RETR 3", "-ERR"), filling=TWO),
    case(
        "rfc1939-5-no-such-message", "sent", BROKEN, *LOGIN, said("RETR 3", "+OK", []), filling=TWO
    ),
    case("rfc1939-5-no-such-message", "beyond STAT", BROKEN, *LOGIN, STAT, said("DELE 3", "+OK")),
    case("rfc1939-5-no-such-message", "zero", BROKEN, *LOGIN, said("LIST 0", "+OK 0 0")),
    case("rfc1939-5-no-such-message", "zeros", BROKEN, *LOGIN, said("LIST 000", "+OK 0 0")),
    *[
        case(
            "rfc1939-5-no-such-message",
            f"{number} of unknown mail",
            BROKEN,
            *LOGIN,
            said(f"LIST {number}", "+OK 1 120"),
            filling=CHANGING,
        )
        for number in (2**31, 2**32 + 1, 2**64 + 1, 10**30 + 1)
    ],
    case("rfc1939-5-no-such-message", "who knows", NOTHING, *LOGIN, said("LIST 3", "+OK 3 1")),
    case(
        "rfc1939-5-no-such-message",
        "leading zeros are leniency",
        NOTHING,
        *LOGIN,
        said(f"LIST {'0' * 30}1", "+OK 1 120"),
        filling=TWO,
    ),
    case(
        "rfc1939-5-no-such-message",
        "an arrival (SHOULD at most)",
        NOTHING,
        *LOGIN,
        STAT,
        said("LIST 3", "+OK 3 100"),
        filling=CHANGING,
    ),
    case("rfc1939-5-no-such-message", "no number", NOTHING, *LOGIN, said("LIST x", "+OK")),
    case("rfc1939-5-retr", "sent", HELD, *LOGIN, RETR, filling=TWO),
    case("rfc1939-5-retr", "refused", BROKEN, *LOGIN, said("RETR 1", "-ERR"), filling=TWO),
    case("rfc1939-5-retr", "unknown", NOTHING, *LOGIN, said("RETR 1", "-ERR")),
    case("rfc1939-5-retr", "UTF-8", NOTHING, *LOGIN, said("RETR 1", "-ERR [utf8] x"), filling=TWO),
    case("rfc1939-5-retr", "marked", NOTHING, *LOGIN, DELE, said("RETR 1", "-ERR"), filling=TWO),
    case("rfc1939-5-dele", "marked", HELD, *LOGIN, DELE, filling=TWO),
    case("rfc1939-5-dele", "refused", BROKEN, *LOGIN, said("DELE 2", "-ERR"), filling=TWO),
    case("rfc1939-5-dele", "twice", NOTHING, *LOGIN, DELE, said("DELE 1", "-ERR"), filling=TWO),
    case("rfc1939-5-dele", "disk", NOTHING, *LOGIN, said("DELE 1", "-ERR [SYS/PERM]"), filling=TWO),
    *[
        case("rfc1939-5-dele-marked", line, verdict, *LOGIN, DELE, said(line, status))
        for line in ("RETR 1", "LIST 1", "UIDL 1", "TOP 1 0", "DELE 1", "RETR 01")
        for status, verdict in (("-ERR", HELD), ("+OK", BROKEN))
    ],
    case("rfc1939-5-dele-marked", "another", NOTHING, *LOGIN, DELE, said("RETR 2", "+OK", [])),
    case("rfc1939-5-dele-marked", "unmarked", NOTHING, *LOGIN, DELE, RSET, RETR),
    case("rfc1939-5-retr-same", "the same", HELD, *LOGIN, RETR, RETR),
    case(
        "rfc1939-5-retr-same",
        "another body",
        BROKEN,
        *LOGIN,
        RETR,
        said("RETR 1", "+OK", ["Subject: x", "", "one"]),
    ),
    case(
        "rfc1939-5-retr-same",
        "another Status field",
        HELD,
        *LOGIN,
        RETR,
        said("RETR 1", "+OK", ["Status: RO", *MESSAGE]),
    ),
    case(
        "rfc1939-5-retr-same",
        "another Status field of a message without a body",
        HELD,
        *LOGIN,
        said("RETR 1", "+OK", ["Subject: x"]),
        said("RETR 1", "+OK", ["Subject: x", "Status: RO"]),
    ),
    case("rfc1939-5-retr-same", "once", NOTHING, *LOGIN, RETR),
    *[
        case("rfc1939-11-exact-size", title, verdict, *LOGIN, *exchanges, filling=filling)
        for title, exchanges, filling, verdict in (
            ("exact", (said("LIST 1", f"+OK 1 {SIZE}"), RETR), TWO, HELD),
            ("exact, LIST later", (RETR, said("LIST 1", f"+OK 1 {SIZE}")), TWO, HELD),
            ("LF counted", (said("LIST 1", f"+OK 1 {SIZE - 4}"), RETR), TWO, BROKEN),
            ("the terminator counted", (said("LIST 1", f"+OK 1 {SIZE + 3}"), RETR), TWO, BROKEN),
            ("no final CRLF counted", (said("LIST 1", f"+OK 1 {SIZE - 2}"), RETR), TWO, BROKEN),
            (
                "of a message without one",
                (said("LIST 1", f"+OK 1 {SIZE - 2}"), RETR),
                UNENDED,
                NOTHING,
            ),
            (
                "stuffed dots counted",
                (said("LIST 1", "+OK 1 5"), said("RETR 1", "+OK", ["..", ""])),
                TWO,
                HELD,
            ),
            ("empty", (said("LIST 1", "+OK 1 0"), said("RETR 1", "+OK", [""])), UNENDED, NOTHING),
            (
                "the text of RETR",
                (said("LIST 1", f"+OK 1 {SIZE}"), said("RETR 1", "+OK 9999 octets", MESSAGE)),
                TWO,
                HELD,
            ),
            ("no LIST", (RETR,), TWO, NOTHING),
        )
    ],
    case(
        "rfc1939-11-exact-size",
        "with UTF8 (RFC 6856, section 2.1)",
        NOTHING,
        *LOGIN,
        said("CAPA", "+OK", ["UTF8"]),
        said("LIST 1", f"+OK 1 {SIZE - 4}"),
        RETR,
        filling=TWO,
    ),
    *[
        case("practice-final-line-end", title, verdict, *LOGIN, listing, RETR, filling=filling)
        for title, listing, filling, verdict in (
            ("counted", said("LIST 1", f"+OK 1 {SIZE}"), UNENDED, HELD),
            ("not counted", said("LIST 1", f"+OK 1 {SIZE - 2}"), UNENDED, BROKEN),
            ("another fault", said("LIST 1", f"+OK 1 {SIZE - 4}"), UNENDED, NOTHING),
            ("of a message with one", said("LIST 1", f"+OK 1 {SIZE - 2}"), TWO, NOTHING),
            ("with a lone CR", said("LIST 1", f"+OK 1 {SIZE - 2}"), LONE_CR, NOTHING),
        )
    ],
    *[
        case("practice-octets-unchanged", title, verdict, *LOGIN, exchange, filling=filling)
        for title, exchange, filling, verdict in (
            ("as stored", said("RETR 1", "+OK", UNUSUAL_LINES), UNUSUAL, HELD),
            ("as stored, by TOP", said("TOP 1 9", "+OK", UNUSUAL_LINES), UNUSUAL, HELD),
            ("NUL replaced", said("RETR 1", "+OK", without("\0", "\x80")), UNUSUAL, HELD),
            ("NUL left out", said("RETR 1", "+OK", without("\0", "")), UNUSUAL, HELD),
            ("cut at the NUL", said("RETR 1", "+OK", without("\0nul", "")), UNUSUAL, BROKEN),
            ("a question mark", said("RETR 1", "+OK", without("\xe9", "?")), UNUSUAL, BROKEN),
            ("as UTF-8", said("TOP 1 9", "+OK", without("\xe9", "\xc3\xa9")), UNUSUAL, BROKEN),
            ("folded", said("RETR 1", "+OK", without("xxx", "x\r\nxx")), UNUSUAL, BROKEN),
            ("the last line missing", said("RETR 1", "+OK", UNUSUAL_LINES[:-1]), UNUSUAL, NOTHING),
            ("not asked for", said("TOP 1 0", "+OK", UNUSUAL_LINES[:2]), UNUSUAL, NOTHING),
            ("refused", said("RETR 1", "-ERR [UTF8] no"), UNUSUAL, NOTHING),
            ("with a lone CR", said("RETR 1", "+OK", MESSAGE), LONE_CR, NOTHING),
            ("of a message that conforms", RETR, TWO, NOTHING),
        )
    ],
    *[
        case(rule, "of an unusual message", NOTHING, *LOGIN, *exchanges, filling=UNUSUAL)
        for rule, *exchanges in (
            ("rfc1939-11-exact-size", said("LIST 1", f"+OK 1 {SIZE - 4}"), RETR),
            ("rfc1939-7-top", RETR, said("TOP 1 0", "+OK", MESSAGE[:3])),
            ("rfc1939-7-top-whole", RETR, said("TOP 1 99", "+OK", MESSAGE[:3])),
        )
    ],
    *[
        case("rfc1939-7-top", title, verdict, *LOGIN, said("LIST 1", f"+OK 1 {SIZE}"), *exchanges)
        for title, exchanges, verdict in (
            ("one line", (RETR, said("TOP 1 1", "+OK", MESSAGE[:3])), HELD),
            ("no line", (RETR, said("TOP 1 0", "+OK", MESSAGE[:2])), HELD),
            ("too many", (said("TOP 1 0", "+OK", MESSAGE[:3]),), BROKEN),
            ("too few", (RETR, said("TOP 1 2", "+OK", MESSAGE[:3])), BROKEN),
            ("other lines", (RETR, said("TOP 1 1", "+OK", ["Subject: x", "", "two"])), BROKEN),
            ("no blank line", (RETR, said("TOP 1 0", "+OK", MESSAGE[:1])), BROKEN),
            ("other header fields", (RETR, said("TOP 1 1", "+OK", ["Status: R", "", "one"])), HELD),
            ("no RETR before", (said("TOP 1 1", "+OK", MESSAGE[:2]),), HELD),
            (
                "no body, no blank line",
                (said("RETR 1", "+OK", ["A: b"]), said("TOP 1 9", "+OK", ["A: b"])),
                NOTHING,
            ),
            ("refused", (said("TOP 1 99999999999", "-ERR"),), NOTHING),
        )
    ],
    *[
        case(
            "rfc1939-7-top-whole",
            title,
            verdict,
            *LOGIN,
            said("LIST 1", f"+OK 1 {SIZE}"),
            *exchanges,
        )
        for title, exchanges, verdict in (
            ("all", (RETR, said("TOP 1 99", "+OK", MESSAGE)), HELD),
            ("a torso", (RETR, said("TOP 1 99", "+OK", MESSAGE[:3])), BROKEN),
            ("a wrap-around", (RETR, said(f"TOP 1 {2**32}", "+OK", MESSAGE[:2])), BROKEN),
            ("just enough", (RETR, said("TOP 1 2", "+OK", MESSAGE)), NOTHING),
            ("refused", (RETR, said(f"TOP 1 {2**31}", "-ERR")), NOTHING),
            ("no RETR before", (said("TOP 1 99", "+OK", MESSAGE),), NOTHING),
        )
    ],
]

CASES = [*FRAMING, *LENGTHS, *COMMANDS, *SESSIONS, *LISTINGS, *COUNTS, *MESSAGES]


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_check_says_what_the_rule_says(case: Case) -> None:
    assert_as_expected(case)


def test_every_check_is_seen_to_hold_to_break_and_to_be_silent() -> None:
    verdicts = verdicts_of(
        [
            *CASES,
            *CASES_OF_CAPABILITIES,
            *CASES_OF_RESPONSE_CODES,
            *CASES_OF_SASL,
            *CASES_OF_TLS,
            *CASES_OF_INTERNATIONALISATION,
        ]
    )

    assert {rule for rule in CHECKS if len(verdicts.get(rule, ())) < 3} == set()
    assert CHECKS.keys() <= rulebook().keys()


BAD_LOGIN = [said("USER alice", "+OK"), said("PASS wrong", "-ERR")]
LONG = "x" * 300

# Title, with the text that allows it -> what happens in the session, and the filling.
SOUND: dict[str, tuple[Sequence[Exchange], Filling]] = {
    # Lines and refusals (RFC 1939, section 3)
    "bare status indicators (RFC 1957)": (
        [greeted("+OK"), said("XYZZ", "-ERR"), QUIT, CLOSED],
        Filling(),
    ),
    "any free text": (
        [
            HELLO,
            said("USER alice", "+OK [127.0.0.1] is <alice@home>?"),
            said("PASS secret", "+OK \t. .. +OK -ERR"),
            said("STAT", "+OK 2 320 (99 octets)"),
            said("RETR 1", "+OK 7 octets follow", MESSAGE),
            said("LIST", "+OK 17 messages", [f"1 {SIZE}", f"2 {320 - SIZE}"]),
        ],
        Filling(),
    ),
    "a first line of 512 octets, longer data lines and challenges": (
        [
            greeted("+OK " + "g" * 506),
            said("AUTH GSSAPI", "+ " + "x" * 2000),
            continued("*", "-ERR"),
            *LOGIN[1:],
            said("RETR 1", "+OK", ["Subject: x", "", "y" * 5000]),
        ],
        Filling(),
    ),
    "CR, LF, NUL and 8 bits in somebody's message (section 11)": (
        [*LOGIN, said("RETR 1", "+OK", b"A: \xff\r\n\r\na\nb\rc\0\r\n")],
        Filling(),
    ),
    "AUTH without an argument is answered with a list (not in RFC 5034)": (
        [HELLO, said("AUTH", "+OK", ["PLAIN", "LOGIN"]), *LOGIN[1:], STAT],
        Filling(),
    ),
    "AUTH without an argument is answered with one line": (
        [HELLO, cut("AUTH", b"+OK\r\n", End.TIMEOUT)],
        Filling(),
    ),
    "AUTH without an argument is refused": ([HELLO, said("AUTH", "-ERR"), *LOGIN[1:]], Filling()),
    "vendor commands answer (RFC 1939 knows none)": (
        [
            *LOGIN,
            said("LAST", "+OK 0"),
            said("XTND XMIT", "+OK"),
            said("HELP", "+OK"),
            came(b"x\r\n.\r\n"),
        ],
        Filling(),
    ),
    "a close with a parting line after several refusals": (
        [*LOGIN, said("XYZZ", "-ERR"), said("QWER", "-ERR"), came(b"-ERR bye\r\n", End.CLOSED)],
        TWO,
    ),
    "a close with a parting line after a failed login (section 4)": (
        [HELLO, *BAD_LOGIN, came(b"-ERR bye\r\n", End.CLOSED)],
        Filling(),
    ),
    "a close instead of the next reply after a failed login": (
        [HELLO, *BAD_LOGIN, unanswered("USER alice", End.RESET)],
        Filling(),
    ),
    "a failed login that is answered by the close alone": (
        [HELLO, said("USER alice", "+OK"), unanswered("PASS wrong", End.CLOSED)],
        Filling(),
    ),
    "the autologout timer, silently or not (section 3)": (
        [*LOGIN, silence(601.0, b"-ERR idle\r\n", End.CLOSED)],
        TWO,
    ),
    "an impatient timer before the login (an observation)": (
        [HELLO, silence(60.0, end=End.CLOSED)],
        Filling(),
    ),
    # Illegal stimuli (RFC 2449, section 4)
    "an over-long line is refused": ([*LOGIN, said(LONG, "-ERR"), STAT, LIST], TWO),
    "an over-long line is taken": ([*LOGIN, said("NOOP " + LONG, "+OK"), STAT], TWO),
    "an over-long line is cut into several commands": (
        [*LOGIN, said(LONG * 9, "-ERR"), came(b"-ERR\r\n" * 4), said("NOOP", "-ERR"), STAT],
        TWO,
    ),
    "an over-long line ends the connection": ([*LOGIN, unanswered(LONG, End.RESET)], TWO),
    "a line with LF alone is not taken for a command": (
        [*LOGIN, unanswered(b"NOOP\n"), said("NOOP", "-ERR unknown")],
        TWO,
    ),
    "a lenient server reads tabs": (
        [
            HELLO,
            said("USER\talice", "+OK"),
            said("PASS\tsecret", "+OK"),
            said("STAT\t", "+OK 2 320"),
            said("RETR\t1", "+OK", MESSAGE),
            said("DELE\t1", "+OK"),
            said("STAT", "+OK 1 200"),
            said("LIST", "+OK", ["2 200"]),
            said("RSET\t", "+OK"),
            STAT,
            QUIT,
            CLOSED,
        ],
        TWO,
    ),
    "a lenient server reads blanks, zeros and signs": (
        [
            *LOGIN,
            said(" STAT", "+OK 2 320"),
            said("LIST ", "+OK", ["1 120", "2 200"]),
            said("LIST  1", "+OK 1 120"),
            said("LIST 01", "+OK 1 120"),
            said("DELE +1", "+OK"),
            said("STAT", "+OK 1 200"),
            said("LIST", "+OK", ["2 200"]),
            said("RETR 1", "-ERR"),
            RSET,
            said("STAT", "+OK 2 320"),
            said("NOOP ", "+OK"),
        ],
        TWO,
    ),
    "a strict server refuses them": (
        [
            *LOGIN,
            said(" STAT", "-ERR"),
            said("LIST ", "-ERR"),
            said("LIST 01", "-ERR"),
            said("DELE +1", "-ERR"),
            said("list 1", "-ERR"),
            said("NOOP ", "-ERR"),
            STAT,
        ],
        TWO,
    ),
    "a server that ends strings at NUL": (
        [*LOGIN, said("DELE 1\0 2", "+OK"), said("STAT", "+OK 1 200"), said("RETR 1", "-ERR")],
        TWO,
    ),
    # Login (RFC 1939, section 7; RFC 8314)
    "USER says +OK to anybody, USER says -ERR": (
        [HELLO, said("USER nobody", "+OK"), said("PASS x", "-ERR"), said("USER bob", "-ERR")],
        Filling(),
    ),
    "cleartext is refused whatever is said": (
        [
            HELLO,
            said("USER alice", "-ERR [SYS/PERM] no"),
            said("PASS secret", "-ERR"),
            QUIT,
            CLOSED,
        ],
        Filling(),
    ),
    "a long wait before [IN-USE]": (
        [HELLO, said("USER a", "+OK"), said("PASS b", "-ERR [IN-USE]", at=20.0), QUIT, CLOSED],
        Filling(),
    ),
    "an AUTH exchange": (
        [
            HELLO,
            said("AUTH CRAM-MD5", "+ PDE4OTZAaG9zdD4="),
            continued("YWxpY2UgMA==", "+OK"),
            STAT,
            said("NOOP", "+OK"),
        ],
        Filling(),
    ),
    "an AUTH exchange that is given up": (
        [HELLO, said("AUTH LOGIN", "+ VXNlcg=="), continued("*", "-ERR"), said("STAT", "-ERR")],
        Filling(),
    ),
    "no APOP timestamp but a host in angle brackets": ([greeted("+OK <mail>"), QUIT], Filling()),
    # The maildrop
    "text behind the numbers, any order, sizes of zero": (
        [
            *LOGIN,
            said("STAT", "+OK 2 120 octets"),
            said("LIST", "+OK", ["2 0 (empty)", "1 120"]),
            said("UIDL", "+OK", ["2 b", "1 a"]),
            said("LIST 2", "+OK 2 0 octets"),
        ],
        UNENDED,
    ),
    "identical copies share a unique-id (section 7)": (
        [*LOGIN, RETR, said("RETR 2", "+OK", MESSAGE), said("UIDL", "+OK", ["1 a", "2 a"])],
        Filling(count=2),
    ),
    "gaps and smaller totals after DELE, all of it again after RSET": (
        [
            *LOGIN,
            STAT,
            LIST,
            UIDL,
            DELE,
            said("STAT", "+OK 1 200"),
            said("LIST", "+OK", ["2 200"]),
            said("UIDL", "+OK", ["2 b"]),
            said("LIST 1", "-ERR"),
            said("TOP 1 0", "-ERR"),
            RSET,
            STAT,
            LIST,
            UIDL,
            said("LIST 1", "+OK 1 120"),
            QUIT,
            CLOSED,
        ],
        TWO,
    ),
    "all are marked": (
        [
            *LOGIN,
            DELE,
            said("DELE 2", "+OK"),
            said("STAT", "+OK 0 0"),
            said("LIST", "+OK", []),
            said("UIDL", "+OK", []),
            said("QUIT", "-ERR some were not removed"),
            CLOSED,
        ],
        TWO,
    ),
    "an empty maildrop": (
        [
            *LOGIN,
            said("STAT", "+OK 0 0"),
            said("LIST", "+OK", []),
            said("UIDL", "+OK", []),
            said("LIST 1", "-ERR"),
            said("RETR 1", "-ERR"),
            RSET,
            QUIT,
            CLOSED,
        ],
        EMPTY,
    ),
    "UIDL and TOP are not there": (
        [*LOGIN, said("UIDL", "-ERR"), said("UIDL 1", "-ERR"), said("TOP 1 0", "-ERR")],
        TWO,
    ),
    "CAPA is not there": ([HELLO, said("CAPA", "-ERR"), *LOGIN[1:]], Filling()),
    "sizes that are not exact, with UTF8 (RFC 6856, section 2.1)": (
        [
            *LOGIN,
            said("CAPA", "+OK", ["UTF8 USER"]),
            said("STAT", "+OK 2 300"),
            LIST,
            DELE,
            said("STAT", "+OK 1 190"),
            RSET,
            said("STAT", "+OK 2 299"),
        ],
        TWO,
    ),
    "mail that is only for UTF-8 mode, and a disk that fails (RFC 6856, RFC 3206)": (
        [
            *LOGIN,
            said("LIST 1", "-ERR [UTF8] later"),
            said("RETR 1", "-ERR [UTF8] later"),
            said("DELE 2", "-ERR [SYS/TEMP] later"),
        ],
        TWO,
    ),
    "header fields that change when a message was read (mbox)": (
        [
            *LOGIN,
            RETR,
            said("RETR 1", "+OK", ["Status: RO", *MESSAGE]),
            said("TOP 1 9", "+OK", MESSAGE),
        ],
        TWO,
    ),
    "TOP of a message without a body has no blank line": (
        [*LOGIN, said("RETR 1", "+OK", ["A: b"]), said("TOP 1 0", "+OK", ["A: b"])],
        TWO,
    ),
    "TOP with more lines than any number holds is refused": (
        [*LOGIN, RETR, said("TOP 1 99999999999999999999999", "-ERR")],
        TWO,
    ),
    "mail that comes and goes while nobody knows the maildrop": (
        [
            *LOGIN,
            STAT,
            said("STAT", "+OK 1 200"),
            said("LIST", "+OK", ["2 200"]),
            said("RETR 1", "-ERR"),
            DELE,
            said("STAT", "+OK 1 200"),
        ],
        CHANGING,
    ),
}


@pytest.mark.parametrize("title", SOUND)
def test_a_sound_server_is_not_accused(title: str) -> None:
    exchanges, filling = SOUND[title]

    assert judgements(exchanges, filling) == []


WARNED = {
    "a name that is remembered beyond a failed PASS": (
        [HELLO, *BAD_LOGIN, said("PASS secret", "+OK"), STAT],
        ["practice-pass-directly-after-user"],
    ),
    "a name that is remembered beyond another USER": (
        [
            HELLO,
            said("USER alice", "+OK"),
            said("USER bob", "-ERR"),
            said("PASS secret", "+OK"),
            STAT,
        ],
        ["practice-pass-directly-after-user"],
    ),
    "a size without the line end that RETR adds": (
        [*LOGIN, said("LIST 1", f"+OK 1 {SIZE - 2}"), RETR],
        ["practice-final-line-end"],
    ),
    "an argument of a command that takes none": (
        [*LOGIN, said("STAT x", "+OK 2 320"), said("NOOP x", "+OK"), said("QUIT x", "+OK"), CLOSED],
        ["rfc1939-5-no-argument"] * 3,
    ),
}


@pytest.mark.parametrize("title", WARNED)
def test_what_may_only_be_warned_of_breaks_no_must(title: str) -> None:
    exchanges, rules = WARNED[title]

    assert [found.split(":")[0] for found in judgements(exchanges, UNENDED)] == rules


def test_a_late_reply_is_one_finding_though_all_others_seem_to_be_wrong() -> None:
    late = [
        said("NOOP", "+OK 2 320"),
        said("LIST", "+OK", []),
        came(b".\r\n"),
        said("DELE 9", "+OK"),
    ]

    broken = judgements([*LOGIN, unanswered("STAT"), *late], TWO)

    assert [found.split(":")[0] for found in broken] == ["rfc1939-3-reply-per-command"]


NAMES_MESSAGE = {"LIST", "RETR", "DELE", "TOP", "UIDL"}
LISTS = {"LIST", "UIDL"}
# The commands that a rule is about, for rules about few.
ABOUT = {
    "rfc1939-3-unknown-command": {"XYZZ"},
    "rfc1939-3-missing-argument": {"RETR", "USER"},
    "rfc1939-3-malformed-number": {"DELE"},
    "rfc1939-3-surplus-argument": {"TOP"},
    "rfc1939-3-wrong-state": {"STAT", "RSET"} | NAMES_MESSAGE,
    "rfc1939-4-login-refused": {"STAT", "RSET"} | NAMES_MESSAGE,
    "rfc1939-4-quit": {"QUIT"},
    "rfc1939-4-message-numbers": LISTS,
    "rfc1939-4-size-fixed": {"LIST"},
    "rfc1939-4-count-fixed": {"STAT"},
    "rfc1939-4-no-arrivals": {"STAT"} | LISTS,
    "rfc1939-5-stat-drop-listing": {"STAT"},
    "rfc1939-5-stat-count": {"STAT"} | LISTS,
    "rfc1939-5-stat-total": {"STAT", "LIST"},
    "rfc1939-5-stat-without-marked": {"STAT"},
    "rfc1939-5-list-scan-listing": {"LIST"},
    "rfc1939-5-list-complete": {"LIST"},
    "rfc1939-5-list-empty": {"LIST"},
    "rfc1939-5-list-argument": {"LIST"},
    "rfc1939-5-list-without-marked": {"LIST"},
    "rfc1939-5-no-such-message": NAMES_MESSAGE,
    "rfc1939-5-retr": {"RETR"},
    "rfc1939-5-retr-same": {"RETR"},
    "rfc1939-5-dele": {"DELE"},
    "rfc1939-5-dele-marked": NAMES_MESSAGE,
    "rfc1939-5-noop": {"NOOP"},
    "rfc1939-5-noop-state": {"NOOP"},
    "rfc1939-5-rset": {"RSET"},
    "rfc1939-5-rset-unmarks": {"STAT", "LIST", "UIDL", "RETR", "TOP"},
    "rfc1939-5-no-argument": {"STAT"},
    "rfc1939-6-quit": {"QUIT"},
    "rfc1939-7-top": {"TOP"},
    "rfc1939-7-top-whole": {"TOP"},
    "rfc1939-7-uidl-unique-id-listing": {"UIDL"},
    "rfc1939-7-unique-id-form": {"UIDL"},
    "rfc1939-7-unique-id-unique": {"UIDL"},
    "rfc1939-7-unique-id-fixed": {"UIDL"},
    "rfc1939-7-uidl-complete": {"UIDL"},
    "rfc1939-7-uidl-argument": {"UIDL"},
    "rfc1939-7-uidl-without-marked": {"UIDL"},
    "rfc1939-7-login-in-transaction": {"USER", "PASS"},
    "rfc1939-7-pass-after-user": {"PASS"},
    "rfc1939-7-apop-without-timestamp": {"APOP"},
    "rfc1939-11-exact-size": {"RETR", "LIST"},
    "practice-pass-directly-after-user": {"PASS"},
    "practice-final-line-end": {"RETR", "LIST"},
    "practice-octets-unchanged": {"RETR", "TOP"},
}
SPOKEN = {"rfc1939-4-greeting", "rfc1939-6-close", "rfc1939-7-apop-timestamp"}
ANYTHING = [
    *[said(line, "-ERR") for line in ("XYZZ", "NOOP", "RETR", "DELE x", "TOP 1 2 3", "STAT x")],
    *[said(line, "-ERR") for line in ("USER a", "USER", "PASS a", "RETR 9", "UIDL 1", "QUIT")],
    *[said(line, "+OK") for line in ("NOOP", "RSET", "DELE 1", "DELE 2", "QUIT", "CAPA")],
    *[unanswered(line) for line in ("RETR 1", "LIST", "STAT", "UIDL", "TOP 1 1", "QUIT")],
    *(STAT, LIST, UIDL, RETR, said("TOP 1 1", "+OK", MESSAGE[:3])),
    *(said("LIST 1", "+OK 1 120"), said("UIDL 2", "+OK 2 b")),
    *(silence(), came(b"x\r\n"), came(b"", End.CLOSED), CLOSED),
]
SITUATIONS = [
    (HELLO,),
    REFUSED,
    LOGIN,
    (*LOGIN, STAT, LIST, UIDL, RETR),
    (*LOGIN, STAT, LIST, UIDL, RETR, DELE),
    (*LOGIN, STAT, LIST, UIDL, RETR, DELE, RSET),
]


@pytest.mark.parametrize("filling", [Filling(), TWO, UNENDED, EMPTY, CHANGING], ids=repr)
def test_a_check_speaks_of_nothing_but_its_own_commands(filling: Filling) -> None:
    for situation in SITUATIONS:
        before = history(*situation, filling=filling)
        for exchange in ANYTHING:
            for rule, _ in judge(exchange, before):
                assert exchange.keyword in ABOUT.get(rule, {exchange.keyword}), rule
                # These speak of other things than replies to commands.
                assert rule not in SPOKEN or exchange.kind is not Kind.COMMAND, rule


def test_capabilities_that_were_seen_before_the_session_count() -> None:
    told = announcing(history(*LOGIN, said("LIST 1", "+OK 1 9"), filling=TWO), UTF8=())

    assert "rfc1939-11-exact-size" not in dict(judge(RETR, told))


@pytest.mark.parametrize(
    "lines",
    [
        [f"{10**19} 120"],
        [f"{number} 1" for number in range(1, 40_001)] * 2,
        [f"{number} 1" for number in range(40_000, 80_000)],
    ],
)
def test_absurd_listings_are_judged_without_harm(lines: list[str]) -> None:
    listing = said("LIST", "+OK", lines)

    begun = time.perf_counter()
    broken = judgements([*LOGIN, listing], TWO)

    assert any(found.startswith("rfc1939-4-message-numbers") for found in broken)
    assert all(len(found) < 400 for found in broken)
    # A square of their number would take minutes.
    assert time.perf_counter() - begun < 30


def test_findings_quote_no_more_than_a_line_can_show() -> None:
    broken = judgements([*LOGIN, said("STAT", b"+OK " + b"\xff" * 400 + b"\n")])

    assert broken
    assert all(found.isascii() or "…" in found for found in broken)
    assert all(len(found) < 700 for found in broken)
