"""Sessions against scripted servers: what is judged, what is refused, what is written down."""

import base64
import hashlib
import threading
from dataclasses import replace

import pytest
from scripted import ALICE, HELLO, LOGIN, Line, Move, Scripted, close, flood, reset, trickle, when

from pop3spec import connection as connections
from pop3spec.authentication import authenticate
from pop3spec.client_lines import problem_of_line
from pop3spec.harm import HarnessError
from pop3spec.masking import masker_for
from pop3spec.opening import open_session
from pop3spec.recorder import Recorder
from pop3spec.refusals import SessionRefused
from pop3spec.rulebook.history import Filling
from pop3spec.sasl import Identity, begin
from pop3spec.target import Account, Address, Target, Timeouts, Tls, Transport
from pop3spec.transcript import End, Kind, render

BYE = ("QUIT", b"+OK bye\r\n", close)
ONE = Filling(count=1, is_clean=True, is_distinct=True)


def rules(recorder: Recorder) -> list[str]:
    return [finding.rule for finding in recorder.findings]


# --- Greeting and login


@pytest.mark.parametrize(
    ("script", "reason", "timed_out"),
    [
        ([], "no reply in time", True),
        ([close], "the server closed the connection", False),
        ([b"+OK rea", close], "the server closed the connection", False),
        # It may be reset before the client has so much as looked at it.
        ([reset], "reset the connection|no connection", False),
        ([b"-ERR busy\r\n", close], "the greeting refuses the service", False),
    ],
)
def test_a_service_that_is_not_given_is_a_limit_and_no_fault(
    script: list[Move], reason: str, timed_out: bool
) -> None:
    there = threading.Event()
    recorder = Recorder()
    with Scripted([when(there), *script]) as server:
        there.set()
        timeout = 0.3 if timed_out else 5.0
        with pytest.raises(SessionRefused, match=reason) as refused:
            server.session(recorder, server.target(connect=timeout))

    assert refused.value.is_limit
    assert refused.value.timed_out is timed_out
    assert rules(recorder) == []


def test_no_server_at_all_is_a_limit() -> None:
    with Scripted([]) as server:
        target = server.target()

    with pytest.raises(SessionRefused, match="no connection") as refused:
        open_session(target, Recorder())
    assert refused.value.is_limit


@pytest.mark.parametrize("octet", range(1, len(HELLO)))
def test_a_greeting_is_read_from_any_segments(octet: int) -> None:
    recorder = Recorder()
    with Scripted([HELLO[:octet], trickle(HELLO[octet:]), *BYE]) as server:
        server.session(recorder).quit()

    assert rules(recorder) == []


@pytest.mark.parametrize(
    ("moves", "is_limit", "wants_tls", "timed_out"),
    [
        (("USER alice", b"-ERR [IN-USE] later\r\n"), True, False, False),
        (("USER alice", b"+OK\r\n", "PASS correct-horse", b"-ERR no\r\n"), False, False, False),
        (("USER alice", b"-ERR use TLS first\r\n"), False, True, False),
        (("USER alice", b"+OK\r\n", "PASS correct-horse", close), True, False, False),
        (("USER alice", close), True, False, False),
        ((close,), True, False, False),
        (("USER alice",), True, False, True),
    ],
)
def test_a_login_that_is_refused_says_whether_it_may_come_later(
    moves: tuple[Move, ...], is_limit: bool, wants_tls: bool, timed_out: bool
) -> None:
    recorder = Recorder()
    with Scripted([HELLO, *moves]) as server:
        timeout = 0.3 if timed_out else 5.0
        session = server.session(recorder, server.target(reply=timeout, login=timeout))
        with pytest.raises(SessionRefused) as refused:
            session.log_in(ALICE)
        session.close()

    assert refused.value.is_limit is is_limit
    assert refused.value.wants_tls is wants_tls
    assert refused.value.timed_out is timed_out
    # A drop in preparation is a limit first; silence is what reply-per-command is about.
    assert rules(recorder) == (["rfc1939-3-reply-per-command"] if timed_out else [])


