"""Tests of the stock messages."""

import email
import email.policy

import pytest

from pop3spec.rulebook.history import is_unusual
from pop3spec.stock import EDGES, STOCK


def body(name: str) -> bytes:
    return STOCK[name].octets.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("name", [name for name in STOCK if STOCK[name].conforms])
def test_a_stock_message_conforms_to_rfc_5322(name: str) -> None:
    octets = STOCK[name].octets
    header = email.message_from_bytes(octets, policy=email.policy.default)

    assert octets.endswith(b"\r\n")
    assert not is_unusual(octets)
    assert header["Message-ID"] == f"<{name}@stock.example.org>"
    assert all(header[field] for field in ("From", "To", "Date", "Subject"))
    assert not header.defects


@pytest.mark.parametrize("name", [name for name in STOCK if not STOCK[name].conforms])
def test_the_other_ones_do_not(name: str) -> None:
    octets = STOCK[name].octets

    assert is_unusual(octets) or not octets.endswith(b"\r\n")


def test_no_two_messages_can_be_mixed_up() -> None:
    letters = [name for name in STOCK if name.startswith("plain-text")]
    octets = [message.octets for message in STOCK.values()]

    assert len(letters) == 5
    assert len({len(STOCK[name].octets) for name in letters}) == 5
    assert len({body(name) for name in letters}) == 5
    assert len(set(octets)) == len(octets)


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"], ids=["on-the-wire", "in-a-store"])
@pytest.mark.parametrize("edge", EDGES)
def test_dots_stand_at_each_place_around_the_edge_of_a_buffer(edge: int, line_end: bytes) -> None:
    octets = STOCK[f"dot-at-{edge}"].octets.replace(b"\r\n", line_end)

    at = -1
    places = set()
    while (at := octets.find(line_end + b".", at + 1)) >= 0:
        dot = at + len(line_end)
        places.add((dot + edge // 2) % edge - edge // 2)
    assert set(range(-8, 9)) <= places


def test_lines_that_begin_with_a_dot_meet_buffers_at_each_place_of_a_line() -> None:
    octets = STOCK["dots-on-each-line"].octets

    assert octets.count(b"\r\n.") == 7001
    for edge in (512, 1024):
        met = {octets[at - 2 : at + 1] for at in range(edge, len(octets), edge)}
        assert {octets_met[-1:] for octets_met in met} >= {b".", b"\r", b"\n", b"x"}


def test_special_messages_are_what_their_names_say() -> None:
    assert body("empty-body") == b""
    assert body("dots").startswith(b".")
    assert body("dots").endswith(b"\r\n.\r\n")
    assert body("last-line-a-dot").endswith(b"\r\n.\r\n")
    assert b"\r\n" + b"." * 20 + b"\r\n" in body("dots-within")
    assert body("hundred-lines").count(b"\r\n") == 100
    assert body("one-line-body").count(b"\r\n") == 1
    assert body("blank-lines-at-end").endswith(b"\r\n\r\n\r\n\r\n")
    assert body("blank-lines-at-start").startswith(b"\r\n\r\n")
    assert body("only-blank-lines") == b"\r\n" * 3
    assert b"\r\n\r\n" not in STOCK["only-a-header"].octets
    assert b"\r\nFrom " in body("from-line")
    assert b"\r\n>>From " in body("quoted-from-line")
    assert {len(line) for line in body("long-lines").split(b"\r\n")} == {998, 0}
    assert b"\r\n on three\r\n" in STOCK["folded-header"].octets
    assert len(STOCK["many-header-fields"].octets) > 16_384
    assert 900_000 < len(STOCK["big"].octets) < 1_100_000


def test_messages_that_do_not_conform_are_what_their_names_say() -> None:
    assert set(STOCK["each-octet"].octets) == set(range(1, 256))
    assert b"\0" in body("nul")
    assert {len(line) for line in body("lines-of-8-kib").split(b"\r\n")} >= {8190, 8192}
    assert STOCK["no-header"].octets.count(b"\r\n\r\n") == 1
    assert len(STOCK["one-octet"].octets) == 1


def test_stores_hold_the_line_ends_that_the_names_say() -> None:
    def stored(name: str) -> bytes:
        return STOCK[name].octets.replace(b"\r\n", b"\n")

    assert b"\r\n.\r\n" in stored("crlf-in-store")
    assert stored("crlf-in-store").count(b"\n") == stored("crlf-in-store").count(b"\r\n")
    assert b"\n" not in stored("cr-in-store")
    assert all(end in stored("mixed-line-ends") for end in (b"\n.\n", b"\r.\r", b"\r\n.\r\n"))
    assert stored("ends-in-a-cr").endswith(b"\r")
