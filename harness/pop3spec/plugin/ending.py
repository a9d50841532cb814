"""The end: what needs all sessions is judged, and the reports are written."""

import datetime
import time
from dataclasses import replace

import pytest

from pop3spec.collected import scenarios_digest
from pop3spec.options import OPTIONS
from pop3spec.plugin.state import STATE, State
from pop3spec.report.exit_code import ExitCode, exit_code
from pop3spec.report.files import append_file
from pop3spec.report.job_summary import job_summary
from pop3spec.report.known import staleness
from pop3spec.report.reports import write_reports
from pop3spec.report.results import Results
from pop3spec.rulebook.rules import rulebook
from pop3spec.verdict import Verdict


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Judge what needs all sessions, write the reports, set the exit code."""
    state = session.config.stash.get(STATE, None)
    if state is None or session.config.option.collectonly:
        return
    try:
        _finish(session, state, exitstatus)
    except Exception:
        # Here pytest would print the bare traceback.
        session.config.notify_exception(pytest.ExceptionInfo.from_current(), session.config.option)
        session.exitstatus = ExitCode.INTERNAL_ERROR


def _finish(session: pytest.Session, state: State, exitstatus: int) -> None:
    lost = bool(state.run and state.settings.target and _may_be_lost(state) and state.run.is_lost())
    if state.run is not None:
        state.problems += state.run.end()
    if state.embedded is not None:
        state.embedded.close()
    tally = state.tally
    if state.is_worker or not tally.rows:
        return
    expire = state.run.expire if state.run is not None else set()
    tally.rows += map(state.placed, tally.rows_over_sessions(expire, state.replay))
    state.staleness = staleness(tally.rows, state.settings.known_deviations, datetime.date.today())
    if session.shouldfail or session.shouldstop or exitstatus not in (0, 1, 5):
        state.whole_files.clear()  # what was not reached is not gone
    results = state.results = replace(_results(state), whole_files=frozenset(state.whole_files))
    if state.baseline is not None:
        state.changes = state.baseline.compared(results)
    _write(state, results)
    if exitstatus in (0, 1, 5):
        session.exitstatus = exit_code(
            results.scenarios,
            (*state.staleness.stale, *(change.id for change in state.changes.worse)),
            level=state.settings.level,
            require_complete=state.settings.require_complete,
            target_lost=lost,
            rule_rows=results.rules,
        )
        if not state.is_reported and session.exitstatus == ExitCode.NOTHING_BROKEN:
            session.exitstatus = ExitCode.INTERNAL_ERROR


def _may_be_lost(state: State) -> bool:
    return any(row.verdict is Verdict.BLOCKED for row in state.tally.rows)


def _results(state: State) -> Results:
    options = {
        name: value
        for name, _ in OPTIONS
        if (value := state.settings.options.get(name.replace("-", "_"))) is not None
        and value is not False
        and name not in ("account", "target", "summary-md", "certify")
    }
    target = state.settings.target
    if target is not None and target.tls.insecure:
        options["insecure"] = True  # perhaps the profile says so
    return state.tally.results(
        target={
            "address": state.target_name,
            **({"version": target.version} if target is not None and target.version else {}),
            **state.observed,
            "other_runs": state.other_runs,
        },
        started=state.started,
        seconds=time.monotonic() - state.begun,
        seed=state.settings.seed,
        options=options,
        scenarios_digest=scenarios_digest(),
        masker=state.masker,
    )


def _write(state: State, results: Results) -> None:
    settings = state.settings
    try:
        write_reports(
            settings.report_dir,
            results,
            rulebook(),
            level=settings.level,
            keep_transcripts=settings.keep_transcripts,
        )
        if settings.summary_md is not None:
            append_file(settings.summary_md, job_summary(results).encode())
        state.is_reported = True
        if settings.certify:
            from pop3spec.certificate.files import issue  # only where one is asked for

            state.certificate = issue(
                settings.report_dir / "results.json", settings.certify, settings.report_dir
            )
    except OSError as error:
        state.problems.append(f"the reports cannot be written: {error}")
