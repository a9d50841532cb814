"""The gallery in a browser: that its cells lead somewhere, its filters work, and it can be read."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browser import CONTRASTS, browser, emulate, missing, opened, press, requests, waited
from command import here
from samples import BLOCKED, FAIL, KNOWN, MUST, OTHER, PASS, PRACTICE, WARN, hostile, results

from pop3spec.report.results import Results, write_results
from pop3spec.report.rows import FindingRow
from pop3spec.rulebook.rules import rulebook
from pop3spec.verdict import Verdict

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "there is a browser")

MANY = [
    replace(FAIL, id=f"rfc1939/retr::fails-{number}", line=100 + number, findings=findings)
    for number in range(8)
    for findings in [(*FAIL.findings, FindingRow(OTHER, "another"))]
]
NOT_OFFERED = replace(
    PASS,
    id="rfc2449/capa::lang",
    verdict=Verdict.NOT_APPLICABLE,
    rules=("rfc6856-3-lang",),
    exercised=(),
    detail="no LANG",
)
RUNS: dict[str, Results] = {
    "breaks-many": results(*MANY, WARN, NOT_OFFERED),
    "breaks-one": results(FAIL, NOT_OFFERED),
    "keeps-all": results(PASS, observations=({"id": "second-user", "value": "+OK"},)),
    "known": results(KNOWN),
    "nothing": results(replace(BLOCKED, exercised=())),
    **{f"server-{number}": results(PASS) for number in range(9)},
}
BROKEN = (
    ("breaks-many", MUST),
    ("breaks-many", OTHER),
    ("breaks-many", PRACTICE),
    ("breaks-one", MUST),
    ("known", MUST),
)


def built(folder: Path, runs: dict[str, Results]) -> Path:
    for name, found in runs.items():
        (folder / "runs" / name).mkdir(parents=True)
        write_results(folder / "runs" / name / "results.json", found)
    ended = here(folder, "gallery", *(f"runs/{name}" for name in runs), "--into=gallery")
    assert ended.code == 0, ended.text
    return folder / "gallery"


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("plain"), RUNS)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as driver:
        yield driver


@pytest.fixture
def page(chromium: Any, gallery: Path) -> Any:
    """The browser, with the matrix opened anew."""
    emulate(chromium, 1400)
    opened(chromium, gallery / "index.html")
    return chromium


def visit(driver: Any, path: Path, fragment: str) -> None:
    driver.get("about:blank")
    driver.get(f"{path.as_uri()}#{fragment}")


def shown(driver: Any) -> list[str]:
    """The ids of the rules that are seen in the matrix."""
    found: list[str] = driver.execute_script(
        "return [...document.querySelectorAll('.matrix tr[id]')]"
        ".filter((each) => each.checkVisibility()).map((each) => each.id)"
    )
    return found


def cell(driver: Any, server: str, rule: str) -> Any:
    column = sorted(RUNS).index(server) + 2
    return driver.find_element("css selector", f"[id='{rule}'] > :nth-child({column}) a")


def test_nothing_from_elsewhere_is_asked_for_and_there_is_no_error(
    page: Any, gallery: Path
) -> None:
    ours = {(gallery / name).as_uri() for name in ("index.html", "gallery.css", "gallery.js")}
    waited(page, "document.readyState === 'complete'")
    assert requests(page) == ours
    assert page.get_log("browser") == []

    for name in (f"rules/{MUST}.html", "errata.html", "observations.html", "known/index.html"):
        opened(page, gallery / name)
        waited(page, "document.readyState === 'complete'")
        assert all(url.startswith(gallery.as_uri()) for url in requests(page)), name
        assert page.get_log("browser") == [], name


@pytest.mark.parametrize("server, rule", BROKEN)
def test_a_breach_leads_to_a_conversation_that_is_seen(page: Any, server: str, rule: str) -> None:
    link = cell(page, server, rule)
    page.execute_script("arguments[0].click()", link)

    waited(page, f"location.pathname.endsWith('/{server}/index.html')")
    goal = "document.getElementById(location.hash.slice(1))"
    transcript = f"{goal}?.querySelector('.transcript')"
    assert waited(page, f"{transcript}?.checkVisibility()")
    top = page.execute_script(f"return {goal}.getBoundingClientRect().top")
    assert 0 <= top < 1000


@pytest.mark.parametrize(
    "server, rule, word, told",
    [
        ("keeps-all", MUST, "✓ pass", "Held in 1 scenario."),
        ("nothing", MUST, "⊘ blocked", "there is no door"),
        ("breaks-one", "rfc6856-3-lang", "– n/a", "no LANG"),
        ("keeps-all", OTHER, "? untested", "Nothing in the run exercised it."),
    ],
)
def test_any_other_cell_leads_to_what_is_said_of_the_server(
    page: Any, server: str, rule: str, word: str, told: str
) -> None:
    link = cell(page, server, rule)
    assert link.text == word
    page.execute_script("arguments[0].click()", link)

    waited(page, f"location.pathname.endsWith('/rules/{rule}.html')")
    row = page.find_element("id", f"server-{server}")
    assert told in row.text
    assert 0 <= row.rect["y"] - page.execute_script("return scrollY") < 1000


def test_a_known_breach_says_so(page: Any) -> None:
    assert cell(page, "known", MUST).text.split() == ["✗", "fail", "known"]


def choose(driver: Any, name: str, value: str) -> None:
    driver.find_element("css selector", f"[name={name}] > option[value={value}]").click()
    waited(driver, f"location.hash.includes('{name}={value}')")


def test_filters_narrow_the_matrix_and_the_address_tells_them(page: Any, gallery: Path) -> None:
    assert len(shown(page)) == len(rulebook())

    choose(page, "show", "broken")
    assert sorted(shown(page)) == sorted([MUST, OTHER, PRACTICE])
    choose(page, "show", "disagree")
    assert shown(page) == [MUST]
    choose(page, "level", "should")
    assert shown(page) == []
    assert page.find_element("id", "nothing").is_displayed()
    assert page.execute_script("return location.hash") == "#show=disagree&level=should"

    page.find_element("css selector", "button[type=reset]").click()
    waited(page, "location.hash === ''")
    assert len(shown(page)) == len(rulebook())


def test_a_search_finds_rules_by_their_id_and_text(page: Any) -> None:
    page.find_element("name", "q").send_keys("UIDL persist")

    assert waited(page, "location.hash") == "#q=UIDL+persist"
    assert shown(page) == [OTHER]
    specifications = page.find_elements("css selector", "[data-specification]")
    assert [each.text for each in specifications if each.is_displayed()] == ["RFC 1939POP3 itself"]


def test_an_address_with_filters_shows_what_they_choose(page: Any, gallery: Path) -> None:
    visit(page, gallery / "index.html", "show=broken&level=must&topic=retrieval&q=uidl&no=x")
    assert shown(page) == [OTHER]

    page.execute_script("location.hash = 'show=nonsense&level=should'")
    waited(page, "document.querySelector('[name=level]').value === 'should'")
    shoulds = [rule.id for rule in rulebook().values() if rule.level.value == "SHOULD"]
    assert sorted(shown(page)) == sorted(shoulds)


def test_a_link_to_a_rule_that_a_filter_hides_leads_to_it(page: Any, gallery: Path) -> None:
    visit(page, gallery / "index.html", "level=should")
    page.execute_script(f"location.hash = '{MUST}'")

    goal = f"document.getElementById('{MUST}')"
    assert waited(page, f"{goal}.checkVisibility()")
    assert len(shown(page)) == len(rulebook())
    assert waited(page, f"{goal}.getBoundingClientRect().top < innerHeight")


def test_heads_stay_in_sight_while_the_matrix_scrolls(page: Any) -> None:
    emulate(page, 400, height=800)
    box = "document.querySelector('.scroll.whole')"

    page.execute_script(f"{box}.scrollIntoView(); {box}.scrollTo(200, 2000)")

    assert waited(page, f"{box}.scrollLeft") == 200
    edges = f"{box}.getBoundingClientRect()"
    head = "document.querySelector('.matrix thead th').getBoundingClientRect()"
    assert abs(page.execute_script(f"return {head}.top - {edges}.top")) < 3
    assert abs(page.execute_script(f"return {head}.left - {edges}.left")) < 3
    first = f"document.querySelector('[id=\"{MUST}\"] th').getBoundingClientRect().left"
    assert abs(page.execute_script(f"return {first} - {edges}.left")) < 3


@pytest.mark.parametrize(
    "name",
    ["index.html", f"rules/{MUST}.html", f"rules/{OTHER}.html", "observations.html", "errata.html"],
)
def test_a_phone_has_nothing_to_scroll_sideways_but_tables(
    chromium: Any, gallery: Path, name: str
) -> None:
    emulate(chromium, 360)
    opened(chromium, gallery / name)

    assert chromium.execute_script("return document.documentElement.scrollWidth") == 360


def test_without_scripts_the_whole_matrix_is_there_and_nothing_that_does_not_work(
    page: Any, gallery: Path
) -> None:
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        opened(page, gallery / "index.html")

        assert cell(page, "breaks-many", MUST).is_displayed()
        assert not page.find_element("id", "finder").is_displayed()
        target = cell(page, "breaks-many", OTHER).get_attribute("href")
        page.get(target)
        place = page.find_element("id", target.partition("#")[2])
        assert place.find_element("class name", "transcript").is_displayed()
    finally:
        page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_the_keyboard_reaches_the_matrix_and_its_cells(page: Any) -> None:
    at = "document.activeElement"

    for _ in range(80):
        press(page, "\ue004")  # Tab
        if page.execute_script(f"return {at}.matches('.matrix td a')"):
            break

    assert page.execute_script(f"return getComputedStyle({at}).outlineStyle") == "solid"
    assert page.execute_script(f"return {at}.closest('tr').id") == shown(page)[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index.html", f"rules/{MUST}.html", "observations.html"])
def test_all_text_has_contrast(chromium: Any, gallery: Path, name: str, scheme: str) -> None:
    emulate(chromium, scheme=scheme)
    opened(chromium, gallery / name)

    told = chromium.execute_script(CONTRASTS)

    paper = "rgb(21, 23, 26)" if scheme == "dark" else "rgb(252, 252, 251)"
    assert paper in {behind for *_, behind in told}
    assert [each for each in told if each[0] < 4.5] == []


def test_on_paper_the_matrix_is_whole(page: Any) -> None:
    emulate(page, 1050, media="print", scheme="dark")

    box = "document.querySelector('.scroll.whole')"
    assert page.execute_script(f"return {box}.scrollHeight <= {box}.clientHeight + 1")
    assert page.execute_script(f"return {box}.scrollWidth <= {box}.clientWidth + 1")
    assert not page.find_element("id", "finder").is_displayed()
    body = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert body == "rgb(255, 255, 255)"


def test_hostile_text_does_not_run(chromium: Any, tmp_path: Path) -> None:
    odd = built(tmp_path, {"odd": hostile(), "good": results(PASS)})
    emulate(chromium)

    for name in ("index.html", f"rules/{MUST}.html", "observations.html", "odd/index.html"):
        opened(chromium, odd / name)
        waited(chromium, "document.readyState === 'complete'")
        assert chromium.execute_script("return window.hit") is None, name
        assert all(url.startswith(odd.as_uri()) for url in requests(chromium)), name
        assert chromium.get_log("browser") == [], name
