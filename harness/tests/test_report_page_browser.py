"""index.html in a browser: that it finds and opens, can be read, and does nothing else."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browser import CONTRASTS, browser, emulate, missing, opened, press, requests, waited
from samples import BLOCKED, FAIL, KNOWN, PASS, WARN, hostile, results

from pop3spec.report.page import write_page
from pop3spec.report.rows import FindingRow
from pop3spec.report.truth import Cell
from pop3spec.rulebook.rules import rulebook
from pop3spec.rulebook.uses import AFTER_LOGIN, BEFORE_LOGIN
from pop3spec.verdict import Verdict

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "there is a browser")

LONG_WORD = "x" * 300
MANY = [
    replace(
        FAIL,
        id=f"rfc1939/retr::fails-{number}",
        line=100 + number,
        transcript=(*FAIL.transcript, f"0.004 S: {LONG_WORD}"),
    )
    for number in range(8)
]
ROWS = (
    PASS,
    *MANY,
    replace(
        FAIL, id="rfc2449/capa::both", findings=(*FAIL.findings, FindingRow("rfc1939-5-dele", "."))
    ),
    WARN,
    KNOWN,
    BLOCKED,
    replace(PASS, id="rfc2449/capa::lang", verdict=Verdict.NOT_APPLICABLE, detail="no LANG"),
    replace(PASS, id="rfc2449/capa::error", verdict=Verdict.ERROR, detail="KeyError: 'x'"),
)
CELLS = (
    Cell("TOP", BEFORE_LOGIN, True, (), None),
    Cell("TOP", AFTER_LOGIN, True, (), True),
    Cell("UIDL", AFTER_LOGIN, True, (), False),
    Cell("LAST", AFTER_LOGIN, False, (), True),
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    write_page(
        folder / "plain.html",
        results(*ROWS, capabilities=CELLS, observations=({"id": "a", "value": "b"},)),
    )
    write_page(folder / "hostile.html", hostile())
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as driver:
        yield driver


@pytest.fixture
def page(chromium: Any, pages: Path) -> Any:
    """The browser, with the page of the plain results opened anew."""
    emulate(chromium)
    opened(chromium, pages / "plain.html")
    return chromium


def found(driver: Any) -> str:
    return str(driver.execute_script("return document.getElementById('found').textContent"))


def test_nothing_is_asked_for_and_there_is_no_error(page: Any, pages: Path) -> None:
    waited(page, "document.readyState === 'complete'")

    assert requests(page) == {(pages / "plain.html").as_uri()}
    assert page.get_log("browser") == []
    assert found(page) == f"{len(ROWS)} scenarios, {len(rulebook())} rules"


def test_a_search_narrows_what_is_shown_and_says_how_much_that_is(page: Any) -> None:
    page.find_element("id", "words").send_keys("FAILS-7")

    waited(page, "document.getElementById('found').textContent.startsWith('1 of ')")
    shown = page.execute_script(
        "return [...document.querySelectorAll('[data-scenario]')].filter((each) =>"
        " each.checkVisibility()).map((each) => each.querySelector('.id').textContent)"
    )
    # In its place among the failures, where it was folded, and in the list of all.
    assert shown == ["rfc1939/retr::fails-7"] * 2
    assert page.find_element("css selector", "#broken .count").text == "1 of 2"
    assert not page.find_element("id", "blocked").is_displayed()
    press(page, "no such thing")
    waited(page, "!document.getElementById('nothing').hidden")
    page.find_element("id", "again").click()
    waited(page, "document.getElementById('blocked').checkVisibility()")
    assert found(page).startswith(f"{len(ROWS)} scenarios, ")
    assert not page.find_element("css selector", "#scenarios table").is_displayed()


@pytest.mark.parametrize(
    "by, word, count",
    [
        ("verdict", "fail", 10),
        ("verdict", "known", 1),
        ("verdict", "blocked", 1),
        ("specification", "practice", 1),
        ("level", "should", 1),
        ("topic", "retrieval", len(ROWS)),
    ],
)
def test_a_filter_narrows_what_is_shown(page: Any, by: str, word: str, count: int) -> None:
    [choice] = page.find_elements("css selector", f"[data-by={by}] > option[value={word}]")

    choice.click()

    waited(page, f"document.getElementById('found').textContent.startsWith('{count} of ')")


def test_the_keyboard_reaches_a_failure_and_opens_it(page: Any) -> None:
    at = "document.activeElement"

    for _ in range(60):
        press(page, "\ue004")  # Tab
        if page.execute_script(f"return {at}.matches('#broken details:not([open]) > summary')"):
            break

    outline = page.execute_script(f"return getComputedStyle({at}).outlineStyle")
    conversation = f"{at}.parentElement.querySelector('.transcript').checkVisibility()"
    assert outline == "solid"
    assert not page.execute_script(f"return {conversation}")
    press(page, "\ue007")  # Enter
    assert waited(page, conversation)


def test_a_link_leads_to_a_scenario_that_is_folded(page: Any) -> None:
    page.execute_script("document.querySelector('#scenarios details').open = true")
    [link] = page.find_elements("link text", "rfc1939/retr::fails-7")

    link.click()

    goal = "document.getElementById(location.hash.slice(1))"
    assert waited(page, f"{goal}?.querySelector('.transcript').checkVisibility()")


def test_a_link_from_elsewhere_leads_to_a_conversation_without_scripts(
    page: Any, pages: Path
) -> None:
    opened(page, pages / "plain.html")
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.get("about:blank")
        page.get(f"{(pages / 'plain.html').as_uri()}#scenario-rfc1939.retr.fails-7")

        folded = page.find_element("id", "scenario-rfc1939.retr.fails-7")
        assert folded.find_element("class name", "transcript").is_displayed()
    finally:
        page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_the_button_selects_the_replay_command_where_it_may_not_copy_it(page: Any) -> None:
    page.execute_script("navigator.clipboard.writeText = () => Promise.reject()")

    page.find_element("css selector", ".copy").click()

    assert waited(page, "getSelection().toString()") == MANY[0].replay
    assert waited(page, "document.querySelector('.copy').textContent !== 'Copy'")


def test_hostile_text_does_not_run(chromium: Any, pages: Path) -> None:
    opened(chromium, pages / "hostile.html")
    chromium.find_element("id", "words").send_keys("script")
    waited(chromium, "document.getElementById('found').textContent.includes(' of ')")

    assert chromium.execute_script("return window.hit") is None
    assert chromium.title.startswith("2 MUST rules are broken: </script><script>")
    assert len(chromium.find_elements("css selector", "script, img, iframe, [onerror]")) == 1
    assert requests(chromium) == {(pages / "hostile.html").as_uri()}
    assert chromium.get_log("browser") == []


@pytest.mark.parametrize("name", ["plain", "hostile"])
def test_a_phone_has_nothing_to_scroll_sideways(chromium: Any, pages: Path, name: str) -> None:
    emulate(chromium, 360)
    opened(chromium, pages / f"{name}.html")

    chromium.execute_script("document.querySelectorAll('details').forEach((e) => e.open = true)")

    width = chromium.execute_script("return document.documentElement.scrollWidth")
    assert width == 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_contrast(page: Any, scheme: str) -> None:
    emulate(page, scheme=scheme)

    told = page.execute_script(CONTRASTS)

    paper = "rgb(21, 23, 26)" if scheme == "dark" else "rgb(252, 252, 251)"
    assert paper in {behind for *_, behind in told}
    kinds = {name for _, names, *_ in told for name in names.split()}
    assert {verdict.value for verdict in Verdict} | {"known", "client", "note"} <= kinds
    assert [each for each in told if each[0] < 4.5] == []


def test_on_paper_the_conversations_of_failures_stand_open(page: Any) -> None:
    first = "#broken .breach > .scenario .transcript"  # not those of 'and 4 more scenarios'
    seen = f"[...document.querySelectorAll('{first}')].map((e) => e.checkVisibility())"
    before = page.execute_script(f"return {seen}")

    emulate(page, media="print", scheme="dark")

    after = page.execute_script(f"return {seen}")
    assert before == [True, False, False, False, False]
    assert after == [True] * 5
    assert not page.find_element("id", "finder").is_displayed()
    body = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert body == "rgb(255, 255, 255)"
