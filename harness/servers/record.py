"""What the adjudications of the gallery have on record of each server."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from pop3spec.gallery.adjudication import Judgement, read_adjudications
from pop3spec.rulebook.rules import rulebook

ADJUDICATION = Path(__file__).resolve().parents[2] / "reports" / "gallery" / "adjudication"


def judgements(name: str) -> tuple[Judgement, ...]:
    """The judgements on a server, none where nobody wrote any; YamlError."""
    read = read_adjudications(ADJUDICATION, rulebook().keys())
    return read[name].judgements if name in read else ()


def unadjudicated(name: str, broken: Iterable[str]) -> tuple[str, ...]:
    """Which of these rules nobody has judged to be broken by this server; YamlError."""
    judged = {judgement.rule for judgement in judgements(name)}
    return tuple(rule for rule in broken if rule not in judged)


def put_on_record(name: str, profile: Path) -> None:
    """Add the judgements to a server's profile as known deviations; YamlError.

    Those on what a run may not show stay away, since such a record would be stale in most.
    """
    lines = list(_records(judgement for judgement in judgements(name) if not judgement.sometimes))
    if lines:
        with profile.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in ("known-deviations:", *lines))


def _records(several: Iterable[Judgement]) -> Iterator[str]:
    reasons: dict[str, str] = {}
    for judgement in several:
        reasons.setdefault(judgement.rule, judgement.because)
    for rule, why in reasons.items():
        yield f"  - rule: {rule}"
        yield f"    why: {json.dumps(' '.join(why.split()))}"
