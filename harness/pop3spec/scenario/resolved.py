"""What the runner gets: scenarios with everything in place."""

from dataclasses import dataclass
from pathlib import Path

from pop3spec.protocol.commands import State
from pop3spec.sasl import BEARER
from pop3spec.scenario.written import BUILT_IN, ClientClose, Handshake, Status
from pop3spec.target import Transport
from pop3spec.template import Template
from pop3spec.yamlfile import Location


@dataclass(frozen=True)
class Message:
    """A message: octets with CRLF line ends, and its name if it is a stock message."""

    name: str | None
    octets: bytes


@dataclass(frozen=True)
class Expect:
    """What must come back. `may_close`: a close instead of the reply will do."""

    status: Status | None = None
    text: Template | None = None
    lines: tuple[bytes, ...] | None = None
    contains_lines: tuple[bytes, ...] | None = None
    octets: Template | None = None
    message: Message | None = None
    code: str | None = None
    without_code: str | None = None
    closed: bool = False
    may_close: bool = False
    silence: float | None = None  # seconds
    rule: str | None = None

    @property
    def is_about_code(self) -> bool:
        """It is about the response code of a reply."""
        return self.code is not None or self.without_code is not None


@dataclass(frozen=True)
class Authenticate:
    """A login by SASL; the templates hold names and secrets."""

    mechanism: str
    initial_response: bool
    user: Template
    password: Template
    authzid: Template
    token: Template
    twist: str | None = None

    @property
    def templates(self) -> tuple[Template, ...]:
        """What is filled in before anything is said."""
        return (self.user, self.password, self.authzid, self.token)

    @property
    def names(self) -> frozenset[str]:
        """The names whose values the mechanism makes use of."""
        unused = self.password if self.mechanism in BEARER else self.token
        used = (part for part in self.templates if part is not unused)
        return frozenset(name for part in used for name in part.names)

    @property
    def is_right(self) -> bool:
        """The credentials are the account's, and nothing is done wrong."""
        return self.twist is None and (str(self.user), str(self.password), str(self.token)) == (
            "{user}",
            "{password}",
            "{token}",
        )


@dataclass(frozen=True)
class Observe:
    """The observation that a step makes, and which of several ways it tries."""

    id: str
    of: str = ""


@dataclass(frozen=True)
class Step:
    """One thing that the client does, and what must come back."""

    where: Location
    session: str = "first"
    send: Template | None = None
    send_bytes: Template | None = None
    split: tuple[int, ...] = ()
    close: ClientClose | None = None
    deliver: tuple[Message, ...] = ()
    expect: Expect | None = None
    save: tuple[str, ...] = ()
    observe: Observe | None = None
    authenticate: Authenticate | None = None
    handshake: Handshake | None = None

    @property
    def waits(self) -> bool:
        """Nothing is sent."""
        return self.send is None and self.send_bytes is None and self.authenticate is None


@dataclass(frozen=True)
class Scenario:
    """One test of the target; `id` holds the example's id behind its own."""

    id: str
    title: str
    rules: tuple[str, ...]
    state: State
    requires: tuple[str, ...]
    maildrop: tuple[Message, ...] | None
    failed_logins: int
    steps: tuple[Step, ...]
    where: Location
    topic: str
    note: str = ""
    transport: Transport | None = None
    encrypted: bool = False

    @property
    def needs_account(self) -> bool:
        """A mailbox is needed: to log in, to name it, or to fill it."""
        if self.state is State.TRANSACTION or self.maildrop is not None:
            return True
        if any(step.deliver for step in self.steps):
            return True
        return not self.names_sent.isdisjoint(BUILT_IN)

    @property
    def names_sent(self) -> frozenset[str]:
        """Every name that is filled in somewhere in what is sent."""
        sent = (part for step in self.steps for part in (step.send, step.send_bytes))
        names = {name for part in sent if part is not None for name in part.names}
        for step in self.steps:
            if step.authenticate is not None:
                names |= step.authenticate.names
        return frozenset(names)

    @property
    def longest_wait(self) -> float:
        """The seconds of silence that it waits for on purpose."""
        expects = (step.expect for step in self.steps)
        return sum(expect.silence or 0.0 for expect in expects if expect is not None)


@dataclass(frozen=True)
class ScenarioFile:
    """The scenarios of one file, examples expanded."""

    path: Path
    about: str
    topic: str
    scenarios: tuple[Scenario, ...]
