"""What a session has shown: the state that replies tell, marks, and what was seen when."""

from dataclasses import replace

import pytest
from said import (
    CLOSED,
    HELLO,
    LOGIN,
    QUIT,
    answered,
    began,
    came,
    challenged,
    continued,
    history,
    said,
    shook_hands,
    within,
)

from pop3spec.protocol.commands import State
from pop3spec.protocol.listings import DropListing
from pop3spec.rulebook.history import Filling, body_of, content_of
from pop3spec.transcript import End, Exchange, Kind

STAT = said("STAT", "+OK 2 320")
LIST = said("LIST", "+OK", ["1 120", "2 200"])
UIDL = said("UIDL", "+OK", ["1 a", "2 b"])
DELE = said("DELE 1", "+OK")
RSET = said("RSET", "+OK")


@pytest.mark.parametrize(
    ("exchanges", "state"),
    [
        ([HELLO], State.AUTHORIZATION),
        (LOGIN, State.TRANSACTION),
        ([said("USER a", "+OK"), said("PASS b", "-ERR")], State.AUTHORIZATION),
        ([said("USER a", "+OK"), said("PASS b", None, end=End.TIMEOUT)], State.AUTHORIZATION),
        ([said("PASS b", "+OK")], State.TRANSACTION),
        ([said("pass b", "+ok")], State.TRANSACTION),
        ([said("PASS\tb", "+OK")], State.TRANSACTION),
        ([said("APOP a 0123", "+OK")], State.TRANSACTION),
        ([said("AUTH PLAIN AGEAYg==", "+OK")], State.TRANSACTION),
        ([said("AUTH PLAIN", "+ "), continued("AGEAYg==", "+OK")], State.TRANSACTION),
        ([said("AUTH PLAIN", "+ "), continued("AGEAYg==", "-ERR")], State.AUTHORIZATION),
        ([said("AUTH LOGIN", "+ VXNlcg==")], State.AUTHORIZATION),
        ([said("AUTH", "+OK", ["PLAIN"])], State.AUTHORIZATION),
        ([*LOGIN, said("USER b", "+OK"), said("PASS c", "-ERR")], State.TRANSACTION),
    ],
)
def test_the_state_is_the_one_that_the_replies_tell(
    exchanges: list[Exchange], state: State
) -> None:
    assert history(*exchanges).state is state


def test_marks_follow_the_replies_to_dele_and_rset() -> None:
    marked = history(*LOGIN, DELE, said("DELE 2", "-ERR"), said("dele 03", "+OK"))
    unmarked = history(*LOGIN, DELE, RSET)

    assert marked.marked == {1, 3}
    assert not marked.is_untouched
    assert (unmarked.marked, unmarked.unmarked) == (frozenset(), frozenset({1}))
    assert not unmarked.is_untouched
    assert history(*LOGIN, DELE, said("RSET", "-ERR")).marked == {1}
    assert history(*LOGIN, said("DELE 1", None, end=End.CLOSED)).marked == frozenset()
    assert history(HELLO, DELE).marked == frozenset()


@pytest.mark.parametrize(
    "exchange",
    [
        said("DELE +1", "+OK"),
        said("DELE x", "+OK"),
        said("DELE 9", "+OK"),
        said("DELE 4294967297", "+OK"),
        said("x" * 300, "+OK"),
        said(b"NOOP\n", "+OK"),
        said("NOOP\0", None, end=End.TIMEOUT),
        said("DELE 1", None, end=End.TIMEOUT),
    ],
)
def test_who_cannot_know_what_is_marked_does_not_pretend_to(exchange: Exchange) -> None:
    told = history(*LOGIN, STAT, exchange, filling=Filling(2, True, True, body=b"x\r\n"))

    assert told.unsure
    assert not told.is_untouched
    assert told.filling == Filling(None, True, True, may_change=True)


@pytest.mark.parametrize(
    "exchange", [said("x" * 300, "-ERR"), said("DELE +1", "-ERR"), said("DELE 9", "-ERR"), DELE]
)
def test_a_refusal_changes_nothing(exchange: Exchange) -> None:
    told = history(*LOGIN, exchange, filling=Filling(2))

    assert not told.unsure
    assert told.filling == Filling(2)


