"""How long a page of 1 000 scenarios and 10 MB takes to open and to search (goal: below 2 s).

`python harness/benchmarks/page.py`. Half of the scenarios broke a rule and have a long
conversation. Needs Chromium with its driver, and selenium.
"""

import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HARNESS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(HARNESS), str(HARNESS / "tests")]

from browser import browser, missing  # noqa: E402

from pop3spec.report.page import write_page  # noqa: E402
from pop3spec.report.results import Results, read_results, write_results  # noqa: E402
from pop3spec.report.rows import FindingRow, ScenarioRow, rule_rows  # noqa: E402
from pop3spec.rulebook.rules import Level, rulebook, rules_digest  # noqa: E402
from pop3spec.verdict import Verdict  # noqa: E402

SCENARIOS, LINES = 1000, 80

# From the typing of a word to the next frame in which the page says how many it found.
SEARCH = """
const [word, done] = arguments, field = document.getElementById("words");
const found = document.getElementById("found"), before = found.textContent;
const start = performance.now();
new MutationObserver(() => requestAnimationFrame(() => setTimeout(() =>
    done([performance.now() - start, found.textContent]))))
  .observe(found, {childList: true});
field.value = word;
field.dispatchEvent(new Event("input"));
"""


def row(number: int, rule: str) -> ScenarioRow:
    """A scenario that broke a rule, or had to be blocked behind its conversation."""
    is_broken = number % 2 == 0
    transcript = tuple(
        f"{line / 1000:.3f} {'C' if line % 8 == 0 else 'S'}: +OK line {line} of {number}, "
        "and as many words behind it as a header line of a message has now and then\\r\\n"
        for line in range(LINES)
    )
    return ScenarioRow(
        id=f"rfc1939/topic-{number % 40}::scenario-{number}",
        title=f"The server does what scenario {number} wants of it",
        file=f"scenarios/rfc1939/topic-{number % 40}.yaml",
        line=number,
        rules=(rule,),
        exercised=(rule,),
        verdict=Verdict.FAIL if is_broken else Verdict.BLOCKED,
        detail="" if is_broken else f"the login was refused for reason {number % 7}",
        findings=(FindingRow(rule, f"-ERR {number}", "+OK"),) if is_broken else (),
        transcript=transcript,
        replay=f"pop3spec run mail.example:110 scenarios/rfc1939/x.yaml::scenario-{number}",
    )


def big_results() -> Results:
    """Results of 10 MB."""
    musts = [id for id, rule in rulebook().items() if rule.level is Level.MUST]
    rows = [row(number, musts[number % 60]) for number in range(SCENARIOS)]
    return Results(
        version="0",
        rules_digest=rules_digest(),
        target={"address": "mail.example:110"},
        started=datetime(2026, 1, 1, tzinfo=UTC),
        seconds=60.0,
        seed=1,
        options={},
        rules=tuple(rule_rows(rulebook(), rows)),
        scenarios=tuple(rows),
    )


def times(driver: Any, page: Path) -> dict[str, str]:
    """What the browser says of opening and searching this page."""
    driver.get(page.as_uri())
    load = driver.execute_script(
        "return performance.getEntriesByType('navigation')[0].loadEventEnd"
    )
    told = {"load": f"{load:.0f} ms"}
    for word in ("scenario-77", "line", "nothing-like-this"):
        took, found = driver.execute_async_script(SEARCH, word)
        told[f"search {word!r}"] = f"{took:.0f} ms ({found})"
    return told


def main() -> None:
    """Print sizes and times."""
    if missing():
        sys.exit(missing())
    with tempfile.TemporaryDirectory() as folder, browser() as driver:
        results, page = Path(folder) / "results.json", Path(folder) / "index.html"
        write_results(results, big_results())
        began = time.perf_counter()
        write_page(page, read_results(results))
        print(f"results.json: {results.stat().st_size / 1e6:.1f} MB")
        print(f"index.html: {page.stat().st_size / 1e6:.1f} MB, ", end="")
        print(f"made in {time.perf_counter() - began:.1f} s")
        for turn in range(3):
            for name, value in times(driver, page).items():
                print(f"{turn + 1}. {name}: {value}")


if __name__ == "__main__":
    main()
