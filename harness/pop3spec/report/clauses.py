"""Where a rule stands: its clause in words, and the address of the section."""

import re
from typing import Protocol

_SECTION = re.compile(r"[0-9]+(?:\.[0-9]+)*|[A-Z]")
_ELSEWHERE = {"practice": "no RFC, but practice", "robust": "robustness"}


class Placed(Protocol):
    """What stands in a section of an RFC, or is of practice or robustness."""

    @property
    def id(self) -> str:
        """The id of the rule."""

    @property
    def rfc(self) -> int | None:
        """The number of the RFC, None where there is none."""

    @property
    def section(self) -> str | None:
        """The section of the RFC, None where there is none."""


def clause(rule: Placed | None) -> str:
    """The RFC and section of a rule, or what stands in their place."""
    if rule is None:
        return "a rule that these results do not list"
    if rule.rfc is None:
        return _ELSEWHERE.get(rule.id.partition("-")[0], "")
    return f"RFC {rule.rfc}, section {rule.section}"


def link(rule: Placed | None) -> str:
    """The address of the section, '' where there is none."""
    if rule is None or not rule.rfc or not _SECTION.fullmatch(rule.section or ""):
        return ""
    part = "appendix" if str(rule.section).isalpha() else "section"
    return f"https://www.rfc-editor.org/rfc/rfc{rule.rfc}#{part}-{rule.section}"
