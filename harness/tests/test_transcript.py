"""Exchanges, and how they are shown: every octet readable, no secret among them."""

import pytest
from said import HELLO, came, continued, said

from pop3spec.protocol.listings import DropListing, ScanListing, UniqueIdListing
from pop3spec.transcript import End, Exchange, Kind, Masker, masker_of, render, secret_span

NOBODY = Masker()


def shown(*exchanges: Exchange, masker: Masker = NOBODY) -> list[str]:
    """The rendered lines without their times."""
    return [line.partition(" ")[2] for line in render(exchanges, masker)]


def test_an_exchange_is_rendered_as_it_went_over_the_wire() -> None:
    listing = said("LIST", "+OK", ["1 120"])

    assert shown(HELLO, listing) == [
        "S: +OK ready\\r\\n",
        "C: LIST\\r\\n",
        "S: +OK\\r\\n",
        "S: 1 120\\r\\n",
        "S: .\\r\\n",
    ]


def test_times_sessions_and_tls_stand_before_the_octets() -> None:
    first = Exchange(Kind.COMMAND, b"NOOP\r\n", sent_at=0.5, answered_at=1.25, secure=True)
    second = Exchange(Kind.EVENT, note="TLS handshake", session="second", sent_at=2.0)

    assert render([first, second], NOBODY) == [
        "0.500 first TLS C: NOOP\\r\\n",
        "2.000 second -- TLS handshake",
    ]


def test_what_ended_the_waiting_stands_behind_what_came() -> None:
    assert shown(came(b"+O", End.CLOSED)) == ["S: +O", "-- the server closed the connection"]
    assert shown(said("NOOP", None, end=End.TIMEOUT)) == ["C: NOOP\\r\\n", "-- no reply in time"]


def test_a_long_reply_is_shown_without_its_middle() -> None:
    lines = shown(said("LIST", "+OK", [f"{n} 1" for n in range(1, 101)]))

    assert len(lines) == 1 + 24 + 1 + 4
    assert lines[1:3] == ["S: +OK\\r\\n", "S: 1 1\\r\\n"]
    assert lines[25] == "S: … (74 lines left out)"
    assert lines[-2:] == ["S: 100 1\\r\\n", "S: .\\r\\n"]


@pytest.mark.parametrize("octets", [b"1 1\r\n" * 400_000, b"x" * 2_000_000])
def test_a_reply_without_end_is_shown_by_its_beginning_and_its_end(octets: bytes) -> None:
    lines = shown(said("LIST", None, partial=b"+OK\r\n" + octets + b"last", end=End.TOO_LONG))

    assert lines[1] == "S: +OK\\r\\n"
    assert any("octets in all" in line for line in lines)
    assert len(lines) < 40
    assert sum(map(len, lines)) < 10_000


@pytest.mark.parametrize(
    ("sent", "visible"),
    [
        (b"PASS secret\r\n", "PASS ***\\r\\n"),
        (b"pass two words\r\n", "pass ***\\r\\n"),
        (b"PASS  secret\r\n", "PASS ***\\r\\n"),
        (b"PASSsecret\r\n", "PASS***\\r\\n"),
        (b"PASS\tsecret\r\n", "PASS\\t***\\r\\n"),
        (b" PASS secret\r\n", " PASS ***\\r\\n"),
        (b"PASS secret\n", "PASS ***\\n"),
        (b"PASS secret", "PASS ***"),
        (b"USER alice\rPASS secret\r\n", "USER alice\\rPASS ***\\r\\n"),
        (b"APOP alice 0123\r\n", "APOP alice ***\\r\\n"),
        (b"APOP\talice\t0123\r\n", "APOP\\talice\\t***\\r\\n"),
        (b"apop alice  0123\r\n", "apop alice  ***\\r\\n"),
        (b"AUTH PLAIN AGEAYg==\r\n", "AUTH PLAIN ***\\r\\n"),
        (b"auth\tplain\tAGEAYg==\r\n", "auth\\tplain\\t***\\r\\n"),
        (b"AUTH PLAIN\r\n", "AUTH PLAIN\\r\\n"),
        (b"AUTH\r\n", "AUTH\\r\\n"),
        (b"APOP alice\r\n", "APOP alice\\r\\n"),
        (b"PASS\r\n", "PASS\\r\\n"),
        (b"PASS \r\n", "PASS \\r\\n"),
        (b"USER pass word\r\n", "USER pass word\\r\\n"),
        (b"\r\n", "\\r\\n"),
    ],
)
def test_a_secret_is_hidden_by_its_position_in_the_command(sent: bytes, visible: str) -> None:
    # A password of three octets is no word that could be searched for.
    assert shown(Exchange(Kind.COMMAND, sent)) == [f"C: {visible}"]


