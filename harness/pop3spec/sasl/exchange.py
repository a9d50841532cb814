"""What a SASL mechanism does on the client's side, and what it sees of the server's messages.

Messages are octets as RFC 4422 has them; base64 and line ends are the profile's (RFC 5034).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from pop3spec.rulebook.judgement import Broken, Held

# A rule, and what a message of the server says about it.
Judged = tuple[str, Held | Broken]

_NO_BINDINGS: Mapping[str, bytes] = MappingProxyType({})


@dataclass(frozen=True)
class Identity:
    """Who logs in: secrets, and the channel bindings of the connection by their type.

    Of the type tls-server-end-point it is the server's certificate in DER.
    """

    user: str
    password: str = field(default="", repr=False)
    authzid: str = ""
    token: str = field(default="", repr=False)
    host: str = ""
    port: int = 110
    bindings: Mapping[str, bytes] = field(default_factory=lambda: _NO_BINDINGS)


class Unanswerable(Exception):
    """The server's message is none that the mechanism can answer; what was judged before that."""

    def __init__(self, problem: str, judged: Sequence[Judged] = ()) -> None:
        super().__init__(problem)
        self.judged = tuple(judged)


@dataclass(frozen=True)
class Answer:
    """What the client says next, and what the message showed to which it is the answer.

    Without octets it cancels.
    """

    octets: bytes | None = field(repr=False)
    judged: tuple[Judged, ...] = ()


class Client(Protocol):
    """One run of a mechanism."""

    def first(self) -> bytes | None:
        """The message with which the client begins, None where the server does."""

    def answer(self, challenge: bytes) -> Answer:
        """The answer to a challenge; Unanswerable where there is none."""

    def end(self) -> tuple[Judged, ...]:
        """What is to be said when the server has accepted."""
