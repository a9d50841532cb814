"""No secret, and nothing that a terminal obeys, in what pytest tells."""

import warnings
from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from pop3spec.plugin.state import STATE, State
from pop3spec.report.text import inert
from pop3spec.transcript import Masker

if TYPE_CHECKING:
    from _pytest._code.code import TerminalRepr  # pytest shows it under no other name


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """What goes wrong in collecting is told without a secret, too."""
    report = yield
    mask_report(report, collector.config.stash[STATE].masker)
    return report


def mask_report(report: pytest.TestReport | pytest.CollectReport, masker: Masker) -> None:
    """A traceback shows arguments, and locals where they are asked for.

    No secret stays in it, and nothing that a terminal or a CI system takes for more than text.
    """
    if isinstance(report.longrepr, tuple):
        path, line, why = report.longrepr
        report.longrepr = (path, line, inert(masker.mask_text(why)))
    elif report.longrepr is not None:
        text = report.longreprtext
        told = inert(masker.mask_text(text))
        if told != text:
            report.longrepr = told
    report.sections = [(name, inert(masker.mask_text(text))) for name, text in report.sections]


class Masking:
    """Hides secrets in what pytest tells of itself."""

    def __init__(self, state: State) -> None:
        self._state = state

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excrepr: "TerminalRepr") -> None:
        """Our own breakdown; whoever prints it comes after this."""
        masked = self._state.masker.mask_text(str(excrepr))
        excrepr.toterminal = (  # type: ignore[method-assign]  # the one way to other words
            lambda tw: tw.line(masked)
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        """A warning, such as one of a thread that broke down."""
        text = str(warning_message.message)
        masked = self._state.masker.mask_text(text)
        if masked != text:
            warning_message.message = UserWarning(masked)
