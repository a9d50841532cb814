"""junit.xml: what Jenkins, GitLab and their like read.

junit-xml knows the dialect. It drops control characters, stumbles over some
code points and knows no properties of a case, so all text is made visible
before and the properties are added to its tree.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from pop3spec.report.files import replace_file
from pop3spec.report.results import Results, utc_time
from pop3spec.report.rows import ScenarioRow, Standing, by_severity, fails_run, ordered
from pop3spec.report.summary import STANDINGS, failure_text
from pop3spec.report.text import one_line
from pop3spec.rulebook.rules import Level, Rule
from pop3spec.verdict import Verdict

_SKIPPED = {
    Verdict.NOT_APPLICABLE: "not applicable",
    Verdict.BLOCKED: "blocked",
    Verdict.UNTESTED: "untested",
}


def write_junit(
    path: Path,
    results: Results,
    rulebook: Mapping[str, Rule],
    *,
    level: Level = Level.MUST,
    suite_name: str = "pop3spec",
) -> None:
    """Write one test case for each scenario; broken SHOULD rules fail at that level alone."""
    # Only the process that writes the report pays for this import.
    from junit_xml import TestSuite  # type: ignore[import-untyped]  # it carries no types

    rows = ordered(results.scenarios)
    told = {"target": results.target.get("address", ""), "version": results.version}
    suite = TestSuite(
        one_line(suite_name),
        [_case(row, rulebook, level) for row in rows],
        timestamp=utc_time(results.started),
        properties={name: one_line(str(value)) for name, value in told.items()}
        | {"seed": str(results.seed)},
    ).build_xml_doc()
    # Its own sum may be written as 1e-05, which is no number to the schema.
    suite.set("time", f"{results.seconds:.3f}")
    for row, case in zip(rows, suite.iter("testcase"), strict=True):
        case.set("time", f"{row.seconds:.3f}")
        case.insert(0, _properties(row, rulebook, level))
    totals = {name: suite.get(name) for name in ("name", "tests", "failures", "errors", "time")}
    root = ET.Element("testsuites", totals)
    root.append(suite)
    replace_file(path, _octets(root))


def _octets(root: ET.Element) -> bytes:
    ET.indent(root)
    buffer = BytesIO()
    ET.ElementTree(root).write(buffer, encoding="utf-8", xml_declaration=True)
    return buffer.getvalue() + b"\n"


def _case(row: ScenarioRow, rulebook: Mapping[str, Rule], level: Level) -> Any:
    from junit_xml import TestCase

    case = TestCase(
        one_line(_name(row)),
        classname=one_line(_classname(row)),
        # An annotation needs a file that there is; what several sessions show stands in none.
        file=one_line(row.file) or None,
        line=row.line if row.file else None,
    )
    text = failure_text(row, rulebook)
    if row.known:
        case.add_skipped_info(one_line(f"known: {row.known_why}"), text)
    elif row.baseline in (Standing.AS_BEFORE, Standing.NEW):
        case.add_skipped_info(f"{STANDINGS[row.baseline]}: {row.reason}", text)
    elif row.verdict in _SKIPPED and row.baseline is Standing.APART:
        case.add_skipped_info(f"{_SKIPPED[row.verdict]}: {row.reason}", text)
    elif row.verdict is Verdict.ERROR:
        case.add_error_info(f"error: {row.reason}", text, "error")
    elif fails_run(row, rulebook, level):
        decisive = next(iter(by_severity(row, rulebook)), None)
        line, rule = (decisive.line, decisive.rule) if decisive else (row.reason, "")
        if row.baseline is Standing.WORSE:
            line = f"{STANDINGS[row.baseline]} ({row.verdict.value}): {line}"
        case.add_failure_info(line, text, one_line(rule or next(iter(row.rules), "")))
    elif row.verdict is not Verdict.PASS:
        case.stdout = text
    return case


def _name(row: ScenarioRow) -> str:
    # The id stays for ever, so that a history of the case survives a better title.
    return row.id.partition("::")[2] or row.id


def _classname(row: ScenarioRow) -> str:
    # Readers that group by class lose a case without one.
    path = PurePosixPath(row.file or row.id.partition("::")[0])
    return ".".join(part for part in (*path.parent.parts, path.stem) if part.strip("./"))


def _properties(row: ScenarioRow, rulebook: Mapping[str, Rule], level: Level) -> ET.Element:
    element = ET.Element("properties")
    for name, value in _named(row, rulebook, level):
        ET.SubElement(element, "property", {"name": name, "value": one_line(value)})
    return element


def _named(
    row: ScenarioRow, rulebook: Mapping[str, Rule], level: Level
) -> Iterator[tuple[str, str]]:
    yield "id", row.id
    yield "title", row.title
    yield "verdict", row.verdict.value
    for id in dict.fromkeys((*row.rules, *(finding.rule for finding in row.findings))):
        yield "rule", id
        if id in rulebook:
            yield "section", rulebook[id].source
            yield "level", rulebook[id].level.value
    if row.verdict in (Verdict.FAIL, Verdict.WARN) and not fails_run(row, rulebook, level):
        for finding in by_severity(row, rulebook):
            yield "note", f"{'known: ' if finding.known else ''}{finding.line}"