def test_a_login_by_apop_sends_the_digest_of_this_greeting() -> None:
    stamp = b"<1896.697170952@dbc.mtview.ca.us>"
    digest = hashlib.md5(stamp + b"tanstaaf").hexdigest()
    recorder = Recorder()
    with Scripted([b"+OK " + stamp + b"\r\n", f"APOP mrose {digest}", b"+OK\r\n", *BYE]) as server:
        session = server.session(recorder)
        session.log_in(Account("mrose", "tanstaaf"), use_apop=True)
        session.quit()

    # The example of RFC 1939, section 7.
    assert digest == "c4c9334bac560ecc979e58001b3e22fb"
    assert rules(recorder) == []


def test_a_failed_handshake_is_no_close_by_the_server() -> None:
    recorder = Recorder()
    with Scripted([HELLO]) as server:
        target = Target(
            server.address, tls_address=server.address, tls=Tls(insecure=True), timeouts=Timeouts(5)
        )
        with pytest.raises(SessionRefused, match="is this a TLS port") as refused:
            open_session(target, recorder, Transport.TLS)

    assert not refused.value.is_limit
    assert rules(recorder) == []


def test_stls_that_is_refused_is_said_so() -> None:
    with (
        Scripted([HELLO, "STLS", b"-ERR no\r\n"]) as server,
        pytest.raises(SessionRefused, match="STLS is refused"),
    ):
        open_session(server.target(), Recorder(), Transport.STLS)


# --- Our own side


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"NOOP\r\n", ""),
        (b"XYZZY\r\n", ""),
        (b"NOOP \r\n", ""),
        (b"USER al\xc3\xadce\r\n", ""),
        (b"PASS gr\xfc\xdfe\r\n", "it is not UTF-8"),
        (b"APOP al\xc3\xadce 0\r\n", ""),
        (b"x" * 253 + b"\r\n", ""),
        (b"x" * 254 + b"\r\n", "256 octets are more than 255"),
        (b"NOOP\n", "it does not end with CRLF"),
        (b"NOOP\r", "it does not end with CRLF"),
        (b"\r\n", "it has no keyword"),
        (b"  \r\n", "it has no keyword"),
        (b"NOOP\0\r\n", "it has control characters"),
        (b"NO\rOP\r\n", "it has control characters"),
        (b"LIST\t1\r\n", "it has control characters"),
        (b"NOOP\x7f\r\n", "it has control characters"),
        (b"RETR \xb9\r\n", "it has octets outside of ASCII"),
    ],
)
def test_a_line_that_no_client_may_send_is_known(line: bytes, problem: str) -> None:
    assert problem_of_line(line) == problem


def test_an_illegal_line_is_refused_before_an_octet_is_sent() -> None:
    recorder = Recorder()
    with Scripted([HELLO, *BYE]) as server:
        session = server.session(recorder)
        for line in ("NOOP\r\nDELE 1", "x" * 300, "", "RETR \u0661"):
            with pytest.raises(HarnessError, match="pop3spec would send"):
                session.exchange(line)
        session.quit()

    assert server.lines[0].heard == b"QUIT\r\n"


@pytest.mark.parametrize(
    "octets",
    [
        b"DELE 1\r\n",
        b"dele 1\r\n",
        b" DELE 1\r\n",
        b"DELE\t1\r\n",
        b"DELE 1\n",
        b"XDELE 1\r\n",
        # Servers that cut at CR, at NUL, or at the length of their buffer.
        b"NOOP\rDELE 1\r\n",
        b"NOOP\0DELE 1\r\n",
        b"x" * 600 + b"DELE 1\r\n",
        b"NOOP\r\nNOOP\r\nDELE 1\r\n",
        # A server may not wait for the end of the line.
        b"DELE 1\r",
        b"NOOP\rDELE 1",
    ],
)
def test_dele_for_mail_that_is_not_ours_never_leaves(octets: bytes) -> None:
    recorder = Recorder()
    with Scripted([HELLO, *LOGIN]) as server:
        session = server.session(recorder, login=True)
        with pytest.raises(HarnessError, match="DELE for mail that it did not deliver"):
            session.send_octets(octets)
        session.close()

    assert b"DELE" not in server.lines[0].heard.upper()


