"""A browser for the tests of pages, or the reason why there is none."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BINARIES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--no-first-run", "--window-size=1280,1000"),
)


def missing() -> str:
    """Why no browser can be driven here, '' where one can."""
    try:
        import selenium  # noqa: F401  # whether it is there
    except ImportError:
        return "selenium is not installed"
    if _found(BINARIES) is None:
        return f"none of {', '.join(BINARIES)} is installed"
    return "" if _found(("chromedriver",)) else "chromedriver is not installed"


def _found(names: tuple[str, ...]) -> str | None:
    return next((path for name in names if (path := shutil.which(name))), None)


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """A driver of a headless Chromium that is installed here; nothing is fetched."""
    # Selenium looks for drivers on the net where it is not told both paths.
    os.environ["SE_OFFLINE"] = "true"
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = _found(BINARIES) or ""
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(_found(("chromedriver",))))
    try:
        yield driver
    finally:
        driver.quit()


def opened(driver: Any, path: Path) -> None:
    driver.get("about:blank")  # or a fragment would be all that is new
    for log in ("browser", "performance"):
        driver.get_log(log)
    driver.get(path.as_uri())


def emulate(
    driver: Any, width: int = 1280, scheme: str = "light", media: str = "", height: int = 1000
) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


def waited(driver: Any, condition: str) -> Any:
    """What an expression says as soon as it is true."""
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(driver, 20, 0.02).until(
        lambda one: one.execute_script(f"return {condition}")
    )


def press(driver: Any, *keys: str) -> None:
    from selenium.webdriver import ActionChains

    ActionChains(driver, duration=0).send_keys(*keys).perform()


def requests(driver: Any) -> set[str]:
    messages = (json.loads(entry["message"])["message"] for entry in driver.get_log("performance"))
    return {
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    }


# Of every element with text of its own that is seen: contrast, text, colours.
CONTRASTS = """
const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = (colour) => parts(colour).slice(0, 3).map((part) => part / 255)
  .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
  .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
const behind = (element) => {
  for (let each = element; each; each = each.parentElement) {
    const colour = getComputedStyle(each).backgroundColor;
    if ((parts(colour)[3] ?? 1) === 1) return colour;
  }
  return "rgb(255, 255, 255)";
};
document.querySelectorAll("details").forEach((each) => { each.open = true; });
return [...document.body.querySelectorAll("*")]
  .filter((each) => each.checkVisibility() && !each.closest("svg, script"))
  .filter((each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
  .map((each) => {
    const colours = [getComputedStyle(each).color, behind(each)];
    const [more, less] = colours.map(light).sort((a, b) => b - a);
    return [(more + 0.05) / (less + 0.05), each.className, each.textContent.trim(), ...colours];
  });
"""
