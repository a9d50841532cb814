"""What a client does wrong on purpose: MESSAGE_TWISTS, name -> what becomes of its messages."""

import re
from collections.abc import Callable, Mapping

from pop3spec.sasl.exchange import Answer, Client, Judged

# The place of a message (0 is the first that the client sends) and the message, and what is
# said instead, None to cancel the exchange.
Change = Callable[[int, bytes], bytes | None]

_PROOF = re.compile(rb"(?<=,p=)(.)")
_RESPONSE = re.compile(rb"(?<=response=)(.)")


def _cancel(place: int, message: bytes) -> bytes | None:
    return None if place == 0 else message


def _cancel_late(place: int, message: bytes) -> bytes | None:
    return None if place == 1 else message


def _another(digit: bytes) -> bytes:
    """Another digit, of base64 and of hexadecimal alike."""
    return b"1" if digit != b"1" else b"2"


def _wrong_proof(place: int, message: bytes) -> bytes:
    """The first digit of what proves the password is another one."""
    del place
    for pattern in (_PROOF, _RESPONSE):
        if pattern.search(message):
            return pattern.sub(lambda found: _another(found[1]), message, count=1)
    name, blank, digest = message.rpartition(b" ")
    return name + blank + _another(digest[:1]) + digest[1:] if blank else message


def _short_proof(place: int, message: bytes) -> bytes:
    """Only the beginning of what proves the password."""
    del place
    name, blank, digest = message.rpartition(b" ")
    return name + blank + digest[:16] if blank else message.partition(b",p=")[0]


MESSAGE_TWISTS: Mapping[str, Change] = {
    "cancel": _cancel,
    "cancel-late": _cancel_late,
    "wrong-proof": _wrong_proof,
    "short-proof": _short_proof,
}


class Twisted:
    """A run of a mechanism in which messages are changed before they are sent."""

    def __init__(self, client: Client, change: Change) -> None:
        self._client = client
        self._change = change
        self._place = 0

    def first(self) -> bytes | None:
        """The first message; one that is cancelled waits for the server's word."""
        if self._change(0, b"") is None:
            return None
        first = self._client.first()
        return None if first is None else self._said(first)

    def answer(self, challenge: bytes) -> Answer:
        """The answer, changed."""
        if self._change(self._place, b"") is None:
            return Answer(None)
        answer = self._client.answer(challenge)
        return Answer(self._said(answer.octets or b""), answer.judged)

    def end(self) -> tuple[Judged, ...]:
        """What the client says behind success."""
        return self._client.end()

    def _said(self, message: bytes) -> bytes | None:
        changed = self._change(self._place, message)
        self._place += 1
        return changed
