"""Results as a run might bring them, harmless ones and hostile ones."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pop3spec.report.results import Results
from pop3spec.report.rows import FindingRow, ScenarioRow, rule_rows
from pop3spec.report.truth import Cell
from pop3spec.rulebook.rules import rulebook, rules_digest
from pop3spec.verdict import Verdict

MUST, OTHER = "rfc1939-3-byte-stuffing", "rfc1939-7-uidl-persistent"
PRACTICE = "practice-password-case"
PASS = ScenarioRow(
    id="rfc1939/retr::dots",
    title="RETR delivers dots",
    file="scenarios/rfc1939/retr.yaml",
    line=15,
    rules=(MUST,),
    exercised=(MUST,),
    verdict=Verdict.PASS,
    topic="retrieval",
)
FAIL = replace(
    PASS,
    id="rfc1939/retr::fails",
    line=30,
    verdict=Verdict.FAIL,
    findings=(FindingRow(MUST, "'one'", "a line '.one'", "retr.yaml:31:9", "RETR 1"),),
    transcript=("0.001 TLS C: RETR 1\\r\\n", "0.002 TLS S: .one\\r\\n", "0.003 -- the end"),
    replay="pop3spec run mail.example:110 scenarios/rfc1939/retr.yaml::fails",
)
WARN = replace(
    FAIL,
    id="rfc1939/login::case",
    line=40,
    verdict=Verdict.WARN,
    findings=(FindingRow(PRACTICE, "+OK"),),
)
KNOWN = replace(
    FAIL,
    id="rfc1939/retr::known",
    line=50,
    known=True,
    known_why="fixed in the next release",
    findings=(replace(FAIL.findings[0], known=True),),
)
BLOCKED = replace(
    PASS, id="rfc1939/update::lost", line=60, verdict=Verdict.BLOCKED, detail="there is no door"
)


def results(*rows: ScenarioRow, **facts: Any) -> Results:
    given: dict[str, Any] = {
        "version": "1.0",
        "rules_digest": rules_digest(),
        "target": {"address": "mail.example:110", "greeting": "+OK hello"},
        "started": datetime(2026, 11, 23, 6, 16, tzinfo=UTC),
        "seconds": 75.2,
        "seed": 7,
        "options": {"level": "must"},
        "rules": tuple(rule_rows(rulebook(), rows)),
    }
    return Results(scenarios=rows, **(given | facts))


HOSTILE = (
    "</script><script>window.hit=1</script><img src=x onerror=window.hit=1>"
    "]]>--><!-- {{7*7}} {% raw %} \"'` \x1b]0;hit\x07 \u202egnp.exe \u200b \ud800 &amp;"
)


def hostile() -> Results:
    row = replace(
        FAIL,
        id=f"rfc1939/{HOSTILE}::{HOSTILE}",
        title=HOSTILE,
        file=HOSTILE,
        topic=HOSTILE,
        detail=HOSTILE,
        rules=(HOSTILE,),
        replay=HOSTILE,
        transcript=(f"0.001 S: {HOSTILE}", HOSTILE, f"0.002 C: {HOSTILE}"),
        findings=(
            FindingRow(MUST, HOSTILE, HOSTILE, HOSTILE, HOSTILE),
            FindingRow(HOSTILE, HOSTILE),
        ),
    )
    blocked = replace(BLOCKED, detail=HOSTILE)
    known = replace(row, id="known", known=True, known_why=HOSTILE, findings=KNOWN.findings)
    rule = rule_rows(rulebook(), [row])[0]
    strange = replace(
        rule, id=f"RFC {HOSTILE}-x", rfc=None, title=HOSTILE, section='"><b>', scenarios=(HOSTILE,)
    )
    return results(
        row,
        blocked,
        known,
        rules=(*rule_rows(rulebook(), [row]), strange),
        version=HOSTILE,
        rules_digest=HOSTILE,
        target={"address": HOSTILE, HOSTILE: {HOSTILE: [HOSTILE]}},
        options={HOSTILE: HOSTILE},
        capabilities=(Cell(HOSTILE, HOSTILE, True, (HOSTILE,), True),),
        observations=({"id": HOSTILE, "value": HOSTILE},),
    )
