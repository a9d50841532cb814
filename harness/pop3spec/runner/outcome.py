"""What the sessions of a scenario recorded, as an outcome that says no secrets."""

from dataclasses import replace

from pop3spec.recorder import Recorder
from pop3spec.rulebook.rules import rulebook
from pop3spec.transcript import Masker, render, shown_command
from pop3spec.verdict import Finding, Outcome, Verdict, verdict_of, worst


def outcome_of(
    recorder: Recorder,
    verdict: Verdict,
    detail: str,
    *,
    where: str,
    masker: Masker,
    keep_transcript: bool,
) -> Outcome:
    """The outcome of a scenario that came to this verdict, but for what was found in it.

    `where` is what is to blame where no step is. A pass has its transcript if that is kept.
    """
    untried = verdict if verdict is Verdict.BLOCKED else None
    verdict = worst((verdict, verdict_of(recorder.findings, rulebook())))
    shown = _shown(recorder, where, masker)
    if shown and verdict is not Verdict.ERROR:
        detail = f"{shown[0].rule}: {shown[0].got}"
    keep = verdict is not Verdict.PASS or keep_transcript
    return Outcome(
        verdict,
        masker.mask_text(detail),
        shown,
        frozenset(recorder.exercised),
        tuple(render(recorder.transcript, masker)) if keep else (),
        facts=tuple(recorder.facts),
        observations=masker.mask_observations(recorder.observations),
        uses=frozenset(recorder.uses),
        untried=untried,
    )


def _shown(recorder: Recorder, where: str, masker: Masker) -> tuple[Finding, ...]:
    """The findings as they may be told."""
    masker = masker.with_sent(recorder.transcript)
    return tuple(
        replace(
            finding,
            got=masker.mask_text(finding.got),
            expected=masker.mask_text(finding.expected),
            command=finding.command or command_of(recorder, finding, masker),
            where=finding.where or where,
        )
        for finding in recorder.findings
    )


def command_of(recorder: Recorder, finding: Finding, masker: Masker) -> str:
    """What was sent in the exchange of a finding, '' where there is none."""
    if finding.exchange is None:
        return ""
    exchange = recorder.transcript[finding.exchange]
    return shown_command(exchange, masker).removesuffix("\\r\\n") or exchange.kind.value
