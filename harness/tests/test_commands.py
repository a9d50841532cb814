"""What a command line says, read as leniently as any server reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pop3spec.protocol.commands import (
    COMMANDS,
    Argument,
    Multiline,
    State,
    arguments,
    is_multiline,
    keyword,
    message_number,
)


@pytest.mark.parametrize(
    ("line", "word", "found"),
    [
        (b"STAT\r\n", "STAT", ()),
        (b"stat\n", "STAT", ()),
        (b"LIST 1\r\n", "LIST", (b"1",)),
        (b"LIST  1\r\n", "LIST", (b"", b"1")),
        (b"LIST \r\n", "LIST", (b"",)),
        (b"TOP 1 10\r\n", "TOP", (b"1", b"10")),
        (b"PASS two words \r\n", "PASS", (b"two words ",)),
        (b"pass  x\r\n", "PASS", (b" x",)),
        (b"APOP alice 0123\r\n", "APOP", (b"alice", b"0123")),
        # Leniency: what servers read that know more blanks than one.
        (b"RETR\t1\r\n", "RETR", (b"1",)),
        (b" \tNOOP\r\n", "NOOP", ()),
        (b"PASS\ttwo words\r\n", "PASS", (b"two words",)),
        (b"\r\n", "", ()),
        (b"", "", ()),
        (b"NOOP\rNOOP\r\n", "NOOP\rNOOP", ()),
        (b"STAT\0\r\n", "STAT\0", ()),
    ],
)
def test_a_line_is_a_keyword_and_arguments(
    line: bytes, word: str, found: tuple[bytes, ...]
) -> None:
    assert keyword(line) == word
    assert arguments(line) == found


@given(st.binary(max_size=30))
def test_only_ascii_letters_have_cases(line: bytes) -> None:
    # In Latin-1 the octet DF is a letter of which upper case makes two.
    word = keyword(line)

    assert word.encode("latin-1") in line.upper()
    assert keyword(b"pa\xdf x\r\n") == "PA\xdf"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"LIST\r\n", True),
        (b"list\r\n", True),
        (b"LIST \r\n", True),
        (b"LIST 1\r\n", False),
        (b"LIST  1\r\n", False),
        (b"LIST\t1\r\n", False),
        (b"UIDL\r\n", True),
        (b"UIDL 1\r\n", False),
        (b"RETR 1\r\n", True),
        (b"RETR\t1\r\n", True),
        (b" RETR 1\r\n", True),
        (b"RETR\r\n", True),
        (b"TOP 1 0\r\n", True),
        (b"CAPA\r\n", True),
        (b"STAT\r\n", False),
        (b"STAT 1\r\n", False),
        (b"QUIT\r\n", False),
        (b"DELE 1\r\n", False),
        (b"AUTH\r\n", True),
        (b"AUTH PLAIN\r\n", False),
        (b"XYZZ\r\n", False),
        (b"\r\n", False),
    ],
)
def test_the_form_of_a_positive_reply_follows_from_the_line(line: bytes, expected: bool) -> None:
    assert is_multiline(line) is expected


@pytest.mark.parametrize(
    ("argument", "number"),
    [
        (b"1", 1),
        (b"0", 0),
        (b"007", 7),
        (b"0" * 30 + b"7", 7),
        (b"0" * 30, 0),
        (b"4294967297", 4294967297),
        (b"9" * 20, 10**20 - 1),
        (b"9" * 21, None),
        (b"9" * 100_000, None),
        (b"", None),
        (b"-1", None),
        (b"+1", None),
        (b"1x", None),
        (b"1.0", None),
        (b"\xb9", None),  # a digit of Latin-1
    ],
)
def test_a_message_number_is_a_plain_decimal(argument: bytes, number: int | None) -> None:
    assert message_number(argument) == number


def test_the_table_says_what_the_rfcs_say() -> None:
    everywhere = {word for word, command in COMMANDS.items() if len(command.states) == 2}
    names_message = {word for word, command in COMMANDS.items() if command.names_message}

    assert everywhere == {"QUIT", "CAPA", "LANG"}
    assert names_message == {"LIST", "RETR", "DELE", "TOP", "UIDL"}
    assert COMMANDS["TOP"].required == 2
    assert COMMANDS["TOP"].arguments[1] is Argument.LINE_COUNT
    assert all(command.required <= len(command.arguments) for command in COMMANDS.values())
    assert all(State.UPDATE not in command.states for command in COMMANDS.values())
    assert COMMANDS["NOOP"].multiline is Multiline.NEVER
