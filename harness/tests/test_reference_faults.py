"""Each fault of the reference server: registered soundly, and visibly wrong."""

import contextlib
import hashlib
import re
import socket
import time

import pytest

from pop3spec.reference import FAULTS, MemoryStore, ReferenceServer
from pop3spec.rulebook.rules import Level, Rule, rulebook

ACCOUNTS = {"alice": "secret"}
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

# Fault -> what the maildrop holds, and the sessions: commands, `|` between
# them. A session without QUIT breaks off. `!mail` delivers a message when all
# before it was answered, `{…}` is a digest for the session's greeting.
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
    "uidl-n-in-another-form": (PLAIN, [LOGIN + "UIDL 1"]),
    "unique-id-tells-what-was-read": (PLAIN, [LOGIN + "RETR 1|UIDL 1"]),
    "unique-id-of-the-login": (PLAIN, [LOGIN + "UIDL"]),
    "unique-id-of-time-and-size": (SAME_SIZE, [LOGIN + "UIDL"]),
    "unique-id-of-the-session": (PLAIN, [LOGIN + "UIDL|QUIT", LOGIN + "UIDL"]),
    "unique-id-is-the-number": (PLAIN, [LOGIN + "DELE 1|UIDL|QUIT", LOGIN + "UIDL"]),
    "unique-ids-saved-at-quit": (PLAIN, [LOGIN + "UIDL", LOGIN + "UIDL"]),
    "unique-ids-begin-again": (DOTS, [LOGIN + "UIDL|DELE 1|QUIT", LOGIN + "!mail", LOGIN + "UIDL"]),
    # messages
    "retr-leaves-out-last-line": (PLAIN, [LOGIN + "RETR 1"]),
    "retr-adds-a-line-end": (PLAIN, [LOGIN + "RETR 1"]),
    "retr-trims-blank-lines": (PLAIN, [LOGIN + "RETR 3"]),
    "retr-drops-received-fields": (PLAIN, [LOGIN + "RETR 2"]),
    "retr-cut-at-64-kib": (BIG, [LOGIN + "RETR 1"]),
    "retr-counts-visible": (PLAIN, [LOGIN + "DELE 1|RETR 2"]),
    "second-retr-not-rewound": (PLAIN, [LOGIN + "RETR 1|RETR 1"]),
    "retr-back-gives-the-last-one": (PLAIN, [LOGIN + "RETR 2|RETR 1"]),
    "top-counts-the-blank-line": (PLAIN, [LOGIN + "TOP 2 2"]),
    "top-counts-header-lines": (PLAIN, [LOGIN + "TOP 2 4"]),
    "top-sends-the-whole-body": (PLAIN, [LOGIN + "TOP 2 2"]),
    "top-of-no-lines-sends-all": (PLAIN, [LOGIN + "TOP 2 0"]),
    "top-of-no-lines-without-blank-line": (PLAIN, [LOGIN + "TOP 2 0"]),
    "top-of-ten-lines-at-most": (PLAIN, [LOGIN + "TOP 2 12"]),
    "top-count-in-32-bits": (PLAIN, [LOGIN + "TOP 2 2147483648"]),
    "top-cut-at-64-kib": (BIG, [LOGIN + "TOP 1 9999"]),
    "top-leaves-out-unended-line": (NO_LINE_END, [LOGIN + "TOP 1 99"]),
    # marks and UPDATE
    "dele-refused": (PLAIN, [LOGIN + "DELE 1"]),
    "dele-of-the-last-refused": (PLAIN, [LOGIN + "DELE 3"]),
    "dele-again-after-rset-refused": (PLAIN, [LOGIN + "DELE 1|RSET|DELE 1"]),
    "retr-of-marked": (PLAIN, [LOGIN + "DELE 1|RETR 1"]),
    "listing-of-marked": (PLAIN, [LOGIN + "DELE 1|LIST 1"]),
    "second-dele-succeeds": (PLAIN, [LOGIN + "DELE 1|DELE 1"]),
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
}


def digests(greeting: bytes) -> dict[str, str]:
    """Digests for the first timestamp of a greeting."""
    stamp = re.search(rb"<[^<>]*>", greeting)
    octets = stamp[0] if stamp else b""
    right = hashlib.md5(octets + b"secret").hexdigest()
    empty = hashlib.md5(octets).hexdigest()
    return {"digest": right, "empty": empty, "half": right[:16] + "0" * 16}


def visit(server: ReferenceServer, store: MemoryStore, commands: str) -> bytes:
    """All that the server sends in one session, up to the end of the stream."""
    with contextlib.closing(socket.create_connection(server.address, timeout=5)) as client:
        file = client.makefile("rb")
        came = [file.readline()]
        *parts, last = commands.format(**digests(came[0])).split("!mail")
        for part in parts:
            # The refusal of an unknown command tells that all before it was done.
            client.sendall(lines_in(part + "PING"))
            while not came[-1].endswith(b"PING\r\n"):
                came.append(file.readline())
            store.deliver("alice", message("late", "arrived"))
        client.sendall(lines_in(last))
        client.shutdown(socket.SHUT_WR)
        return b"".join(came) + file.read()


def lines_in(commands: str) -> bytes:
    """Commands as they are sent, in one go."""
    return b"".join(line.encode() + CRLF for line in commands.split("|") if line)


def conversation(name: str, faults: tuple[str, ...]) -> list[bytes]:
    """What the server sends in each session of the script for a fault."""
    filling, sessions = SCRIPTS[name]
    store = MemoryStore()
    for octets in filling:
        store.deliver("alice", octets)
    heard = []
    with ReferenceServer(store, ACCOUNTS, faults=faults) as server:
        for commands in sessions:
            try:
                heard.append(visit(server, store, commands))
            except ConnectionError as error:
                heard.append(type(error).__name__.encode())
    return heard


STAMP = re.compile(rb"<\d+\.\d+\.\d+@pop3spec\.invalid>")


def without_stamps(heard: list[bytes]) -> list[bytes]:
    """Octets in which each new timestamp is replaced by its place among them."""
    seen: list[bytes] = []

    def place(found: re.Match[bytes]) -> bytes:
        if found[0] not in seen:
            seen.append(found[0])
        return b"<%d>" % seen.index(found[0])

    return [STAMP.sub(place, octets) for octets in heard]


@pytest.mark.parametrize("name", FAULTS)
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


def test_every_fault_breaks_known_rules_and_says_what_it_copies() -> None:
    for fault in FAULTS.values():
        assert fault.breaks, fault.name
        assert fault.breaks <= rulebook().keys(), fault.name
        assert fault.copies, fault.name
        assert fault.parts, fault.name


RULES = [rule for rule in rulebook().values() if rule.rfc in (1939, None)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_must_has_two_faults_with_one_at_an_edge_and_any_rule_has_one(rule: Rule) -> None:
    faults = [fault for fault in FAULTS.values() if rule.id in fault.breaks]

    if rule.level is Level.MUST:
        assert len(faults) >= 2
        assert any(fault.edge for fault in faults)
    assert faults