def test_what_answers_a_challenge_is_a_secret_from_its_first_octet() -> None:
    assert shown(continued("YWxpY2U=", "+OK"))[0] == "C: ***\\r\\n"
    assert secret_span(continued("", "+ ")) == (0, 0)


def test_a_secret_is_hidden_by_its_value_in_what_comes_back() -> None:
    masker = masker_of([b"hunter2", b"hunter"])
    echo = said("NOOP", "-ERR hunter2 hunter", ["hunter2"])

    assert shown(echo, masker=masker)[1:] == [
        "S: -ERR *** ***\\r\\n",
        "S: ***\\r\\n",
        "S: .\\r\\n",
    ]


@pytest.mark.parametrize(
    "exchange",
    [
        said("PASS wrong-canary", "-ERR wrong-canary is wrong"),
        said("APOP alice wrong-canary", "-ERR unknown: APOP alice wrong-canary"),
        said("AUTH PLAIN wrong-canary", "-ERR wrong-canary"),
        continued("wrong-canary", "-ERR wrong-canary"),
    ],
)
def test_a_server_that_echoes_what_was_sent_as_a_secret_does_not_tell_it(
    exchange: Exchange,
) -> None:
    later = said("NOOP", "+OK, last was wrong-canary")

    assert not any("canary" in line for line in shown(exchange, later))
    assert NOBODY.with_sent([exchange]).mask_text("got wrong-canary") == "got ***"


def test_short_secrets_are_not_searched_for() -> None:
    assert NOBODY.with_sent([said("PASS abc", "-ERR")]).forms == ()


def test_a_quotation_that_ends_inside_of_a_secret_does_not_tell_its_beginning() -> None:
    masker = masker_of([b"correct-horse"])

    assert masker.mask_text("'x correct-ho… (600 octets in all)'") == "'x ***… (600 octets in all)'"
    assert masker.mask_text("'x corr… and correct-horse'") == "'x ***… and ***'"
    assert masker.mask_text("'correct… or not'") == "'***… or not'"
    assert masker.mask_text("'correct or not'") == "'correct or not'"


def test_text_of_our_own_hides_a_secret_however_it_is_written() -> None:
    masker = masker_of(["pä\\ss".encode()])

    assert masker.mask_text("got 'pä\\ss'") == "got '***'"
    assert masker.mask_text("got 'p\\xc3\\xa4\\\\ss'") == "got '***'"


def test_the_python_form_of_an_exchange_does_not_hold_what_was_sent() -> None:
    assert "secret" not in repr(said("PASS secret", "+OK"))


def test_an_exchange_is_read_by_its_command() -> None:
    stat, bad = said("STAT", "+OK 2 320 x"), said("STAT", "+OK two")
    one, all_of = said("LIST 1", "+OK 1 120"), said("LIST", "+OK", ["1 120", "2 200"])
    unique = said("UIDL", "+OK", ["1 a"])

    assert stat.drop_listing == DropListing(2, 320, b"x")
    assert bad.drop_listing is None
    assert one.scan_listings == (ScanListing(1, 120),)
    assert all_of.scan_listings == (ScanListing(1, 120), ScanListing(2, 200))
    assert unique.unique_id_listings == (UniqueIdListing(1, b"a"),)
    assert stat.scan_listings is None
    assert all_of.unique_id_listings is None
    assert unique.drop_listing is None
    assert said("LIST", "-ERR").scan_listings is None
    # Where one line has another form nobody knows what the others mean.
    assert said("LIST", "+OK", ["1 120", "two"]).scan_listings is None
    assert said("UIDL", "+OK", ["1 a", "2 b c"]).unique_id_listings is None
    assert said("LIST", None, end=End.TIMEOUT).scan_listings is None
    assert said("retr  01", "-ERR").arguments == (b"01",)
