"""Results -> certificate: which class is granted, and what is missing for the others.

The same results give the same octets: nothing depends on when or where it is issued.
"""

import json
import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import Enum
from hashlib import sha256
from pathlib import Path
from typing import Any

from pop3spec.certificate.lists import RequirementList, all_lists
from pop3spec.collected import home
from pop3spec.report.results import Results, as_json, utc_time
from pop3spec.report.rows import RuleRow
from pop3spec.report.text import one_line
from pop3spec.rulebook.rules import Level
from pop3spec.verdict import Verdict

SCHEMA = 1

STATEMENT = (
    "Issued by whoever ran pop3spec, and by nobody else. Repeat the run to check it; the command"
    " is below."
)

Data = dict[str, Any]


class Status(Enum):
    """What is said of a class."""

    GRANTED = "granted"
    REFUSED = "refused"
    NOT_APPLIED_FOR = "not applied for"


def certificate_of(
    results: Results, results_digest: str, product: str, lists: Sequence[RequirementList]
) -> Data:
    """The certificate for a product, as plain data; `results_digest` is of the file's octets."""
    obstacles = list(_obstacles(results))
    rules = {rule.id: rule for rule in results.rules}
    listed = {id for each in lists for id in (*each.required, *each.where_offered)}
    document = {
        "schema": SCHEMA,
        "product": one_line(product),
        "statement": STATEMENT,
        "suite": {
            "version": results.version,
            "rules_digest": results.rules_digest,
            "scenarios_digest": results.scenarios_digest,
        },
        "results": {
            "sha256": results_digest,
            "started": utc_time(results.started),
            "seconds": round(results.seconds, 3),
        },
        "target": {
            name: results.target.get(name)
            for name in ("address", "greeting", "implementation", "tls", "capabilities")
        },
        "seed": results.seed,
        "options": results.to_data()["options"],
        "repeat": repeat_command(results, product),
        "counts": _counts(row.verdict for row in results.scenarios),
        "obstacles": obstacles,
        "classes": [_class_of(each, rules, obstacles) for each in lists],
        "not_scored": sorted(
            rule.id
            for rule in results.rules
            if rule.id not in listed and rule.level is Level.MUST and rule.verdict is Verdict.FAIL
        ),
    }
    plain: Data = as_json(document)
    return plain


def octets_of(certificate: Mapping[str, Any]) -> bytes:
    """A certificate as its file has it."""
    return (json.dumps(certificate, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode()


def digest_of(path: Path) -> str:
    """A SHA-256 over a file."""
    return sha256(path.read_bytes()).hexdigest()


def repeat_command(results: Results, product: str) -> str:
    """The command that makes such a certificate; accounts come from the environment."""
    words = ["pop3spec", "run", str(results.target.get("address", ""))]
    if " " in words[-1]:
        words.pop()  # the embedded server, which needs no address
    for name, value in sorted(results.options.items()):
        if name in ("report-dir", "certify", "seed"):
            continue
        words.append(f"--{name}" if value is True else f"--{name}={value}")
    return shlex.join([*words, f"--seed={results.seed}", f"--certify={product}"])


def _obstacles(results: Results) -> Iterator[str]:
    """What grants nothing, whatever the rules say."""
    if results.options.get("insecure"):
        yield "the run did not verify certificates (--insecure)"
    if str(results.options.get("fuzz", "")) in ("off", "0"):
        yield "the run was without fuzzing (--fuzz=off)"
    if not results.scenarios_digest:
        yield "the results do not say which scenarios were there"
    elif left_out := sorted(_own_files() - set(results.whole_files)):
        some = ", ".join(left_out[:3]) + (" and more" if len(left_out) > 3 else "")
        yield f"not everything was run: {some}"


def _own_files() -> set[str]:
    root = home()
    files = (*(root / "scenarios").rglob("*.yaml"), *(root / "suites").rglob("test_*.py"))
    return {file.relative_to(root).as_posix() for file in files}


# In a whole run nothing exercises a rule about what the server does not have.
_WITHOUT_OCCASION = (Verdict.NOT_APPLICABLE, Verdict.UNTESTED)


def _class_of(
    listed: RequirementList, rules: Mapping[str, RuleRow], obstacles: Collection[str]
) -> Data:
    required = {id: _verdict(rules.get(id)) for id in listed.required}
    offered = {id: _verdict(rules.get(id)) for id in listed.where_offered}
    absent = [id for id, verdict in required.items() if verdict is Verdict.NOT_APPLICABLE]
    idle = [id for id, verdict in offered.items() if verdict in _WITHOUT_OCCASION]
    wrong = [
        id
        for id, verdict in (required | offered).items()
        if verdict is not Verdict.PASS and id not in (*absent, *idle)
    ]
    if absent:
        status = Status.NOT_APPLIED_FOR
    elif wrong or obstacles:
        status = Status.REFUSED
    else:
        status = Status.GRANTED
    return {
        "id": listed.id,
        "date": listed.date,
        "title": listed.title,
        "about": listed.about,
        "list_sha256": listed.digest,
        "status": status,
        "held": sum(verdict is Verdict.PASS for verdict in (required | offered).values()),
        "of": len(required) + len(offered),
        "not_applicable": idle,
        "missing": [
            {"rule": id, "verdict": (required | offered)[id].value} for id in (*absent, *wrong)
        ],
    }


def _verdict(rule: RuleRow | None) -> Verdict:
    # A rule that the results do not know was not tried.
    return Verdict.UNTESTED if rule is None else rule.verdict


def _counts(verdicts: Iterator[Verdict]) -> dict[str, int]:
    counted = Counter(verdict.value for verdict in verdicts)
    return {name: counted[name] for name in sorted(counted)}


def lists_of(certificate: Mapping[str, Any]) -> list[RequirementList]:
    """The lists that a certificate names; KeyError for one that this version does not have."""
    there = {(each.id, each.date): each for each in all_lists()}
    return [there[each["id"], each["date"]] for each in certificate["classes"]]