def test_dele_in_two_pieces_never_leaves_as_a_whole() -> None:
    with Scripted([HELLO, *LOGIN]) as server:
        session = server.session(Recorder(), login=True)
        session.send_octets(b"DE")
        with pytest.raises(HarnessError, match="DELE"):
            session.send_octets(b"LE 1\r\n")
        session.close()

    assert server.lines[0].heard.endswith(b"DE")


def test_dele_is_sent_where_it_may_be() -> None:
    with Scripted(
        [HELLO, "DELE 1", b"-ERR\r\n", *BYE],
        [HELLO, *LOGIN, "DELE 1", b"+OK\r\n", *BYE],
        [HELLO, "USER alice", b"+OK\r\n", "PASS delete-me", b"+OK\r\n", *BYE],
    ) as server:
        # Before any name was given it can mean nobody's mail.
        for may_delete, login in ((False, False), (True, True)):
            session = server.session(Recorder(), may_delete=may_delete, login=login)
            session.exchange("DELE 1")
            session.quit()
        session = server.session(Recorder())
        session.log_in(Account("alice", "delete-me"))
        session.quit()


def test_what_no_client_may_send_is_marked_as_deliberate() -> None:
    recorder = Recorder()
    answers = b"-ERR\r\n" * 3
    with Scripted([HELLO, lambda line: [line.hear() for _ in range(3)], answers]) as server:
        session = server.session(recorder)
        session.send_octets(b"XYZZ\r\nNOOP\n" + b"x" * 300 + b"\r\n", (2, 7))
        exchanges = [session.receive() for _ in range(3)]
        session.close()

    assert [exchange.deliberate for exchange in exchanges] == [False, True, True]
    assert [exchange.sent[:4] for exchange in exchanges] == [b"XYZZ", b"NOOP", b"xxxx"]
    assert session.history.illegal


def test_a_connection_that_we_closed_takes_no_more_commands() -> None:
    with Scripted([HELLO]) as server:
        session = server.session(Recorder())
        session.close()
        with pytest.raises(HarnessError, match="it has closed"):
            session.exchange("NOOP")


# --- Replies, in hostile ways


LISTING = b"+OK 1 message\r\n1 20\r\n.\r\n"


def test_what_answers_the_last_piece_as_well_is_no_reply_to_the_next_command() -> None:
    recorder = Recorder()

    def answer_pieces(line: Line) -> None:
        for _ in range(2):
            line.sock.recv(100)
            line.say(b"-ERR what?\r\n")

    with Scripted([HELLO, answer_pieces, *BYE]) as server:
        session = server.session(recorder)
        session.send_octets(b"QZXV somebody\r\n", (5,))
        session.receive()
        session.quit()

    assert rules(recorder) == ["rfc1939-3-nothing-unasked"]


@pytest.mark.parametrize("octet", range(1, len(LISTING)))
def test_a_reply_that_is_split_is_the_same_reply(octet: int) -> None:
    recorder = Recorder()
    moves: tuple[Move, ...] = ("LIST", LISTING[:octet], trickle(LISTING[octet:]))
    with Scripted([HELLO, *LOGIN, *moves, *BYE]) as server:
        session = server.session(recorder, filling=ONE, login=True)
        listing = session.exchange("LIST")
        session.quit()

    assert listing.reply is not None
    assert listing.reply.wire == LISTING
    assert rules(recorder) == []


