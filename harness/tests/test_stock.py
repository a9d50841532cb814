"""Tests of the stock messages."""

import email
import email.policy

import pytest

from pop3spec.stock import STOCK


@pytest.mark.parametrize("name", [name for name in STOCK if STOCK[name].conforms])
def test_a_stock_message_conforms_to_rfc_5322(name: str) -> None:
    octets = STOCK[name].octets
    header = email.message_from_bytes(octets, policy=email.policy.default)

    assert octets.endswith(b"\r\n")
    assert octets.count(b"\r\n") == octets.count(b"\r") == octets.count(b"\n")
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    assert header["Message-ID"] == f"<{name}@stock.example.org>"
    assert all(header[field] for field in ("From", "To", "Date", "Subject"))
    assert not header.defects


def test_no_two_messages_can_be_mixed_up() -> None:
    letters = [name for name in STOCK if name.startswith("plain-text")]
    octets = [message.octets for message in STOCK.values()]

    assert len(letters) == 5
    assert len({len(STOCK[name].octets) for name in letters}) == 5
    assert len({STOCK[name].octets.partition(b"\r\n\r\n")[2] for name in letters}) == 5
    assert len(set(octets)) == len(octets)


@pytest.mark.parametrize("edge", [512, 1024, 4096, 8192])
def test_dots_stand_around_the_edge_of_a_buffer(edge: int) -> None:
    wire = STOCK[f"dot-at-{edge}"].octets
    stored = wire.replace(b"\r\n", b"\n")

    on_wire = [wire.index(b"\r\n.edge %d" % n) + 2 - edge * n for n in range(1, 9)]
    in_store = [stored.index(b"\n.edge %d" % n) + 1 - edge * n for n in range(1, 9)]
    assert on_wire[:4] == in_store[4:] == [-1, 0, 1, 2]


def test_special_messages_are_what_their_names_say() -> None:
    def body(name: str) -> bytes:
        return STOCK[name].octets.partition(b"\r\n\r\n")[2]

    assert body("empty-body") == b""
    assert body("dots").startswith(b".")
    assert body("dots").endswith(b"\r\n.\r\n")
    assert body("hundred-lines").count(b"\r\n") == 100
    assert body("one-line-body").count(b"\r\n") == 1
    assert body("blank-lines-at-end").endswith(b"\r\n\r\n\r\n\r\n")
    assert b"\r\nFrom " in body("from-line")
    assert {len(line) for line in body("long-lines").split(b"\r\n")} == {998, 0}
    assert b"\r\n on three\r\n" in STOCK["folded-header"].octets
    assert 900_000 < len(STOCK["big"].octets) < 1_100_000
