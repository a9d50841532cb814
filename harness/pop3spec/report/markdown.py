"""Text that stays text in Markdown, as GitHub and GitLab render it."""

import re
from collections.abc import Iterable, Sequence

from pop3spec.report.text import one_line, visible

# What neither Markdown nor its extensions (tables, links, mentions, emoji) look for.
_PLAIN = re.compile(r"[^0-9A-Za-z /,;=\u00a1-\U0010ffff-]")
_FENCE = re.compile(r"`{3,}")


def cell(text: str, limit: int = 0) -> str:
    """Somebody else's text as code, on one line, for a table or a sentence; '' for none.

    With a limit, at most that many characters of it.
    """
    line = one_line(text, limit)
    return f"<code>{words(line)}</code>" if line else ""


def code(text: str, language: str = "") -> str:
    """Text as a block of code, with a blank line around it."""
    shown = visible(text)
    longest = max(map(len, _FENCE.findall(shown)), default=2)
    fence = "`" * (longest + 1)
    return f"\n{fence}{language}\n{shown}\n{fence}\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table as lines; what stands in its cells is safe already."""
    lines = (heads, ["---"] * len(heads), *rows)
    return [f"| {' | '.join(line)} |" for line in lines]


def words(text: str) -> str:
    """Text on one line that is no markup, no link and no mention, whatever it says.

    A character reference is never markup. Addresses and mentions are found behind it, in
    the text as it is shown, so that a comment stands on both sides of an at sign.
    """
    return _PLAIN.sub(_reference, one_line(text))


def _reference(found: re.Match[str]) -> str:
    reference = f"&#{ord(found[0])};"
    return f"<!-- -->{reference}<!-- -->" if found[0] == "@" else reference
