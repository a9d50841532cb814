"""Text that is safe in XML, JSON and a terminal: what cannot be seen is escaped.

Wire octets come here already shown by `protocol.text`. What this module guards
against is the rest: titles, paths and messages of exceptions.
"""

import re

# Printable by Unicode's categories, and yet they show nothing.
_BLANK = frozenset(
    map(
        chr,
        (
            0x034F,
            0x115F,
            0x1160,
            0x17B4,
            0x17B5,
            *range(0x180B, 0x1810),
            0x2800,
            0x3164,
            *range(0xFE00, 0xFE10),
            0xFFA0,
            *range(0xE0100, 0xE01F0),
        ),
    )
)
_LAYOUT = frozenset("\n\t")
# What begins a command to TeamCity, Azure or GitHub.
_COMMAND = re.compile(r"(^[ \t]*):(?=:)|#(?=#\w*\[)", re.MULTILINE)


def visible(text: str) -> str:
    """Text with control, bidi, zero-width and unpaired characters written as escapes.

    Line feeds and tabs stay. Text that was made visible once stays as it is.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if _is_seen(character) or character in _LAYOUT else _escaped(character)
        for character in text
    )


def one_line(text: str, limit: int = 0) -> str:
    """Visible text on one line; with a limit, at most that many characters."""
    line = visible(text).replace("\t", " ").replace("\n", " ").strip()
    if limit and len(line) > limit:
        return line[: limit - 1] + "…"
    return line


def inert(text: str) -> str:
    """Visible text without what machines that read the output of a job take for commands.

    TeamCity, Azure and GitHub look for `##name[` or `##[` anywhere in a line, GitHub for
    `::` at the start of one, blanks aside.
    """
    return _COMMAND.sub(lambda found: f"{found[1] or ''}{_escaped(found[0][-1])}", visible(text))


def _is_seen(character: str) -> bool:
    return character.isprintable() and character not in _BLANK


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
