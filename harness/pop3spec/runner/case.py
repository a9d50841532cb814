"""What one run of a scenario is given."""

from dataclasses import dataclass

from pop3spec.accounts import Mailbox
from pop3spec.scenario import Scenario
from pop3spec.target import Transport


@dataclass(frozen=True)
class Case:
    """A scenario, and how it is run: `alone` is the second look, with nothing beside it."""

    scenario: Scenario
    transport: Transport
    mailbox: Mailbox | None
    alone: bool
