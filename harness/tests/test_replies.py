"""The reader of replies: no octet lost, the same replies however the stream is cut."""

import time
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pop3spec.protocol.replies import Reply, ReplyReader, stuff, unstuff

# Octets among which every edge of the format is found soon.
ALPHABET = st.sampled_from(
    [b"+OK", b"-ERR", b"+ ", b" ", b".", b"..", b"\r", b"\n", b"\r\n", b"\r\n.\r\n", b"x", b"\0"]
)
STREAMS = st.lists(ALPHABET, max_size=40).map(b"".join)
RETR = b"+OK 20 octets\r\nSubject: x\r\n\r\n..\r\n...y\r\n.\r\n"


def read(pieces: Iterable[bytes], asked: Sequence[bool]) -> tuple[list[Reply], bytes]:
    """The replies to commands of which it is known whether they are multi-line, and the rest."""
    reader = ReplyReader()
    replies: list[Reply] = []
    for piece in pieces:
        reader.feed(piece)
        while len(replies) < len(asked):
            reply = reader.next_reply(multiline=asked[len(replies)])
            if reply is None:
                break
            replies.append(reply)
    return replies, reader.unread


def single(octets: bytes) -> list[bytes]:
    return [bytes([octet]) for octet in octets]


@settings(max_examples=300, deadline=None)
@given(st.data(), STREAMS, st.lists(st.booleans(), max_size=12))
def test_no_cut_of_the_stream_changes_a_reply_or_loses_an_octet(
    data: st.DataObject, stream: bytes, asked: list[bool]
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [
        stream[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
    ]

    whole, rest = read([stream], asked)

    assert b"".join(reply.wire for reply in whole) + rest == stream
    assert read(pieces, asked) == (whole, rest)
    assert read(single(stream), asked) == (whole, rest)


@pytest.mark.parametrize("behind", [b"", b"+OK next\r\n", b".\r\n", b"\r\n.\r\n"])
@pytest.mark.parametrize("cut", range(len(RETR)))
def test_a_multi_line_reply_ends_at_its_terminator_wherever_it_is_cut(
    cut: int, behind: bytes
) -> None:
    (reply,), rest = read([RETR[:cut], RETR[cut:] + behind], [True])

    assert reply.wire == RETR
    assert reply.lines == (b"Subject: x", b"", b".", b"..y")
    assert reply.wire_lines == (b"Subject: x\r\n", b"\r\n", b"..\r\n", b"...y\r\n")
    assert reply.content == b"Subject: x\r\n\r\n.\r\n..y\r\n"
    assert rest == behind


@pytest.mark.parametrize(
    "almost",
    [b".\n", b"\n.\n", b"\n.\r\n", b"\r.\r\n", b". \r\n", b"x.\r\n", b"..\r\n", b"\r\n.\n"],
)
def test_only_crlf_dot_crlf_ends_the_lines(almost: bytes) -> None:
    replies, rest = read([b"+OK\r\nx" + almost], [True])

    assert replies == []
    assert rest == b"+OK\r\nx" + almost


def test_the_terminator_of_an_empty_listing_follows_the_status_line() -> None:
    (reply,), rest = read(single(b"+OK\r\n.\r\n+OK\r\n"), [True])

    assert reply.is_multiline
    assert reply.lines == reply.wire_lines == ()
    assert rest == b"+OK\r\n"


def test_a_negative_reply_has_one_line_whatever_was_asked() -> None:
    (reply,), rest = read([b"-ERR no\r\n.\r\n"], [True])

    assert not reply.is_multiline
    assert rest == b".\r\n"


@pytest.mark.parametrize(
    ("line", "is_ok", "is_err", "is_challenge", "text"),
    [
        (b"+OK\r\n", True, False, False, b""),
        (b"+OK  two\r\n", True, False, False, b" two"),
        (b"+OK 1 120\n", True, False, False, b"1 120"),
        (b"+ok x\r\n", True, False, False, b"x"),
        (b"+OKAY x\r\n", True, False, False, b"x"),
        (b"-ERR\r\r\n", False, True, False, b""),
        (b"-err [IN-USE] x\r\n", False, True, False, b"[IN-USE] x"),
        (b"+ \r\n", False, False, True, b""),
        (b"+\r\n", False, False, True, b""),
        (b"+ PDE+\r\n", False, False, True, b"PDE+"),
        (b"+PDE+\r\n", False, False, True, b""),
        (b"\r\n", False, False, False, b""),
        (b"* OK IMAP\r\n", False, False, False, b"OK IMAP"),
        (b"\0\xff\n", False, False, False, b""),
    ],
)
def test_a_status_line_is_described_and_not_judged(
    line: bytes, is_ok: bool, is_err: bool, is_challenge: bool, text: bytes
) -> None:
    (reply,), rest = read([line], [False])

    assert (reply.is_ok, reply.is_err, reply.is_challenge) == (is_ok, is_err, is_challenge)
    assert (reply.text, reply.wire, rest) == (text, line, b"")


def test_a_lone_cr_stays_in_the_line_where_it_stands() -> None:
    (reply,), _ = read([b"+OK\r\na\rb\r\n\rc\r\n.\r\n"], [True])

    assert reply.lines == (b"a\rb", b"\rc")


@settings(max_examples=300, deadline=None)
@given(STREAMS)
def test_stuffing_is_undone_by_unstuffing_and_hides_every_terminator(content: bytes) -> None:
    stuffed = stuff(content)

    assert unstuff(stuffed) == content
    assert not stuffed.startswith(b".\r\n")
    assert b"\r\n.\r\n" not in stuffed
    assert not any(
        line.startswith(b".") and not line.startswith(b"..") for line in stuffed.split(b"\r\n")
    )


def test_a_stuffed_line_loses_exactly_one_dot() -> None:
    assert unstuff(b"..\r\n...\r\n.x\r\nx.\r\n\r\n..\r\n") == b".\r\n..\r\nx\r\nx.\r\n\r\n.\r\n"


def seconds_to_read(stream: bytes, piece: int) -> float:
    """Of this thread's own time, the best of three: a busy machine does not count."""
    pieces = [stream[begin : begin + piece] for begin in range(0, len(stream), piece)]
    best = float("inf")
    for _ in range(3):
        begun = time.thread_time()
        replies, rest = read(pieces, [True])
        best = min(best, time.thread_time() - begun)
        assert len(replies) == 1
        assert not rest
    return best


@pytest.mark.parametrize(
    ("line", "piece", "octets"),
    [
        (b"x" * 70 + b"\r\n", 1, 80_000),
        (b"x\r\n.." * 2 + b"\r\n", 1, 80_000),
        (b"x" * 70 + b"\r\n", 1460, 8_000_000),
    ],
)
def test_reading_takes_time_in_proportion_to_the_octets(
    line: bytes, piece: int, octets: int
) -> None:
    small = b"+OK\r\n" + line * (octets // len(line) // 8) + b".\r\n"
    large = b"+OK\r\n" + line * (octets // len(line)) + b".\r\n"

    # Eight times the octets; 64 times the work if each piece were searched from the start.
    assert seconds_to_read(large, piece) < 30 * seconds_to_read(small, piece)


def test_many_replies_in_one_buffer_are_cut_out_in_time_in_proportion() -> None:
    def seconds(count: int) -> float:
        stream, asked = b"+OK done\r\n" * count, [False] * count
        best = float("inf")
        for _ in range(3):
            begun = time.thread_time()
            replies, _ = read([stream], asked)
            best = min(best, time.thread_time() - begun)
            assert len(replies) == count
        return best

    assert seconds(32_000) < 30 * seconds(4_000)
