"""Each fault of the reference server: registered soundly, and visibly wrong."""

import contextlib
import hashlib
import re
import select
import socket
import struct
import time

import pytest
from test_reference_faults_capabilities import SCRIPTS as CAPABILITY_SCRIPTS
from test_reference_faults_delay import SCRIPTS as DELAY_SCRIPTS
from test_reference_faults_international import SCRIPTS as INTERNATIONAL_SCRIPTS
from test_reference_faults_sasl import SCRIPTS as SASL_SCRIPTS
from test_reference_faults_tls import SCRIPTS as TLS_SCRIPTS

from pop3spec.reference import FAULTS, MemoryStore, ReferenceServer
from pop3spec.rulebook.rules import Level, Rule, rulebook

ACCOUNTS = {"alice": "secret", "bob": "other-secret"}
LOGIN = "USER alice|PASS secret|"
CRLF = b"\r\n"


def message(subject: str, *body: str) -> bytes:
    return CRLF.join([b"Subject: " + subject.encode(), b"", *(line.encode() for line in body), b""])


PLAIN = (
    message("one", "first body"),
    b"Received: from a\r\n" + message("two", *(f"line {number}" for number in range(1, 21))),
    message("three", "blank lines at the end", "", ""),
)
DOTS = (message("dots", ".one", ".", "..two", "end"),)
FIRST_DOT = (b".X-First: 1\r\n" + message("dot", "body"),)
EMPTY = (PLAIN[0], b"", PLAIN[2])
NO_LINE_END = (message("end", "first")[:-2], PLAIN[1])
TEN = tuple(message(f"number {number}", "x" * number) for number in range(1, 13))
SAME_SIZE = (message("aaa", "one"), message("bbb", "two"))
LONG_LINE = (message("long", "x" * 70000, "behind"),)
BIG = (message("big", *["0123456789"] * 8000),)
# CR is the last octet of the first 4096, a dot the first of the next.
CR_AT_4095 = (b"X: " + b"x" * 4092 + b"\r\n\r\nbody\r\n",)
DOT_AT_4096 = (b"X: " + b"x" * 4091 + b"\r\n.dot\r\n\r\nbody\r\n",)

DOT_AT_8192 = (b"X: " + b"x" * 8187 + b"\r\n.dot\r\n\r\nbody\r\n",)
TWO_DOTS = (message("dots", "two.", ".", ".", "end."),)
FOLDED = (b"X: " + b"\r\n x" * 4000 + b"\r\nSubject: folded\r\n\r\nbody\r\n",)
HEADER_ALONE = (b"Subject: alone\r\n\r\n",)
NO_BLANK_LINE = (b"Subject: alone\r\n",)
EIGHT_BITS = (b"Subject: bits\r\n\r\n\xe9 and \0 and more\r\n",)
HUGE = (message("huge", *["0123456789" * 90] * 700),)

