"""The table of docs/doors.md, held against what the doors say of the stock messages."""

import re
from pathlib import Path

import pytest

from pop3spec.maildrop import Door
from pop3spec.maildrop.doors import open_door
from pop3spec.stock import STOCK

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "doors.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.+ \| .+ \| .+ \| .+) \|$", GUIDE, re.MULTILINE))
# The door of each column; what deliveries refuse is the same for both.
COLUMNS = {
    "maildir:/mail/{user}": 0,
    "mbox:/mail/{user}": 1,
    "lmtp://localhost:24+maildir:/mail/{user}": 2,
    "smtp://localhost:25+maildir:/mail/{user}": 2,
    "command:deliver {user}+maildir:/mail/{user}": 2,
    "imap://localhost:143": 3,
}


def opened(spec: str) -> Door:
    door = open_door(spec)
    assert door is not None
    return door


def said_of(door: Door, name: str) -> str:
    """What a cell says of a door and a stock message."""
    reason = door.refuses(STOCK[name].octets)
    if reason:
        return "refused: " + reason.partition(" does not keep ")[2]
    return "with more header fields" if door.adds_headers else "as it is"


@pytest.mark.parametrize("spec", COLUMNS)
def test_the_guide_to_doors_tells_what_becomes_of_each_stock_message(spec: str) -> None:
    door = opened(spec)

    told = {name: cells.split(" | ")[COLUMNS[spec]] for name, cells in ROWS.items()}
    assert told == {name: said_of(door, name) for name in ROWS}


def test_a_stock_message_without_a_row_is_refused_by_no_door() -> None:
    doors = [opened(spec) for spec in COLUMNS]

    refused = {name for name in STOCK if any(door.refuses(STOCK[name].octets) for door in doors)}
    assert refused == ROWS.keys()


def test_a_delivery_into_an_mbox_refuses_what_either_of_them_refuses() -> None:
    both = opened("lmtp://localhost:24+mbox:/mail/{user}")
    parts = [opened("mbox:/mail/{user}"), opened("lmtp://localhost:24+maildir:/mail/{user}")]

    for name, stock in STOCK.items():
        assert bool(both.refuses(stock.octets)) == any(p.refuses(stock.octets) for p in parts), name
