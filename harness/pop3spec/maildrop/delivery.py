"""Doors that hand messages to a program or a server which delivers them.

Such a delivery cannot take a message back, so a second door, the store in which the
mail arrives, looks after it: it refuses a maildrop with foreign messages, removes what
the suite delivered, and shows when a message has arrived. A delivery without a store
delivers nothing, since it could not clean up behind itself.

A delivery adds header fields (Return-Path, Delivered-To, Received and the like), so
whole messages are compared with added fields permitted. What was delivered is known by
the journal of digests.
"""

import re
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from pop3spec.maildrop import Door, DoorError
from pop3spec.maildrop.journal import own_part

ARRIVES_WITHIN = 10.0
BETWEEN_LOOKS = 0.01
QUOTED = 200

# From the start of a line, for else the search begins anew at each octet.
_LONG = re.compile(rb"(?:\A|\n)[^\r\n]{999}")
_NO_FIELD = re.compile(rb"(?!\r\n|[!-9;-~]+[ \t]*:)")
_DELIVERY_FIELD = re.compile(rb"^(Return-Path|Delivered-To)[ \t]*:", re.MULTILINE | re.IGNORECASE)


class Store(Door, Protocol):
    """A door to the place where messages are, which knows again what came another way."""

    def announce(self, user: str, message: bytes) -> None:
        """A message will come, delivered by the suite through another door."""

    def show(self, user: str) -> None:
        """Let the server see that messages came and went, whatever it remembers."""


class Delivery(Protocol):
    """A way to have messages delivered; DoorError where that is refused."""

    name: str

    def deliver(self, user: str, messages: Sequence[bytes]) -> None:
        """Hand over the messages, in this order."""


class DeliveryDoor:
    """A delivery, and the store in which its mail arrives."""

    adds_headers = True

    def __init__(self, delivery: Delivery, store: Store | None) -> None:
        self.name = delivery.name if store is None else f"{delivery.name}+{store.name}"
        self._delivery = delivery
        self._store = store

    def refuses(self, message: bytes) -> str:
        """Why the delivery or the store cannot carry a message unchanged, empty if it can."""
        header = message.partition(b"\r\n\r\n")[0]
        for is_so, reason in (
            (not message.endswith(b"\r\n"), "a message without a line end at its end"),
            (
                not message.count(b"\r") == message.count(b"\n") == message.count(b"\r\n"),
                "a line end other than CRLF",
            ),
            (b"\0" in message, "a NUL"),
            (_LONG.search(message), "a line of more than 998 octets"),
            (_NO_FIELD.match(message), "a message without a header"),
            (_DELIVERY_FIELD.search(header), "a header field that deliveries replace"),
        ):
            if is_so:
                return f"a delivery does not keep {reason}"
        return self._store.refuses(message) if self._store is not None else ""

    def fill(self, user: str, messages: Sequence[bytes]) -> None:
        """Have the store cleaned, then these messages delivered, in this order."""
        store = self._kept_by()
        store.fill(user, [])
        try:
            self._deliver(user, messages)
        except BaseException:
            # A part of a filling is worth nothing.
            with suppress(DoorError):
                store.clear(user)
            raise

    def add(self, user: str, message: bytes) -> None:
        """Have one more message delivered."""
        self._deliver(user, [message])

    def clear(self, user: str) -> None:
        """Remove from the store what the suite delivered."""
        if self._store is not None:
            self._store.clear(user)

    def contents(self, user: str) -> list[bytes]:
        """The messages in the store."""
        return self._kept_by().contents(user)

    def marks(self, user: str) -> list[str]:
        """How the store marks the messages."""
        return self._kept_by().marks(user)

    def _kept_by(self) -> Store:
        if self._store is None:
            raise DoorError(
                f"{self.name} delivers but cannot remove what it delivered; name the place"
                f" where its mail arrives as well: --maildrop='{self.name}+maildir:PATH/{{user}}'"
            )
        return self._store

    def _deliver(self, user: str, messages: Sequence[bytes]) -> None:
        store = self._kept_by()
        if not messages:
            return
        due = Counter(own_part(message) for message in store.contents(user))
        due.update(own_part(message) for message in messages)
        for message in messages:
            store.announce(user, message)
        self._delivery.deliver(user, messages)
        deadline = time.monotonic() + ARRIVES_WITHIN
        while missing := due - Counter(own_part(message) for message in store.contents(user)):
            if time.monotonic() > deadline:
                raise DoorError(
                    f"{self._delivery.name} took {len(messages)} messages for {user},"
                    f" but {missing.total()} did not arrive in {store.name}"
                    f" within {ARRIVES_WITHIN:g} s; is that the place where it delivers?"
                )
            time.sleep(BETWEEN_LOOKS)
        store.show(user)


def readable(words: bytes) -> str:
    """What a program or a server said, as one short printable line."""
    text = " ".join(words.decode("utf-8", "replace").split())
    shown = "".join(character if character.isprintable() else "?" for character in text)
    return shown if len(shown) <= QUOTED else f"{shown[:QUOTED]}…"