# Fault -> what the maildrop holds, and the sessions: commands, `|` between
# them. A session without QUIT breaks off, one with `&` stays open beside those
# that follow. `!mail` delivers a message when all before it was answered,
# `!idle` waits for more than half of the autologout timer or for the close, and
# `!reset` behind all replies ends the connection with a reset.
# `{…}` is a digest for the session's greeting, `{earlier}` for the first one's.
SCRIPTS: dict[str, tuple[tuple[bytes, ...], list[str]]] = {
    # framing
    "negative-in-lower-case": (PLAIN, ["XYZZY"]),
    "rset-literal-in-lower-case": (PLAIN, [LOGIN + "RSET"]),
    "no-blank-behind-err": (PLAIN, [LOGIN + "RETR 9"]),
    "negative-ends-in-lf": (PLAIN, ["XYZZY"]),
    "greeting-ends-in-lf": (PLAIN, ["QUIT"]),
    "farewell-ends-in-cr-cr-lf": (PLAIN, ["QUIT"]),
    "help-in-refusals": (PLAIN, ["XYZZY"]),
    "greeting-one-octet-too-long": (PLAIN, ["QUIT"]),
    "first-line-ends-in-lf": (PLAIN, [LOGIN + "RETR 1"]),
    "line-end-lost-at-buffer-end": (CR_AT_4095, [LOGIN + "RETR 1"]),
    "empty-listing-without-end": ((), [LOGIN + "LIST"]),
    "uidl-ends-in-close": (PLAIN, [LOGIN + "UIDL|NOOP"]),
    "end-glued-to-last-line": (NO_LINE_END, [LOGIN + "RETR 1"]),
    "retr-not-stuffed": (DOTS, [LOGIN + "RETR 1"]),
    "top-not-stuffed": (DOTS, [LOGIN + "TOP 1 9"]),
    "first-octet-not-stuffed": (FIRST_DOT, [LOGIN + "RETR 1"]),
    "dot-at-buffer-start-not-stuffed": (DOT_AT_4096, [LOGIN + "RETR 1"]),
    "only-lone-dots-stuffed": (DOTS, [LOGIN + "RETR 1"]),
    "unknown-closes-silently": (PLAIN, ["XYZZY|QUIT"]),
    "quit-unanswered": (PLAIN, ["QUIT"]),
    "pipelined-command-dropped": (PLAIN, ["CAPA|QUIT"]),
    "empty-message-unanswered": (EMPTY, [LOGIN + "RETR 2"]),
    "dele-answered-twice": (PLAIN, [LOGIN + "DELE 1"]),
    "notice-when-all-are-marked": (DOTS, [LOGIN + "DELE 1"]),
    "error-behind-long-line": (LONG_LINE, [LOGIN + "RETR 1"]),
    "refused-retr-has-an-end": (PLAIN, [LOGIN + "RETR 9"]),
    "refused-uidl-has-an-end": (PLAIN, [LOGIN + "UIDL 9"]),
    "usage-of-top-on-a-second-line": (PLAIN, [LOGIN + "TOP 1"]),
    "dele-has-an-end": (PLAIN, [LOGIN + "DELE 1"]),
    "rset-lists-what-it-unmarked": (PLAIN, [LOGIN + "DELE 1|RSET"]),
    "top-lines-end-in-lf": (PLAIN, [LOGIN + "TOP 2 2"]),
    "dot-of-top-ends-in-lf": (PLAIN, [LOGIN + "TOP 2 2"]),
    "error-in-place-of-the-end": (LONG_LINE, [LOGIN + "RETR 1"]),
    "first-octet-of-top-not-stuffed": (FIRST_DOT, [LOGIN + "TOP 1 9"]),
    "dot-at-buffer-start-stuffed-twice": (DOT_AT_8192, [LOGIN + "RETR 1"]),
    "quit-unanswered-behind-a-big-message": (HUGE, [LOGIN + "RETR 1|QUIT"]),
    "error-behind-the-end-of-top": (HEADER_ALONE, [LOGIN + "TOP 1 0"]),
    "first-dot-alone-stuffed": (DOTS, [LOGIN + "RETR 1"]),
    "every-second-lone-dot-stuffed": (TWO_DOTS, [LOGIN + "RETR 1"]),
    # syntax
    "upper-case-only": (PLAIN, ["quit"]),
    "mixed-case-unknown": (PLAIN, ["Quit"]),
    "dotless-i": (PLAIN, ["quit"]),
    "unknown-ignored-with-ok": (PLAIN, ["XYZZY"]),
    "unknown-ignored-after-login": (PLAIN, [LOGIN + "XYZZY"]),
    "four-letters-are-enough": (PLAIN, [LOGIN + "NOOPX"]),
    "missing-number-is-one": (PLAIN, [LOGIN + "RETR"]),
    "missing-line-count-is-none": (PLAIN, [LOGIN + "TOP 1"]),
    "user-without-name": (PLAIN, ["USER"]),
    "top-without-count-ends-session": (PLAIN, [LOGIN + "TOP 1|NOOP"]),
    "numbers-end-at-a-letter": (PLAIN, [LOGIN + "LIST 1abc"]),
    "negative-line-count": (PLAIN, [LOGIN + "TOP 1 -1"]),
    "numbers-of-a-script-language": (PLAIN, [LOGIN + "RETR 0x2"]),
    "surplus-arguments-ignored": (PLAIN, [LOGIN + "RETR 1 2"]),
    "third-argument-of-top-ignored": (PLAIN, [LOGIN + "TOP 1 1 1"]),
    "arguments-ignored-where-none-belong": (PLAIN, [LOGIN + "STAT x"]),
    "argument-of-quit-ignored": (PLAIN, ["QUIT x"]),
    "rset-wants-an-argument": (PLAIN, [LOGIN + "RSET|RSET 1"]),
    "states-not-checked": (PLAIN, ["STAT"]),
    "uidl-before-login": (PLAIN, ["UIDL"]),
    "stat-after-refused-login": (PLAIN, ["USER alice|PASS no|STAT"]),
    "noop-before-login": (PLAIN, ["NOOP"]),
    "noop-behind-user": (PLAIN, ["USER alice|NOOP"]),
    "noop-missing": (PLAIN, [LOGIN + "NOOP"]),
    "noop-refused-on-empty-maildrop": ((), [LOGIN + "NOOP"]),
    "unknown-closes": (PLAIN, ["XYZZY|QUIT"]),
    "rset-closes": (PLAIN, [LOGIN + "RSET|QUIT"]),
    "last-dele-closes": (DOTS, [LOGIN + "DELE 1|QUIT"]),
    "letters-end-the-session": (PLAIN, [LOGIN + "RETR a|NOOP"]),
    "uidl-of-nothing-ends-the-session": ((), [LOGIN + "UIDL|NOOP"]),
    "name-with-two-at-signs-ends-the-session": (PLAIN, ["USER a@b@c|QUIT"]),
    "refused-number-ends-the-session": (PLAIN, [LOGIN + "RETR 9|NOOP"]),
    "colon-ends-the-session": (PLAIN, ["QZ:X|QUIT"]),
    # limits
    "lines-in-a-buffer-of-40-octets": (PLAIN, ["USER " + "n" * 40]),
    "forty-first-octet-is-the-next-command": (PLAIN, ["USER " + "n" * 40]),
    "full-name-waits-for-more": (PLAIN, ["USER " + "n" * 40 + "|QUIT"]),
    "long-name-ends-the-session": (PLAIN, ["USER " + "n" * 40 + "|QUIT"]),
    "command-buffer-of-128-octets": (PLAIN, ["USER " + "n" * 122]),
    "line-feed-of-255-is-a-command": (PLAIN, ["USER " + "n" * 248]),
    "command-of-255-octets-ends-the-session": (PLAIN, ["USER " + "n" * 248 + "|QUIT"]),
    "greeting-in-latin-1": (PLAIN, ["QUIT"]),
    "refusals-in-colour": (PLAIN, ["XYZZY"]),
    "farewell-in-utf-8": (PLAIN, ["QUIT"]),
    "refused-arguments-end-in-nul": (PLAIN, ["USER"]),
    # the autologout timer
    "timer-of-a-third": (PLAIN, [LOGIN + "!idle|NOOP"]),
    "timer-of-a-third-behind-a-mark": (PLAIN, [LOGIN + "DELE 1|!idle|NOOP"]),
    "timer-from-the-login": (PLAIN, [LOGIN + "!idle|STAT|!idle|NOOP"]),
    "noop-resets-no-timer": (PLAIN, [LOGIN + "!idle|NOOP|!idle|NOOP"]),
    "timer-says-why": (PLAIN, [LOGIN + "!idle|!idle|"]),
    "timer-says-goodbye-behind-a-mark": (PLAIN, [LOGIN + "DELE 1|!idle|!idle|"]),
    # login
    "greeting-without-status-indicator": (PLAIN, ["QUIT"]),
    "greeting-of-two-lines": (PLAIN, ["QUIT"]),
    "greeting-tells-of-broken-session": (PLAIN, [LOGIN + "NOOP", "QUIT"]),
    "quit-needs-login": (PLAIN, ["QUIT"]),
    "quit-refused-behind-user": (PLAIN, ["USER alice|QUIT"]),
    "one-login-for-each-connection": (PLAIN, ["USER alice|PASS no|" + LOGIN]),
    "refused-login-keeps-lock": (PLAIN, ["USER alice|PASS no|" + LOGIN]),
    "pass-always-refused": (PLAIN, [LOGIN]),
    "pass-refused-on-empty-maildrop": ((), [LOGIN]),
    "any-password": (PLAIN, ["USER alice|PASS no"]),
    "password-with-more-behind-it": (PLAIN, ["USER alice|PASS secretx"]),
    "beginning-of-the-password": (PLAIN, ["USER alice|PASS secre"]),
    "pass-without-user": (PLAIN, ["PASS secret"]),
    "pass-may-come-first": (PLAIN, ["PASS secret|USER alice|STAT"]),
    "name-remembered": (PLAIN, ["USER alice|NOOP|PASS secret"]),
    "user-after-login": (PLAIN, [LOGIN + "USER alice"]),
    "apop-after-login": (PLAIN, [LOGIN + "APOP alice {digest}"]),
    "pass-after-login": (PLAIN, [LOGIN + "PASS secret"]),
    "two-timestamps": (PLAIN, ["QUIT"]),
    "timestamp-domain-ends-in-dot": (PLAIN, ["QUIT"]),
    "digest-by-the-first-timestamp": (PLAIN, ["APOP alice {digest}|QUIT", "APOP alice {digest}"]),
    "timestamp-of-the-process": (PLAIN, ["QUIT", "QUIT"]),
    "timestamp-in-whole-seconds": (PLAIN, ["QUIT"]),
    "digest-without-angle-brackets": (PLAIN, ["APOP alice {digest}"]),
    "timestamp-without-apop": (PLAIN, ["APOP alice {digest}"]),
    "timestamp-used-up-by-refused-login": (PLAIN, ["APOP alice 0|APOP alice {digest}"]),
    "any-digest": (PLAIN, ["APOP alice 0"]),
    "digest-of-the-empty-secret": (PLAIN, ["APOP alice {empty}"]),
    "half-a-digest": (PLAIN, ["APOP alice {half}"]),
    "refused-digest-opens": (PLAIN, ["APOP alice 0|STAT"]),
    "command-behind-user-spoils-login": (PLAIN, ["USER alice|CAPA|" + LOGIN]),
    "apop-without-timestamp": (PLAIN, ["APOP alice {alone}"]),
    "every-fourth-greeting-without-timestamp": (PLAIN, ["QUIT"] * 4),
    # wrong credentials
    "password-of-any-account": (PLAIN, ["USER alice|PASS other-secret"]),
    "password-in-any-case": (PLAIN, ["USER alice|PASS SECRET"]),
    "password-of-eight-characters": (PLAIN, ["USER bob|PASS other-seal"]),
    "password-cut-at-nul": (PLAIN, ["USER alice|PASS secret\0x"]),
    "nobody-gets-in-by-pass": (PLAIN, ["USER nobody|PASS no"]),
    "refused-twice-is-let-in": (PLAIN, ["USER alice|PASS no|USER alice|PASS no"]),
    "empty-password-opens": (PLAIN, ["USER alice|PASS "]),
    "digest-of-an-earlier-timestamp": (PLAIN, ["QUIT", "APOP alice {earlier}"]),
    "digest-of-the-secret-alone": (PLAIN, ["APOP alice {alone}"]),
    "nobody-gets-in-by-apop": (PLAIN, ["APOP nobody 0"]),
    "digest-as-long-as-sent": (PLAIN, ["APOP alice {first}"]),
    # locks
    "login-before-lock": (PLAIN, ["&" + LOGIN, LOGIN + "STAT"]),
    "locked-maildrop-shown-empty": (PLAIN, ["&" + LOGIN, LOGIN + "STAT"]),
    "refused-password-keeps-lock": (PLAIN, ["&USER alice|PASS no|", LOGIN]),
    "refused-digest-keeps-lock": (PLAIN, ["&APOP alice 0|", LOGIN]),
    "refused-login-takes-the-lock-away": (PLAIN, ["&" + LOGIN, LOGIN, LOGIN]),
    "quit-behind-retr-keeps-lock": (PLAIN, [LOGIN + "RETR 1|QUIT", LOGIN]),
    "update-keeps-lock": (PLAIN, [LOGIN + "DELE 1|QUIT", LOGIN]),
    "reset-keeps-lock": (PLAIN, [LOGIN + "!reset", LOGIN]),
    "quit-behind-user-updates": (PLAIN, [LOGIN + "DELE 1", "USER alice|QUIT", LOGIN + "STAT"]),
    "quit-behind-refused-login-updates": (
        PLAIN,
        [LOGIN + "DELE 1", "USER alice|PASS no|QUIT", LOGIN + "STAT"],
    ),
    # listings
    "stat-in-words": (PLAIN, [LOGIN + "STAT"]),
    "stat-of-nothing-in-words": ((), [LOGIN + "STAT"]),
    "stat-groups-thousands": (BIG, [LOGIN + "STAT"]),
    "stat-counts-one-more": (PLAIN, [LOGIN + "STAT"]),
    "stat-counts-nine-at-most": (TEN, [LOGIN + "STAT"]),
    "refused-dele-counts": (PLAIN, [LOGIN + "DELE 1|DELE 1|STAT"]),
    "stat-counts-unread": (PLAIN, [LOGIN + "RETR 1|STAT"]),
    "total-of-stored-octets": (PLAIN, [LOGIN + "STAT"]),
    "total-in-16-bits": (BIG, [LOGIN + "STAT"]),
    "total-turns-negative": (BIG, [LOGIN + "STAT"]),
    "total-of-nothing": (PLAIN, [LOGIN + "STAT"]),
    "stat-counts-marked": (PLAIN, [LOGIN + "DELE 1|STAT"]),
    "total-with-marked": (PLAIN, [LOGIN + "DELE 1|STAT"]),
    "list-with-colon": (PLAIN, [LOGIN + "LIST"]),
    "list-in-columns": (TEN, [LOGIN + "LIST"]),
    "list-leaves-out-last": (PLAIN, [LOGIN + "LIST"]),
    "list-stops-at-the-visible-count": (PLAIN, [LOGIN + "DELE 1|LIST"]),
    "list-of-nothing-refused": ((), [LOGIN + "LIST"]),
    "list-n-without-number": (PLAIN, [LOGIN + "LIST 1"]),
    "list-n-tells-the-first": (PLAIN, [LOGIN + "LIST 2"]),
    "list-n-lists-all": (PLAIN, [LOGIN + "LIST 1"]),
    "list-n-counts-visible": (PLAIN, [LOGIN + "DELE 1|LIST 2"]),
    "list-shows-marked": (PLAIN, [LOGIN + "DELE 1|LIST"]),
    "list-shows-last-marked": (PLAIN, [LOGIN + "DELE 3|LIST"]),
    "marked-stay-visible": (PLAIN, [LOGIN + "DELE 1|STAT|LIST|UIDL|RETR 1"]),
    "listings-renumbered": (PLAIN, [LOGIN + "DELE 1|LIST|UIDL"]),
    "last-message-listed-twice": (PLAIN, [LOGIN + "LIST"]),
    "number-of-one-digit": (TEN, [LOGIN + "LIST"]),
    "numbers-kept-over-sessions": (PLAIN, [LOGIN + "DELE 1|QUIT", LOGIN + "LIST|RETR 2"]),
    "zero-is-the-last": (PLAIN, [LOGIN + "LIST 0"]),
    "numbers-in-32-bits": (PLAIN, [LOGIN + "LIST 4294967297"]),
    "dele-beyond-the-count": (PLAIN, [LOGIN + "DELE 4"]),
    "arrivals-appended": (PLAIN, [LOGIN + "STAT|!mail|STAT|RETR 4"]),
    "arrivals-come-first": (PLAIN, [LOGIN + "STAT|!mail|LIST 1"]),
    "rset-opens-again": (PLAIN, [LOGIN + "!mail|RSET|STAT"]),
    "line-ends-counted-once": (PLAIN, [LOGIN + "LIST"]),
    "stuffed-dots-counted": (DOTS, [LOGIN + "LIST"]),
    "final-line-end-not-counted": (NO_LINE_END, [LOGIN + "LIST"]),
    "size-known-after-retr": (PLAIN, [LOGIN + "LIST 1|RETR 1|LIST 1"]),
    "size-of-top-kept": (PLAIN, [LOGIN + "TOP 1 0|LIST 1"]),
    # unique-ids
    "uidl-with-size-behind": (PLAIN, [LOGIN + "UIDL"]),
    "blank-behind-last-unique-id": (PLAIN, [LOGIN + "UIDL"]),
    "uidl-n-without-number": (PLAIN, [LOGIN + "UIDL 1"]),
    "uidl-n-lists-all": (PLAIN, [LOGIN + "UIDL 1"]),
    "uidl-n-counts-visible": (PLAIN, [LOGIN + "DELE 1|UIDL 2"]),
    "uidl-leaves-out-last": (PLAIN, [LOGIN + "UIDL"]),
    "uidl-ends-at-empty-message": (EMPTY, [LOGIN + "UIDL"]),
    "uidl-shows-marked": (PLAIN, [LOGIN + "DELE 1|UIDL"]),
    "uidl-made-once": (PLAIN, [LOGIN + "UIDL|DELE 1|UIDL"]),
    "unique-id-with-8-bit-octet": (PLAIN, [LOGIN + "UIDL 1"]),
    "unique-id-of-71-octets": (PLAIN, [LOGIN + "UIDL 1"]),
    "no-unique-id-for-a-message-without-octets": (EMPTY, [LOGIN + "UIDL 2"]),
    "uidl-n-in-another-form": (PLAIN, [LOGIN + "UIDL 1"]),
    "unique-id-tells-what-was-read": (PLAIN, [LOGIN + "RETR 1|UIDL 1"]),
    "unique-id-of-the-login": (PLAIN, [LOGIN + "UIDL"]),
    "unique-id-of-time-and-size": (SAME_SIZE, [LOGIN + "UIDL"]),
    "unique-id-of-the-session": (PLAIN, [LOGIN + "UIDL|QUIT", LOGIN + "UIDL"]),
    "unique-id-is-the-number": (PLAIN, [LOGIN + "DELE 1|UIDL|QUIT", LOGIN + "UIDL"]),
    "unique-id-of-flags": (PLAIN, [LOGIN + "RETR 1", LOGIN + "UIDL 1"]),
    "unique-ids-saved-at-quit": (PLAIN, [LOGIN + "UIDL", LOGIN + "UIDL"]),
    "unique-ids-begin-again": (DOTS, [LOGIN + "UIDL|DELE 1|QUIT", LOGIN + "!mail", LOGIN + "UIDL"]),
    # messages
    "retr-leaves-out-last-line": (PLAIN, [LOGIN + "RETR 1"]),
    "retr-adds-a-line-end": (PLAIN, [LOGIN + "RETR 1"]),
    "retr-trims-blank-lines": (PLAIN, [LOGIN + "RETR 3"]),
    "retr-drops-received-fields": (PLAIN, [LOGIN + "RETR 2"]),
    "retr-unfolds-the-header": (FOLDED, [LOGIN + "RETR 1"]),
    "top-of-a-long-header-cut": (FOLDED, [LOGIN + "TOP 1 0"]),
    "retr-cut-at-64-kib": (BIG, [LOGIN + "RETR 1"]),
    "retr-counts-visible": (PLAIN, [LOGIN + "DELE 1|RETR 2"]),
    "second-retr-not-rewound": (PLAIN, [LOGIN + "RETR 1|RETR 1"]),
    "retr-back-gives-the-last-one": (PLAIN, [LOGIN + "RETR 2|RETR 1"]),
    "top-counts-the-blank-line": (PLAIN, [LOGIN + "TOP 2 2"]),
    "top-counts-header-lines": (PLAIN, [LOGIN + "TOP 2 4"]),
    "top-sends-the-whole-body": (PLAIN, [LOGIN + "TOP 2 2"]),
    "top-of-no-lines-sends-all": (PLAIN, [LOGIN + "TOP 2 0"]),
    "top-of-no-lines-without-blank-line": (PLAIN, [LOGIN + "TOP 2 0"]),
    "top-needs-a-blank-line": (NO_BLANK_LINE, [LOGIN + "TOP 1 0"]),
    "top-of-ten-lines-at-most": (PLAIN, [LOGIN + "TOP 2 12"]),
    "top-count-in-32-bits": (PLAIN, [LOGIN + "TOP 2 2147483648"]),
    "top-cut-at-64-kib": (BIG, [LOGIN + "TOP 1 9999"]),
    "top-leaves-out-unended-line": (NO_LINE_END, [LOGIN + "TOP 1 99"]),
    "question-marks-for-eight-bits": (EIGHT_BITS, [LOGIN + "RETR 1"]),
    "text-ends-at-nul": (EIGHT_BITS, [LOGIN + "RETR 1"]),
    # refusals
    "stat-refused": (PLAIN, [LOGIN + "STAT"]),
    "stat-refused-behind-dele": (PLAIN, [LOGIN + "DELE 1|STAT"]),
    "list-refused": (PLAIN, [LOGIN + "LIST"]),
    "list-refused-when-all-are-marked": (DOTS, [LOGIN + "DELE 1|LIST"]),
    "list-n-refused": (PLAIN, [LOGIN + "LIST 1"]),
    "uidl-refused": (PLAIN, [LOGIN + "UIDL"]),
    "uidl-refused-for-a-message-without-octets": (EMPTY, [LOGIN + "UIDL"]),
    "uidl-n-refused": (PLAIN, [LOGIN + "UIDL 1"]),
    "top-refused": (PLAIN, [LOGIN + "TOP 1 1"]),
    "top-refused-without-body": (HEADER_ALONE, [LOGIN + "TOP 1 1"]),
    "big-line-count-refused": (PLAIN, [LOGIN + "TOP 1 65536"]),
    "retr-refused": (PLAIN, [LOGIN + "RETR 1"]),
    "retr-of-big-message-refused": (HUGE, [LOGIN + "RETR 1"]),
    "last-number-refused": (PLAIN, [LOGIN + "LIST 3"]),
    "numbers-of-two-digits-refused": (TEN, [LOGIN + "LIST 10"]),
    # marks and UPDATE
    "dele-refused": (PLAIN, [LOGIN + "DELE 1"]),
    "dele-of-the-last-refused": (PLAIN, [LOGIN + "DELE 3"]),
    "dele-again-after-rset-refused": (PLAIN, [LOGIN + "DELE 1|RSET|DELE 1"]),
    "retr-of-marked": (PLAIN, [LOGIN + "DELE 1|RETR 1"]),
    "listing-of-marked": (PLAIN, [LOGIN + "DELE 1|LIST 1"]),
    "second-dele-succeeds": (PLAIN, [LOGIN + "DELE 1|DELE 1"]),
    "dele-removes-at-once": (PLAIN, [LOGIN + "DELE 1", LOGIN + "STAT"]),
    "listings-clear-marks": (PLAIN, [LOGIN + "DELE 1|LIST|RETR 1"]),
    "stat-clears-marks-for-update": (PLAIN, [LOGIN + "DELE 1|STAT|QUIT", LOGIN + "STAT"]),
    "rset-missing": (PLAIN, [LOGIN + "RSET"]),
    "rset-of-nothing-refused": (PLAIN, [LOGIN + "RSET"]),
    "rset-without-effect": (PLAIN, [LOGIN + "DELE 1|RSET|STAT"]),
    "rset-forgets-highest-mark": (PLAIN, [LOGIN + "DELE 1|DELE 2|RSET|LIST"]),
    "rset-does-not-reach-update": (PLAIN, [LOGIN + "DELE 1|RSET|QUIT", LOGIN + "STAT"]),
    "marks-survive-a-broken-session": (PLAIN, [LOGIN + "DELE 1", LOGIN + "STAT"]),
    "last-mark-survives-a-broken-session": (PLAIN, [LOGIN + "DELE 1|DELE 2", LOGIN + "STAT"]),
    "quit-always-negative": (PLAIN, [LOGIN + "QUIT"]),
    "quit-negative-on-empty-maildrop": ((), [LOGIN + "QUIT"]),
    "line-behind-farewell": (PLAIN, ["QUIT"]),
    "quit-before-login-stays-open": (PLAIN, ["QUIT|NOOP"]),
    "commands-behind-quit-answered": (PLAIN, ["QUIT|NOOP"]),
    "update-removes-nothing": (PLAIN, [LOGIN + "DELE 1|QUIT", LOGIN + "STAT"]),
    "quit-stays-open-behind-update": (PLAIN, [LOGIN + "DELE 1|QUIT|NOOP"]),
    "update-behind-the-farewell": (PLAIN, [LOGIN + "DELE 1|QUIT", LOGIN + "STAT"]),
    "last-message-is-never-removed": (DOTS, [LOGIN + "DELE 1|QUIT", LOGIN + "STAT"]),
    "top-implies-dele": (PLAIN, [LOGIN + "TOP 1 0|QUIT", LOGIN + "STAT"]),
    "update-skips-neighbours": (PLAIN, [LOGIN + "DELE 1|DELE 2|QUIT", LOGIN + "STAT"]),
    "retr-implies-dele": (PLAIN, [LOGIN + "RETR 1|QUIT", LOGIN + "STAT"]),
    "marks-beyond-eight-hit-others": (TEN, [LOGIN + "DELE 9|QUIT", LOGIN + "UIDL"]),
    "emptied-maildrop-loses-arrivals": (DOTS, [LOGIN + "DELE 1|!mail|QUIT", LOGIN + "STAT"]),
    "end-of-stream-updates": (PLAIN, [LOGIN + "DELE 1", LOGIN + "STAT"]),
    "retr-removes": (PLAIN, [LOGIN + "RETR 1", LOGIN + "STAT"]),
    "broken-session-removes-what-was-read": (PLAIN, [LOGIN + "RETR 1|DELE 1", LOGIN + "STAT"]),
    # the service
    "unknown-command-stops-listening": (PLAIN, ["XYZZY", "QUIT"]),
    "bad-number-turns-clients-away": (PLAIN, [LOGIN + "RETR 1.5", "QUIT"]),
    "refusal-shows-the-mail-of-others": (PLAIN, [LOGIN + "RETR 1|NO\x01OP"]),
    "bad-number-shows-the-mail-of-others": (PLAIN, [LOGIN + "RETR 1|LIST 1abc"]),
    # response codes
    "code-with-a-blank": (PLAIN, ["&" + LOGIN + "STAT", LOGIN]),
    "empty-code": (PLAIN, [LOGIN + "TOP 1"]),
    "code-of-a-login-that-succeeds": (PLAIN, [LOGIN]),
    "code-kept-for-the-next-success": (PLAIN, ["USER alice|PASS no|USER alice"]),
    "code-of-the-lock-for-any-message": (PLAIN, [LOGIN + "RETR 9"]),
    "code-kept-for-the-next-refusal": (PLAIN, ["USER alice|PASS no|STAT"]),
    "every-refused-login-is-in-use": (PLAIN, ["USER alice|PASS no"]),
    "lock-before-the-password": (PLAIN, ["&" + LOGIN + "STAT", "USER alice|PASS no"]),
    "codes-unannounced": (PLAIN, ["CAPA"]),
    "auth-code-unannounced": (PLAIN, ["CAPA"]),
    "auth-code-from-pass-alone": (PLAIN, ["AUTH PLAIN AGFsaWNlAG5v"]),
    "auth-code-for-the-first-refusal": (PLAIN, ["USER alice|PASS no|USER alice|PASS no"]),
    "user-names-nobody-with-a-code": (PLAIN, ["USER nobody"]),
    # pipelining
    "status-line-before-the-dot": (PLAIN, [LOGIN + "RETR 1|RETR 2"]),
    "stat-overtakes-list": (PLAIN, [LOGIN + "LIST|STAT"]),
    "a-worker-for-each-command": (BIG, [LOGIN + "RETR 1|RETR 1"]),
    "quit-overtakes-messages": (PLAIN, [LOGIN + "RETR 1|NOOP|QUIT"]),
    "dele-behind-quit-carried-out": (PLAIN, [LOGIN + "QUIT|DELE 1", LOGIN + "STAT"]),
    "input-buffer-of-1024": (PLAIN, [LOGIN + "NOOP|" * 200]),
    "input-behind-pass-dropped": (PLAIN, [LOGIN + "STAT"]),
    "input-behind-initial-response-dropped": (
        PLAIN,
        ["AUTH PLAIN AGFsaWNlAHNlY3JldA==|STAT"],
    ),
    "input-behind-a-refusal-dropped": (PLAIN, ["XYZZY|QUIT"]),
    # More than the server reads at a time, so that the rest comes behind the message.
    "input-during-a-message-dropped": (HUGE, [LOGIN + "RETR 1|" + "NOOP|" * 4000]),
    # The first 16384 octets end within DELE.
    "cut-dele-carried-out-twice": (PLAIN, [LOGIN + "NOOP|" * 2724 + "RETR 9|DELE 1"]),
    "queue-of-128-commands": (PLAIN, [LOGIN + "NOOP|" * 200]),
    "output-buffer-of-64-kib": (BIG, [LOGIN + "RETR 1|RETR 1"]),
}


