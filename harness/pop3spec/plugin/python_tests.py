"""Python tests of the target come out as their assertions and the passive rules say."""

from collections.abc import Generator
from dataclasses import replace

import pytest

from pop3spec import fixtures
from pop3spec.liveness import cut_short
from pop3spec.plugin.state import LOSS, OUTCOME, STATE, State
from pop3spec.plugin.verdicts import Judged, python_row, raise_for, why_skipped
from pop3spec.recorder import Recorder
from pop3spec.refusals import SessionRefused
from pop3spec.rulebook.rules import rulebook
from pop3spec.verdict import Finding, Outcome, Verdict, verdict_of, worst


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """A Python test comes out as its assertions and the passive rules say together."""
    end: BaseException | None = None
    result: object = None
    state = pyfuncitem.config.stash[STATE]
    try:
        result = yield
    except (AssertionError, pytest.skip.Exception) as error:
        end = error
    except SessionRefused as error:
        end = pytest.skip.Exception(f"blocked: {error}")
    recorders = pyfuncitem.stash.get(fixtures.RECORDERS, None)
    if recorders is None:
        if end is not None:
            raise end
        return result
    recorder = fixtures.merged(recorders)
    outcome = _python_outcome(pyfuncitem, recorder, end, state)
    pyfuncitem.stash[OUTCOME] = outcome
    is_well = outcome.verdict is Verdict.PASS
    pyfuncitem.stash[LOSS] = "" if is_well else cut_short(recorder.transcript)
    state.ready_run().liveness.told(recorder.transcript)
    row = python_row(pyfuncitem, outcome)
    try:
        raise_for(row, state)
        return result
    except Judged as judged:
        text = str(judged)
    # A plain assertion says more where it stands.
    if isinstance(end, AssertionError) and not isinstance(end, fixtures.RuleBroken):
        raise end
    pytest.fail(text, pytrace=False)


def _python_outcome(
    item: pytest.Function, recorder: Recorder, end: BaseException | None, state: State
) -> Outcome:
    from pop3spec.transcript import render

    masker = state.ready_run().masker.with_sent(recorder.transcript)
    findings = [replace(found, got=masker.mask_text(found.got)) for found in recorder.findings]
    marks = [rule for mark in item.iter_markers("rules") for rule in mark.args]
    verdict, detail, exercised = Verdict.PASS, "", set(recorder.exercised)
    untried: Verdict | None = None
    if isinstance(end, AssertionError):
        broken = [end.rule] if isinstance(end, fixtures.RuleBroken) else marks[:1]
        got = masker.mask_text(str(end).split("\n")[0])
        findings += [Finding(rule, got) for rule in broken]
        verdict = verdict if broken else Verdict.ERROR
    elif end is not None:
        verdict, detail = why_skipped(str(end))
        untried = verdict
    else:
        exercised |= set(marks[:1])
    run = state.ready_run()
    if findings and (others := run.judge.other_run(run.mailboxes)):
        return Outcome(Verdict.BLOCKED, masker.mask_text(others))
    if findings:
        verdict, detail = worst((verdict, verdict_of(findings, rulebook()))), findings[0].got
    return Outcome(
        verdict,
        masker.mask_text(detail),
        tuple(findings),
        frozenset(exercised),
        tuple(render(recorder.transcript, masker)) if findings else (),
        recorder.now(),
        tuple(recorder.facts),
        masker.mask_observations(recorder.observations),
        frozenset(recorder.uses),
        untried,
    )