def test_counts_of_the_same_point_are_forgotten_at_dele_and_rset() -> None:
    before = history(*LOGIN, STAT, LIST, UIDL)

    assert before.drop_listing == DropListing(2, 320)
    assert before.scan_listing == {1: 120, 2: 200}
    assert before.unique_id_count == 2
    for exchange in (DELE, RSET, said("DELE +1", "+OK")):
        after = before.after(exchange)
        assert (after.drop_listing, after.scan_listing, after.unique_id_count) == (None,) * 3
        assert after.sizes == {1: 120, 2: 200}
        assert after.unique_ids == {1: b"a", 2: b"b"}


def test_what_was_told_first_counts_for_the_opening() -> None:
    told = history(*LOGIN, STAT, LIST, DELE, said("STAT", "+OK 1 200"), RSET, UIDL)

    assert told.first_drop == DropListing(2, 320)
    assert told.first_counts == {"STAT": 2, "LIST": 2}
    assert told.first_told == 2
    assert told.count == 2
    assert told.drop_listing is None or told.drop_listing.count != 1


def test_the_first_size_and_unique_id_of_a_message_stay() -> None:
    told = history(*LOGIN, LIST, UIDL, said("LIST 1", "+OK 1 9"), said("UIDL", "+OK", ["1 x"]))

    assert told.sizes == {1: 120, 2: 200}
    assert told.unique_ids == {1: b"a", 2: b"b"}


def test_the_count_of_the_filling_wins() -> None:
    assert history(*LOGIN, STAT, filling=Filling(count=3)).count == 3
    assert history(*LOGIN, filling=Filling()).count is None


def test_a_message_is_remembered_as_retr_sent_it_first() -> None:
    first = said("RETR 1", "+OK", ["A: b", "", "one", "..two"])
    second = said("RETR 1", "+OK", ["A: b", "", "other"])
    told = history(*LOGIN, first, second, said("RETR 2", "-ERR"))

    content = told.contents[1]
    assert list(told.contents) == [1]
    assert content == content_of(b"A: b\r\n\r\none\r\n.two\r\n")
    assert content.octets == 19
    assert content.is_whole


def test_only_a_beginning_is_kept_of_a_huge_message() -> None:
    content = content_of(b"A: b\r\n\r\n" + b"x" * (1 << 21))

    assert content.octets == (1 << 21) + 8
    assert len(content.beginning) == 1 << 20
    assert not content.is_whole


@pytest.mark.parametrize(
    ("message", "body"),
    [
        (b"A: b\r\n\r\none\r\n", b"one\r\n"),
        (b"A: b\r\n\r\n", b""),
        (b"\r\nonly a body\r\n", b"only a body\r\n"),
        (b"A: b\r\n\r\n\r\none\r\n", b"\r\none\r\n"),
        (b"A: b\r\n", None),
        (b"", None),
        (b"A: b\n\none\n", None),
    ],
)
def test_the_body_stands_behind_the_first_blank_line(message: bytes, body: bytes | None) -> None:
    assert body_of(message) == body


def test_two_messages_without_a_body_are_not_told_apart_by_their_header() -> None:
    assert content_of(b"A: b\r\n").body_digest == content_of(b"A: c\r\n").body_digest
    assert content_of(b"\r\nb\r\n").body_digest != content_of(b"\r\nc\r\n").body_digest


def test_login_and_close_permissions_are_remembered() -> None:
    refused = history(HELLO, said("USER a", "+OK"), said("PASS b", "-ERR"))

    assert refused.login_refused
    assert not refused.user_accepted
    assert refused.refusals == 1
    assert history(*LOGIN, said("XYZZ", "-ERR"), said("XYZZ", "-ERR")).refusals == 2
    assert history(HELLO, said("USER a", "+OK"), said("USER b", "-ERR")).user_accepted


def test_user_was_the_last_command_only_directly_behind_it() -> None:
    user = history(HELLO, said("USER a", "+OK"))

    assert user.user_was_last
    assert not user.after(said("NOOP", "-ERR")).user_was_last
    assert not history(HELLO, said("USER a", "-ERR")).user_was_last