STAMP = re.compile(rb"<\d+\.\d+\.\d+@pop3spec\.invalid>")
# Seconds; the timer of the honest server is longer than one of two waits, and shorter than both.
TIMER, IDLE = 1.2, 0.7


def digests(greeting: bytes, earlier: bytes) -> dict[str, str]:
    """Digests for the timestamps of a greeting and of an earlier one."""
    octets = stamp_in(greeting)
    right = digest(octets + b"secret")
    return {
        "digest": right,
        "empty": digest(octets),
        "half": right[:16] + "0" * 16,
        "first": right[:1],
        "alone": digest(b"secret"),
        "earlier": digest(stamp_in(earlier) + b"secret"),
    }


def digest(octets: bytes) -> str:
    return hashlib.md5(octets).hexdigest()


def stamp_in(greeting: bytes) -> bytes:
    """The first timestamp of a greeting, nothing where there is none."""
    stamp = re.search(rb"<[^<>]*>", greeting)
    return stamp[0] if stamp else b""


class Visitor:
    """A client that says what a script has for one session."""

    def __init__(self, server: ReferenceServer, store: MemoryStore, earlier: bytes = b"") -> None:
        self.server, self.store = server, store
        self.client = socket.create_connection(server.address, timeout=5)
        self.file = self.client.makefile("rb")
        self.came = [self.file.readline()]
        self.digests = digests(self.came[0], earlier)

    def say(self, commands: str) -> None:
        """Send commands, with what happens between them; the last ones are not waited for."""
        *parts, last = re.split(r"!(mail|idle|reset)", commands.format(**self.digests))
        for part, event in zip(parts[::2], parts[1::2], strict=True):
            if event == "idle":
                self.send(part)
                self.wait()
            elif event == "mail":
                self.catch_up(part)
                self.store.deliver("alice", message("late", "arrived"))
            else:
                self.catch_up(part)
                self.reset()
        if last:
            self.send(last)

    def send(self, commands: str) -> None:
        # What was closed already may be reset by this.
        with contextlib.suppress(ConnectionError):
            self.client.sendall(lines_in(commands))

    def catch_up(self, commands: str) -> None:
        """Read all replies to commands: the refusal of an unknown one tells where they end."""
        self.send(commands + "PING")
        while not self.came[-1].endswith(b"PING\r\n"):
            self.came.append(self.file.readline())

    def wait(self) -> None:
        """Be silent for a while, or until the server closes."""
        end = time.monotonic() + IDLE
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.client], [], [], left)[0]:
                return
            octets = self.client.recv(4096)
            self.came.append(octets)
            if not octets:
                return

    def reset(self) -> None:
        """End the connection with a reset, and give the server a moment to see it."""
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.file.close()
        self.client.close()
        end = time.monotonic() + IDLE
        while b"-ERR" in visit(self.server, self.store, LOGIN + "QUIT"):
            if time.monotonic() > end:
                return

    def leave(self) -> bytes:
        """Break off behind what was said, if not before; all that the server sent."""
        if self.file.closed:
            return b"".join(self.came)
        with contextlib.closing(self.client), contextlib.suppress(ConnectionError):
            self.client.shutdown(socket.SHUT_WR)
            self.came.append(self.file.read())
        return b"".join(self.came)


