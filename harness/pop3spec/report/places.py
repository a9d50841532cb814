"""Where on a page each scenario is told, and by which anchor a link leads there."""

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256

from pop3spec.report.breaches import Breach
from pop3spec.report.glance import Glance
from pop3spec.report.rows import ScenarioRow
from pop3spec.verdict import Verdict

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 120


def anchors(ids: Iterable[str]) -> dict[str, str]:
    """An anchor for each scenario: the same one on every page, whatever else stands there."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for id in ids:
        name = _anchor(id)
        # Ids that differ in what an anchor cannot carry, or are hostile.
        if name in taken:
            name = f"{name}-{sha256(id.encode('utf-8', 'replace')).hexdigest()[:12]}"
        taken.add(name)
        found[id] = name
    return found


def _anchor(id: str) -> str:
    # As in the names of the transcripts' files.
    dotted = id.replace("::", ".").replace("/", ".")
    safe = _UNSAFE.sub("-", dotted)[:_LONGEST].strip("-")
    return f"scenario-{safe}"


def told_in(glance: Glance) -> dict[str, str]:
    """Where the conversation of a scenario stands: the first place in which it is told."""
    places: dict[str, str] = {}
    for name, some in glance.sections:
        for breach in some:
            for evidence in breach.evidence:
                places.setdefault(evidence.row.id, f"{name}:{breach.id}")
    for row in glance.rows:
        if row.verdict not in (Verdict.PASS, Verdict.UNTESTED):
            places.setdefault(row.id, row.verdict.value)
    return places


def shown_best(breach: Breach, section: str, places: Mapping[str, str]) -> ScenarioRow:
    """The scenario that shows a breach best: its conversation stands with this very rule."""

    def rank(row: ScenarioRow) -> tuple[bool, bool]:
        return not row.transcript, places.get(row.id) != f"{section}:{breach.id}"

    return min((evidence.row for evidence in breach.evidence), key=rank)
