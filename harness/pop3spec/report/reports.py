"""All files of a run: results.json, junit.xml, index.html and the transcripts."""

from collections.abc import Mapping
from pathlib import Path

from pop3spec.report.junit import write_junit
from pop3spec.report.page import write_page
from pop3spec.report.results import Results, write_results
from pop3spec.rulebook.rules import Level, Rule
from pop3spec.verdict import Verdict

WRITTEN = ("junit.xml", "results.json", "index.html")

_KEPT = (Verdict.FAIL, Verdict.WARN, Verdict.ERROR)


def write_reports(
    directory: Path,
    results: Results,
    rulebook: Mapping[str, Rule],
    *,
    level: Level,
    keep_transcripts: bool,
) -> None:
    """Write what `WRITTEN` names and `transcripts/`; OSError where that cannot be."""
    directory.mkdir(parents=True, exist_ok=True)
    write_results(directory / "results.json", results)
    write_junit(directory / "junit.xml", results, rulebook, level=level)
    write_page(directory / "index.html", results)
    _write_transcripts(directory / "transcripts", results, keep_all=keep_transcripts)


def _write_transcripts(folder: Path, results: Results, *, keep_all: bool) -> None:
    for row in results.scenarios:
        name = row.id.replace("::", ".").replace("/", ".")
        file = folder / f"{name}.txt"
        if row.transcript and (row.verdict in _KEPT or keep_all):
            folder.mkdir(exist_ok=True)
            file.write_text("\n".join(row.transcript) + "\n", encoding="utf-8")
        else:
            # What an earlier run left of the same scenario; other files are not ours.
            file.unlink(missing_ok=True)