@pytest.mark.parametrize(
    ("moves", "broken"),
    [
        (("STAT", b"+OK 1 20\r\n", *BYE), []),
        (("STAT", b"+OK 1 20\r\n+OK 1 20\r\n"), ["rfc1939-3-nothing-unasked"]),
        (("STAT", b"+OK 1 20\r\n.\r\n"), ["rfc1939-3-single-line"]),
        (
            ("STAT", b"-ERR\r\nwhat?\r\n"),
            ["rfc1939-5-stat-drop-listing", "rfc1939-3-error-single-line"],
        ),
        (("STAT", b"+OK 1 20\r\n", close), ["rfc1939-3-stays-open"]),
        (("STAT", close), ["rfc1939-3-stays-open"]),
        (("STAT", b"+OK 1 2", close), []),
        (("STAT", reset), ["rfc1939-3-stays-open"]),
        (("STAT",), ["rfc1939-3-reply-per-command"]),
        (("STAT", b"+OK 1 2"), ["rfc1939-3-response-crlf"]),
    ],
)
def test_a_broken_reply_is_accused_once_and_rightly(
    moves: tuple[Move, ...], broken: list[str]
) -> None:
    recorder = Recorder()
    with Scripted([HELLO, *LOGIN, *moves]) as server:
        target = server.target(reply=5.0 if moves[-1] in (close, reset) else 0.4)
        session = server.session(recorder, target, filling=ONE, login=True)
        session.exchange("STAT")
        # What else comes is waited for, so that nothing depends on speed.
        if session.is_open:
            session.silence(0.1)
        session.quit() if moves[-1] is close else session.close()

    assert rules(recorder) == broken


@pytest.mark.parametrize("greeting", [b"+OK one\r\n+OK two\r\n", b"+OK one\r\ntwo\r\n"])
def test_octets_behind_the_greeting_break_it(greeting: bytes) -> None:
    recorder = Recorder()
    with Scripted([greeting]) as server:
        session = server.session(recorder)
        session.silence(0.1)
        session.close()

    assert rules(recorder) == ["rfc1939-4-greeting"]


def test_octets_that_come_while_nothing_is_outstanding_are_seen_before_the_next_command() -> None:
    recorder = Recorder()
    cue, said = threading.Event(), threading.Event()

    def interrupt(line: Line) -> None:
        line.say(b"* 1 EXISTS\r\n")
        said.set()

    script: list[Move] = [HELLO, *LOGIN, "LIST", LISTING, when(cue), interrupt, *BYE]
    with Scripted(script) as server:
        session = server.session(recorder, filling=ONE, login=True)
        session.exchange("LIST")
        cue.set()
        assert said.wait(5.0)
        session.look()
        session.quit()

    assert rules(recorder) == ["rfc1939-3-nothing-unasked"]
    assert [exchange.kind for exchange in recorder.transcript].count(Kind.UNASKED) == 1
    assert session.history.quit


@pytest.mark.parametrize(
    ("command", "start", "piece", "broken"),
    [
        ("LIST", b"+OK\r\n", b"1 20\r\n" * 1000, ["rfc1939-3-multi-line-end"]),
        ("STAT", b"", b"+OK 1 20 " * 1000, ["rfc1939-3-response-length"]),
    ],
)
def test_a_reply_without_end_is_given_up_and_shown_by_its_ends(
    monkeypatch: pytest.MonkeyPatch, command: str, start: bytes, piece: bytes, broken: list[str]
) -> None:
    monkeypatch.setattr(connections, "MAX_LINE", 1_000_000)
    monkeypatch.setattr(connections, "MAX_REPLY", 1_000_000)
    recorder = Recorder()
    with Scripted([HELLO, *LOGIN, command, start, flood(piece)]) as server:
        session = server.session(recorder, filling=Filling(), login=True)
        exchange = session.exchange(command)
        session.close()

    assert exchange.end is End.TOO_LONG
    assert rules(recorder)[:1] == broken
    assert sum(map(len, render(recorder.transcript, masker_for([ALICE])))) < 30_000


def test_a_late_reply_is_not_an_unasked_one() -> None:
    recorder = Recorder()
    cue = threading.Event()
    with Scripted([HELLO, *LOGIN, "STAT", when(cue), b"+OK 1 20\r\n"]) as server:
        session = server.session(recorder, server.target(reply=0.2), filling=ONE, login=True)
        session.exchange("STAT")
        cue.set()
        late = session.silence(5.0)
        session.close()

    assert late.partial == b"+OK 1 20\r\n"
    assert rules(recorder) == ["rfc1939-3-reply-per-command"]


