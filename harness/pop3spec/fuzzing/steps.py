"""What a fuzzed conversation is made of: steps, and what came of playing them."""

from dataclasses import dataclass
from enum import Enum

from pop3spec.model import Disagreement


class Act(Enum):
    """What a step does."""

    CONNECT = "connect"  # a session in the AUTHORIZATION state
    LOG_IN = "log in"  # by the method
    SAY = "say"  # lines, each of which gets a reply
    ASK = "ask"  # a session that was there all the while is still answered
    POUR = "pour"  # octets that are no commands, behind which we send nothing more
    CLOSE = "close"
    RESET = "reset"
    DELIVER = "deliver"
    EMPTY = "empty"  # everything is removed from the store


@dataclass(frozen=True)
class Step:
    """One thing that a client, or somebody at the store, does.

    `session` and `maildrop` are counted from 0. `octets` are sent, cut at `pieces`, or name the
    method of a login: a SASL mechanism, `APOP`, `USER`, or `wrong` for a wrong password.
    """

    act: Act
    session: int = 0
    octets: bytes = b""
    pieces: tuple[int, ...] = ()
    maildrop: int = 0


@dataclass(frozen=True)
class Accusation:
    """A broken rule: what came, in which step, and what the model wanted in its place.

    `step` is -1 for what the store, or several sessions together, showed behind the last one.
    """

    rule: str
    got: str
    step: int = -1
    wanted: Disagreement | None = None


@dataclass(frozen=True)
class Conversation:
    """The steps of an example, and what they begin with.

    `messages` are delivered before the first step, to each of the `maildrops`.
    """

    steps: tuple[Step, ...]
    messages: int = 3
    maildrops: int = 1
    in_tls: bool = False
