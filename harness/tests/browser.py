"""A browser for the tests of index.html, or the reason why there is none."""

import contextlib
import os
import shutil
from collections.abc import Iterator
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