def test_an_answer_to_a_line_that_has_no_end_yet_is_not_unasked() -> None:
    recorder = Recorder()

    def refuse(line: Line) -> None:
        assert line.sock.recv(10_000)
        line.say(b"-ERR line too long\r\n")
        close(line)

    with Scripted([HELLO, refuse]) as server:
        session = server.session(recorder)
        session.send_octets(b"x" * 5000)
        ended = session.silence(5.0)
        session.close()

    assert ended.deliberate
    assert ended.is_closed
    assert rules(recorder) == []


def test_silence_about_a_line_with_lf_alone_may_be_broken() -> None:
    recorder = Recorder()
    with Scripted([HELLO, lambda line: line.hear(), b"-ERR\r\n"]) as server:
        session = server.session(recorder)
        session.send_octets(b"NOOP\n")
        session.silence(5.0)
        session.close()

    assert rules(recorder) == []


def test_pipelined_lines_get_their_replies_in_order() -> None:
    recorder = Recorder()
    replies = b"+OK 1 20\r\n" + LISTING + b"-ERR\r\n+OK bye\r\n"
    with Scripted([HELLO, *LOGIN, "STAT", "LIST", "XYZZ", "QUIT", replies, close]) as server:
        session = server.session(recorder, filling=ONE, login=True)
        session.send_octets(b"STAT\r\nLIST\r\nXYZZ\r\nQUIT\r\n")
        exchanges = [session.receive() for _ in range(4)]
        session.close()

    assert [exchange.keyword for exchange in exchanges] == ["STAT", "LIST", "XYZZ", "QUIT"]
    assert exchanges[1].scan_listings is not None
    assert exchanges[2].is_err
    assert recorder.transcript[-1].kind is Kind.CLOSE
    assert rules(recorder) == []


# --- The end


@pytest.mark.parametrize(
    ("moves", "broken"),
    [
        ((b"+OK bye\r\n", close), []),
        ((b"+OK bye\r\n", reset), []),
        ((b"+OK bye\r\n",), ["rfc1939-6-close"]),
        ((b"+OK bye\r\n+OK again\r\n", close), ["rfc1939-6-close"]),
        ((close,), ["rfc1939-6-quit"]),
        ((b"-ERR no\r\n", close), ["rfc1939-6-quit"]),
    ],
)
def test_what_comes_behind_quit_is_recorded_and_judged(
    moves: tuple[Move, ...], broken: list[str]
) -> None:
    recorder = Recorder()
    with Scripted([HELLO, *LOGIN, "QUIT", *moves]) as server:
        target = server.target(reply=5.0 if moves[-1] in (close, reset) else 0.3)
        session = server.session(recorder, target, login=True)
        session.quit()

    assert not session.is_open
    assert rules(recorder)[:1] == broken
    if broken in ([], ["rfc1939-6-close"]):
        closing = recorder.transcript[-1]
        assert closing.kind is Kind.CLOSE
        assert closing.end in (End.CLOSED, End.RESET, End.TIMEOUT)


@pytest.mark.parametrize(
    ("moves", "act", "ended"),
    [
        (BYE, "quit", "quit"),
        (("DELE 1", b"+OK\r\n", "QUIT", b"-ERR no\r\n", close), "quit", "quit refused"),
        (("QUIT", close), "quit", "quit unanswered"),
        ((), "close", "dropped"),
        ((), "reset", "dropped"),
    ],
)
def test_facts_say_how_the_session_ended(moves: tuple[Move, ...], act: str, ended: str) -> None:
    recorder = Recorder()
    with Scripted([HELLO, *LOGIN, *moves]) as server:
        session = server.session(recorder, may_delete=True, login=True)
        if "DELE 1" in moves:
            session.exchange("DELE 1")
        getattr(session, act)()
        session.close()

    (facts,) = recorder.facts
    assert facts.ended == ended
    assert facts.filling == "alice#1"
    assert facts.opened <= facts.closed


def test_a_quit_without_its_end_may_have_been_taken_for_one() -> None:
    recorder = Recorder()
    with Scripted([HELLO, *LOGIN]) as server:
        session = server.session(recorder, login=True)
        session.send_octets(b"QUIT")
        session.close()

    assert recorder.facts[0].ended == "quit unanswered"