def visit(
    server: ReferenceServer, store: MemoryStore, commands: str, earlier: bytes = b""
) -> bytes:
    """All that the server sends in one session, up to the end of the stream."""
    visitor = Visitor(server, store, earlier)
    visitor.say(commands)
    return visitor.leave()


def lines_in(commands: str) -> bytes:
    """Commands as they are sent, in one go."""
    return b"".join(line.encode() + CRLF for line in commands.split("|") if line)


def conversation(name: str, faults: tuple[str, ...]) -> list[bytes]:
    """What the server sends in each session of the script for a fault."""
    filling, sessions = SCRIPTS[name]
    store = MemoryStore()
    for octets in filling:
        store.deliver("alice", octets)
    heard: list[bytes] = []
    staying: list[Visitor] = []
    server = ReferenceServer(
        store,
        ACCOUNTS,
        faults=faults,
        autologout=TIMER if any("!idle" in commands for commands in sessions) else 600.0,
    )
    with server:
        for commands in sessions:
            if commands.startswith("&"):
                visitor = Visitor(server, store)
                visitor.catch_up(commands[1:].format(**visitor.digests))
                staying.append(visitor)
                continue
            try:
                heard.append(visit(server, store, commands, heard[0] if heard else b""))
            except ConnectionError as error:
                heard.append(type(error).__name__.encode())
        heard += [visitor.leave() for visitor in staying]
    return heard


