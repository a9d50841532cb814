"""Doors: ways to put known messages into a maildrop, one module each."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable


class DoorError(Exception):
    """A door cannot do what it was asked to; the message says why, and the mend."""


class StoreLockedError(DoorError):
    """Somebody else has the store locked, perhaps a session of the server."""


class OtherRunError(DoorError):
    """Another run of the suite delivers into the same maildrop."""


class Door(Protocol):
    """A way to put known messages into the maildrop of an account.

    Messages are octets with CRLF line ends; what a door does to them is in its
    module's docstring. Every method raises DoorError where it cannot do its job.
    """

    name: str

    @property
    def adds_headers(self) -> bool:
        """Messages arrive with header fields that the delivery or the store adds."""

    def refuses(self, message: bytes) -> str:
        """Why it cannot carry a message unchanged, as a sentence; empty if it can."""

    def fill(self, user: str, messages: Sequence[bytes]) -> None:
        """Make these messages, in this order, the whole content of the maildrop.

        What the suite delivered before is removed. A maildrop with foreign
        messages is refused and left as it is, unless deleting was permitted.
        """

    def add(self, user: str, message: bytes) -> None:
        """Deliver one more message."""

    def clear(self, user: str) -> None:
        """Remove what the suite delivered, and nothing else."""

    def contents(self, user: str) -> list[bytes]:
        """The messages that are in the store now, in no particular order."""

    def marks(self, user: str) -> list[str]:
        """How the store marks each message, such as with flags; '' where it has no marks."""


@runtime_checkable
class SeesOthers(Protocol):
    """A door that tells its own messages from those of another run."""

    def others(self, user: str) -> str:
        """Which other run delivers there at the same time, as a sentence; '' for none."""