def test_who_has_ended_its_direction_may_be_hung_up_on_and_says_nothing_more() -> None:
    recorder = Recorder()
    with Scripted([HELLO, *LOGIN, "NOOP", b"+OK\r\n", Line.hear, close]) as server:
        session = server.session(recorder, login=True)
        session.send("NOOP")
        session.end_sending()
        reply = session.receive()
        end = session.await_close(5.0)
        with pytest.raises(HarnessError):
            session.send("STAT")
        session.close()

    assert reply.is_ok
    assert end.is_closed
    assert recorder.findings == []


def test_a_quit_that_is_refused_for_its_argument_ends_nothing() -> None:
    recorder = Recorder()
    with Scripted([HELLO, *LOGIN, "QUIT now", b"-ERR\r\n", "NOOP", b"+OK\r\n"]) as server:
        session = server.session(recorder, login=True)
        session.exchange("QUIT now")
        alive = session.exchange("NOOP")
        session.close()

    assert alive.is_ok
    assert recorder.facts[0].ended == "dropped"


def test_facts_hold_what_the_listings_told() -> None:
    recorder = Recorder()
    moves = (
        *("STAT", b"+OK 2 300\r\n", "LIST", b"+OK\r\n1 100\r\n2 200\r\n.\r\n"),
        *("UIDL", b"+OK\r\n1 a\r\n2 b\r\n.\r\n", "DELE 2", b"+OK\r\n"),
    )
    with Scripted([b"+OK <1.2@host>\r\n", *LOGIN, *moves, *BYE]) as server:
        session = server.session(recorder, may_delete=True, login=True)
        for line in ("STAT", "LIST", "UIDL", "DELE 2"):
            session.exchange(line)
        session.quit()

    (facts,) = recorder.facts
    assert facts.timestamp == "<1.2@host>"
    assert facts.counts == {"STAT": 2, "LIST": 2, "UIDL": 2}
    assert facts.unique_ids == {1: "a", 2: "b"}
    assert facts.sizes == {1: 100, 2: 200}
    assert facts.marked == (2,)
    assert not facts.may_change
    assert not facts.expires


@pytest.mark.parametrize(
    ("announced", "expires"),
    [
        ({"EXPIRE": ("NEVER",)}, False),
        ({"EXPIRE": ("0",)}, True),
        ({"EXPIRE": ("60", "USER")}, True),
        ({"TOP": ()}, False),
        (None, False),
    ],
)
def test_facts_know_a_policy_that_was_announced_earlier(
    announced: dict[str, tuple[str, ...]] | None, expires: bool
) -> None:
    recorder = Recorder()
    with Scripted([HELLO]) as server:
        open_session(server.target(), recorder, capabilities=announced).close()

    assert recorder.facts[0].expires is expires


def test_a_server_that_refuses_and_closes_is_seen_to_do_both() -> None:
    recorder = Recorder()
    moves = ("XYZZ", b"-ERR\r\n", "XYZZ", b"-ERR\r\n-ERR too many errors\r\n", close)
    with Scripted([HELLO, *moves]) as server:
        session = server.session(recorder)
        session.exchange("XYZZ")
        session.exchange("XYZZ")
        ended = session.await_close(5.0)

    assert ended.is_closed
    assert ended.partial == b"-ERR too many errors\r\n"
    assert session.await_close(5.0) is ended
    assert rules(recorder) == []


# --- Secrets

CANARY = "correct-horse"
DIGEST = hashlib.md5(b"<1.2@host>" + CANARY.encode()).hexdigest()
PLAIN = base64.b64encode(b"\0alice\0" + CANARY.encode()).decode()