@pytest.mark.parametrize(
    ("exchanges", "is_over"),
    [
        ([QUIT], True),
        ([said("quit", "+OK")], True),
        ([said("QUIT", "-ERR")], False),
        ([DELE, said("QUIT", "-ERR")], True),
        ([said("QUIT x", "-ERR")], False),
        ([said("QUIT x", "+OK")], True),
        ([said("QUIT", None, end=End.CLOSED)], False),
    ],
)
def test_quit_ends_the_session_where_the_reply_says_so(
    exchanges: list[Exchange], is_over: bool
) -> None:
    assert history(*LOGIN, *exchanges).quit is is_over


def test_what_no_client_may_send_is_remembered_to_the_end() -> None:
    told = history(HELLO, said("x" * 300, "-ERR"), said("NOOP", "-ERR"))

    assert told.illegal
    assert history(HELLO, said("NOOP", None, end=End.TIMEOUT)).illegal
    still_open = history(*LOGIN, QUIT, came(b"", End.TIMEOUT, Kind.CLOSE))
    assert not still_open.illegal
    assert not still_open.unsure
    assert not history(*LOGIN, QUIT, CLOSED).illegal


def test_events_leave_no_trace() -> None:
    told = history(HELLO)

    assert told.after(Exchange(Kind.EVENT, note="TLS handshake", deliberate=True)) is told


def test_capabilities_are_those_that_were_told_last() -> None:
    told = history(HELLO, said("CAPA", "+OK", ["UTF8"]))

    assert told.announces_utf8
    assert not told.after(said("CAPA", "+OK", ["TOP"])).announces_utf8
    assert told.after(said("CAPA", "-ERR")).announces_utf8
    assert not history(HELLO).announces_utf8


def test_capability_lists_are_kept_by_layer_and_state() -> None:
    told = history(
        *(HELLO, said("CAPA", "+OK", ["SASL", "STLS"]), said("STLS", "+OK"), shook_hands()),
        *(within(said("CAPA", "+OK", ["SASL PLAIN"])), *map(within, LOGIN[1:])),
        within(said("CAPA", "+OK", ["TOP"])),
    )

    assert {place: dict(listed) for place, listed in told.lists.items()} == {
        (False, State.AUTHORIZATION): {"SASL": (), "STLS": ()},
        (True, State.AUTHORIZATION): {"SASL": ("PLAIN",)},
        (True, State.TRANSACTION): {"TOP": ()},
    }
    assert told.stls_accepted


def test_an_exchange_of_sasl_is_known_until_it_ends() -> None:
    first, second = began("login", challenged(b"name")), answered(b"alice", challenged(b"word"))
    running = history(HELLO, first, second).sasl

    assert running is not None
    assert (running.mechanism, running.has_initial_response) == ("LOGIN", False)
    assert (running.challenges, running.responses) == ((b"name", b"word"), (b"alice",))
    for end in (answered(b"x", "+OK"), continued("*", "-ERR"), said("STAT", "-ERR")):
        assert history(HELLO, first, second, end).sasl is None


@pytest.mark.parametrize(
    ("exchange", "kept"),
    [
        (began("CRAM-MD5", challenged(b"<1@h>")), (("CRAM-MD5", "<1@h>"),)),
        (began("DIGEST-MD5", challenged(b'realm="r",nonce="n"')), (("DIGEST-MD5", "n"),)),
        (began("SCRAM-SHA-1", challenged(b"r=abc,s=eA==,i=9"), b"n,,n=u,r=a"), (("SCRAM", "bc"),)),
        (began("SCRAM-SHA-1", challenged(b"r=a,s=eA==,i=9"), b"n,,n=u,r=a"), ()),
        (began("SCRAM-SHA-1", challenged(b"r=xyz,s=eA==,i=9"), b"n,,n=u,r=a"), ()),
        (began("LOGIN", challenged(b"Username:")), ()),
        (began("CRAM-MD5", "+ no base64"), ()),
    ],
    ids=["cram", "digest", "scram", "nothing added", "another nonce", "login", "no base64"],
)
def test_of_a_challenge_is_kept_what_no_other_may_have(
    exchange: Exchange, kept: tuple[tuple[str, str], ...]
) -> None:
    assert history(HELLO, exchange).challenges == kept


def test_arrivals_make_the_count_unknown() -> None:
    filling = Filling(1, True, True, body=b"x\r\n").changing

    assert filling == Filling(None, True, True, may_change=True)
    assert replace(filling) == filling.changing