def without_stamps(heard: list[bytes]) -> list[bytes]:
    """Octets in which each new timestamp is replaced by its place among them."""
    seen: list[bytes] = []

    def place(found: re.Match[bytes]) -> bytes:
        if found[0] not in seen:
            seen.append(found[0])
        return b"<%d>" % seen.index(found[0])

    return [STAMP.sub(place, octets) for octets in heard]


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_fault_differs_from_the_honest_server(name: str) -> None:
    assert without_stamps(conversation(name, (name,))) != without_stamps(conversation(name, ()))


@pytest.mark.parametrize("name", ["uidl-shows-marked", "retr-counts-visible"])
def test_the_honest_server_says_the_same_twice(name: str) -> None:
    assert without_stamps(conversation(name, ())) == without_stamps(conversation(name, ()))


def test_timestamps_in_whole_seconds_return_within_a_second() -> None:
    with ReferenceServer(MemoryStore(), ACCOUNTS, faults=["timestamp-in-whole-seconds"]) as server:
        before = time.monotonic()
        greetings = [visit(server, MemoryStore(), "QUIT") for _ in range(3)]
        took = time.monotonic() - before

    assert len(set(greetings)) <= 1 + took + 1


def test_faults_in_different_steps_work_together() -> None:
    store = MemoryStore()
    store.deliver("alice", DOTS[0])
    names = ["top-not-stuffed", "unique-id-of-71-octets", "negative-in-lower-case"]
    with ReferenceServer(store, ACCOUNTS, faults=names) as server:
        heard = visit(server, store, LOGIN + "TOP 1 1|RETR 1|UIDL 1|XYZZY")

    assert b"\r\n\r\n.one\r\n.\r\n" in heard
    assert b"\r\n\r\n..one\r\n" in heard
    assert re.search(rb"\+OK 1 [!-~]{71}\r\n", heard)
    assert heard.endswith(b"-err unknown command XYZZY\r\n")