@pytest.mark.parametrize(
    ("line", "echo"),
    [
        (f"PASS {CANARY}", CANARY),
        (f"PASS {CANARY}", CANARY.encode().hex()),
        (f"PASS {CANARY}", base64.b64encode(CANARY.encode()).decode()),
        (f"PASS {CANARY}", hashlib.md5(CANARY.encode()).hexdigest()),
        (f"pass  {CANARY}", f"unknown command: pass  {CANARY}"),
        (f"APOP alice {DIGEST}", f"unknown command: APOP alice {DIGEST}"),
        (f"AUTH PLAIN {PLAIN}", PLAIN),
        (f"XYZZ {CANARY}", CANARY),
        ("PASS another-canary", "not another-canary"),
    ],
)
def test_no_secret_is_written_wherever_it_went_and_however_it_comes_back(
    line: str, echo: str
) -> None:
    recorder = Recorder()
    # Behind the status line as well, so that findings quote it.
    answer = f"-ERR {echo}\r\n{echo}\r\n".encode()
    with Scripted([b"+OK <1.2@host>\r\n", line, answer, *BYE]) as server:
        session = server.session(recorder)
        session.exchange(line)
        session.silence(0.1)
        session.quit()

    masker = masker_for([ALICE]).with_sent(recorder.transcript)
    text = "\n".join(
        [*render(recorder.transcript, masker)]
        + [masker.mask_text(finding.got) for finding in recorder.findings]
    )
    assert recorder.findings
    for secret in (CANARY, echo, DIGEST, PLAIN, "canary"):
        assert secret not in text
    assert "***" in text


def test_the_answer_to_a_challenge_is_not_written() -> None:
    recorder = Recorder()
    with Scripted([HELLO, "AUTH PLAIN", b"+ \r\n"]) as server:
        session = server.session(recorder)
        challenge = session.exchange("AUTH PLAIN")
        session.close()

    assert challenge.reply is not None
    assert challenge.reply.is_challenge
    assert rules(recorder) == []


def test_a_session_says_where_it_is() -> None:
    recorder = Recorder()
    target = Target(Address("127.0.0.1", 1), timeouts=Timeouts(1, 1, 1))

    with pytest.raises(SessionRefused, match=r"127\.0\.0\.1:1"):
        open_session(target, recorder)
    with Scripted([HELLO]) as server:
        session = open_session(server.target(), recorder, name="second", source="127.0.0.7")
        session.close()

    assert {exchange.session for exchange in recorder.transcript} == {"second"}
    assert session.timestamp is None


def test_what_follows_a_challenge_is_no_reply_to_its_answer() -> None:
    recorder = Recorder()
    split = b"+ VXNlcm5hbWU6\r\nVXNl\r\n"
    with Scripted([HELLO, "AUTH LOGIN", split, "*", b"-ERR\r\n", *BYE]) as server:
        session = server.session(recorder)
        last = authenticate(session, recorder, "LOGIN", begin("LOGIN", Identity("alice", "x")))
        session.quit()

    assert last.is_err
    assert rules(recorder) == ["rfc5034-4-challenge"]


def test_what_a_client_sends_before_the_challenge_is_its_answer() -> None:
    recorder = Recorder()
    answer = "AGFsaWNlAHgtMTIzNDU="
    with Scripted([HELLO, "AUTH PLAIN", answer, b"+ \r\n-ERR\r\n", *BYE]) as server:
        session = server.session(recorder)
        session.send_octets(f"AUTH PLAIN\r\n{answer}\r\n".encode())
        session.receive()
        last = session.receive()
        session.close()

    assert (last.kind, last.deliberate, last.is_err) == (Kind.CONTINUATION, True, True)
    assert answer not in "\n".join(render(recorder.transcript, masker_for([])))


def test_a_challenge_is_carried_to_the_judgement_over_sessions() -> None:
    recorder = Recorder()
    asked = b"+ PDFAaD4=\r\n"
    with Scripted([HELLO, "AUTH CRAM-MD5", asked, "*", b"-ERR\r\n", *BYE]) as server:
        session = server.session(recorder)
        session.exchange("AUTH CRAM-MD5")
        session.exchange("*")
        session.quit()

    (facts,) = recorder.facts
    assert facts.challenges == (("CRAM-MD5", "<1@h>"),)


def test_a_version_of_tls_that_nobody_offered_breaks_a_rule() -> None:
    recorder = Recorder()
    alert = b"\x15\x03\x01\x00\x02\x02\x46"
    with Scripted([alert, close]) as server:
        target = replace(server.target(), tls_address=server.address)
        with pytest.raises(SessionRefused):
            open_session(target, recorder, Transport.TLS)

    assert rules(recorder) == ["rfc8314-4-tls-1-2"]
