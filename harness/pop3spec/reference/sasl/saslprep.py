"""SASLprep: names and passwords in the one form in which they are compared (RFC 4013)."""

import stringprep
import unicodedata
from collections.abc import Callable

_PROHIBITED: tuple[Callable[[str], bool], ...] = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def prepared(octets: bytes) -> bytes | None:
    """Octets in UTF-8 as they are compared, None where no name or password can be that."""
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        return None
    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in text
        if not stringprep.in_table_b1(character)
    )
    normal = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if not normal or any(table(character) for character in normal for table in _PROHIBITED):
        return None
    return normal.encode() if _has_one_direction(normal) else None


def _has_one_direction(text: str) -> bool:
    """Whether text that runs from right to left is that alone (RFC 3454, section 6)."""
    if not any(map(stringprep.in_table_d1, text)):
        return True
    ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return ends and not any(map(stringprep.in_table_d2, text))
