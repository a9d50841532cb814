"""Scenario + target -> outcome.

`Judge` is what all scenarios of a run share, and says which of them can be tried; `attempt`
brings sessions to the state that a scenario wants, follows its steps, and makes an outcome
of what the sessions recorded. It never raises: what goes wrong on our side is the verdict
`error`.
"""

from pop3spec.runner.judge import BACK_OFF, Judge
from pop3spec.runner.trial import attempt

__all__ = ["BACK_OFF", "Judge", "attempt"]