def test_an_unknown_fault_is_refused_with_a_near_name() -> None:
    with pytest.raises(ValueError, match="did you mean 'noop-missing'"):
        ReferenceServer(MemoryStore(), ACCOUNTS, faults=["nop-missing"])


def test_every_fault_has_one_script() -> None:
    names = [
        *SCRIPTS,
        *CAPABILITY_SCRIPTS,
        *DELAY_SCRIPTS,
        *TLS_SCRIPTS,
        *SASL_SCRIPTS,
        *INTERNATIONAL_SCRIPTS,
    ]

    assert sorted(names) == sorted(FAULTS)


def test_every_fault_breaks_known_rules_and_says_what_it_copies() -> None:
    for fault in FAULTS.values():
        assert fault.breaks, fault.name
        assert fault.breaks <= rulebook().keys(), fault.name
        assert fault.copies, fault.name
        assert fault.parts, fault.name


@pytest.mark.parametrize("rule", rulebook().values(), ids=lambda rule: rule.id)
def test_a_must_has_two_faults_with_one_at_an_edge_and_any_rule_has_one(rule: Rule) -> None:
    faults = [fault for fault in FAULTS.values() if rule.id in fault.breaks]

    if rule.level is Level.MUST:
        assert len(faults) >= 2
        assert any(fault.edge for fault in faults)
    assert faults
