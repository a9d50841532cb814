"""Rule and Level; reads the rulebook's entries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from pathlib import Path


class Level(Enum):
    """How binding a rule is."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Basis(Enum):
    """How the RFC says it."""

    KEYWORD = "keyword"
    GRAMMAR = "grammar"
    PROSE = "prose"
