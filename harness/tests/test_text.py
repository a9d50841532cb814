"""show(): from wire bytes to text that every terminal and every XML file can take."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pop3spec.protocol.text import show


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"", ""),
        (b"+OK 2 320\r\n", "+OK 2 320\\r\\n"),
        (b"a\tb\\c", "a\\tb\\\\c"),
        (b"\0\x1b\x7f\xff\xe9", "\\x00\\x1b\\x7f\\xff\\xe9"),
        (b"\\r", "\\\\r"),
    ],
)
def test_control_and_8_bit_octets_are_escaped(octets: bytes, text: str) -> None:
    assert show(octets) == text


@given(st.binary())
def test_what_is_shown_is_printable_ascii_and_tells_every_octet(octets: bytes) -> None:
    shown = show(octets)

    assert shown.isascii()
    assert not shown or shown.isprintable()
    quoted = shown.replace("'", "\\'")
    assert ast.literal_eval(f"b'{quoted}'") == octets


def test_a_limit_counts_octets_and_says_what_is_left_out() -> None:
    assert show(b"\r" * 12, 10) == "\\r" * 10 + "… (12 octets in all)"
    assert show(b"\r" * 10, 10) == "\\r" * 10
