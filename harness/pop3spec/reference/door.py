"""The door to the embedded server's memory: messages arrive octet for octet."""

import threading
from collections.abc import Sequence

from pop3spec.maildrop import DoorError
from pop3spec.reference.stores import MemoryStore


class MemoryDoor:
    """Puts messages into a MemoryStore and changes nothing in them.

    What came into the store without this door is foreign.
    """

    name = "memory"
    adds_headers = False

    def __init__(self, store: MemoryStore, *, allow_delete: bool = False) -> None:
        self._store = store
        self._allow_delete = allow_delete
        self._lock = threading.Lock()
        self._delivered: dict[str, set[str]] = {}

    def refuses(self, message: bytes) -> str:
        """It carries every message."""
        del message
        return ""

    def fill(self, user: str, messages: Sequence[bytes]) -> None:
        """Make these messages, in this order, the whole content of the maildrop."""
        with self._lock:
            keys = {entry.key for entry in self._store.entries(user)}
            foreign = keys - self._delivered.get(user, set())
            if foreign and not self._allow_delete:
                raise DoorError(
                    f"the maildrop of {user!r} holds {len(foreign)} messages that pop3spec"
                    " did not deliver; give --allow-delete to have them removed"
                )
            self._store.remove(user, keys)
            self._delivered[user] = {self._store.deliver(user, octets) for octets in messages}

    def add(self, user: str, message: bytes) -> None:
        """Deliver one more message."""
        with self._lock:
            self._delivered.setdefault(user, set()).add(self._store.deliver(user, message))

    def clear(self, user: str) -> None:
        """Remove what this door delivered, and nothing else."""
        with self._lock:
            self._store.remove(user, self._delivered.pop(user, set()))

    def contents(self, user: str) -> list[bytes]:
        """The messages that are in the store now, as they were delivered."""
        stored = [self._store.content(user, entry.key) for entry in self._store.entries(user)]
        return [octets for octets in stored if octets is not None]

    def marks(self, user: str) -> list[str]:
        """A message in memory has no marks."""
        return ["" for _ in self._store.entries(user)]
