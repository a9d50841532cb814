"""Which rule an unmet expectation breaks, unless another one says what is wrong."""

from pop3spec.expectations import Unmet
from pop3spec.recorder import Recorder
from pop3spec.rulebook.checks import FRAMING_RULES, LENGTH_RULES
from pop3spec.runner.blocked import Blocked
from pop3spec.scenario import Scenario, Status, Step
from pop3spec.verdict import Finding


class Accuser:
    """Makes findings of the unmet expectations of a scenario, beside those of the rulebook."""

    def __init__(self, scenario: Scenario, recorder: Recorder) -> None:
        self._scenario = scenario
        self._recorder = recorder

    def exercise(self, step: Step) -> None:
        """The expectation of a step was reached."""
        self._recorder.exercised.add(self._rule_of(step))

    def blame(self, step: Step, problem: Unmet, begun: int) -> None:
        """Make a finding, unless what came since then has one that explains it."""
        if not self._is_explained(step, problem, begun):
            self.accuse(step, problem)

    def accuse(self, step: Step, problem: Unmet) -> None:
        """Make a finding, whatever else is wrong."""
        rule = self._rule_of(step)
        finding = Finding(
            rule,
            problem.got,
            problem.expected,
            exchange=len(self._recorder.transcript) - 1,
            where=str(step.where),
            command=shown_step(step),
        )
        for index, found in enumerate(self._recorder.findings):
            # The rulebook saw the same in the same exchange: one finding says both.
            if (found.rule, found.exchange) == (rule, finding.exchange):
                self._recorder.findings[index] = finding
                return
        self._recorder.findings.append(finding)

    def _is_explained(self, step: Step, problem: Unmet, begun: int) -> bool:
        """Another rule that this exchange broke says what is wrong: one cause, one finding.

        Where framing is broken the words of a reply are no evidence besides.
        A refusal that does not come is: section 3 wants it in answer to the command.
        A login that fails, or stops, is explained by whatever was broken on the way.
        """
        place = len(self._recorder.transcript) - 1
        is_silent = self._recorder.transcript[place].reply is None
        wants_login = step.expect is not None and step.expect.status is Status.OK
        if step.authenticate is not None and (wants_login or is_silent):
            way = range(begun, place + is_silent)
            if any(map(self._recorder.broken_at.get, way)):
                return True
            exchanges = self._recorder.transcript[begun:place]
            if any(each.continues_sasl and each.challenge is None for each in exchanges):
                raise Blocked(
                    "the client cancels for a challenge that is no base64, behind a response"
                    " that is too long to be judged by"
                )
        broken = self._recorder.broken_at.get(place, set())
        if self._rule_of(step) in broken or not broken:
            return False
        if not broken.isdisjoint(LENGTH_RULES):
            return True
        if step.expect is not None and step.expect.code is not None and not problem.of_status:
            return True  # a code that is not found in a line that is wrong otherwise
        if is_silent:
            return step.expect is None or step.expect.status is not Status.ERR
        return problem.of_status or not broken.isdisjoint(FRAMING_RULES)

    def _rule_of(self, step: Step) -> str:
        return (step.expect.rule if step.expect else None) or self._scenario.rules[0]


def shown_step(step: Step) -> str:
    """What the client does, for people."""
    if step.authenticate is not None:
        return f"AUTH {step.authenticate.mechanism}"
    return str(step.send or step.send_bytes or "the end of the session")
