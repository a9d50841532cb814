"""What a client does wrong on purpose, by its name.

MESSAGE_TWISTS: what becomes of its messages; ENCODING_TWISTS: of their base64.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Mapping

from pop3spec.sasl.exchange import Answer, Client, Judged

# The place of a message (0 is the first that the client sends) and the message, and what is
# said instead, None to cancel the exchange.
Change = Callable[[int, bytes], bytes | None]
# A message as it is written on its line.
Encoding = Callable[[bytes], bytes]

_PROOF = re.compile(rb"(?<=,p=)(.)")
_RESPONSE = re.compile(rb"(?<=response=)(.)")
_HEXADECIMAL = re.compile(rb"[0-9a-f]{32}")
# What proves the password, up to its end: of SCRAM, of DIGEST-MD5 and of CRAM-MD5.
_WHOLE = re.compile(rb"(?<=,p=).+|(?<=response=)[0-9a-f]+|(?<= )[0-9a-f]{32}\Z")


def _cancel(place: int, message: bytes) -> bytes | None:
    return None if place == 0 else message


def _cancel_late(place: int, message: bytes) -> bytes | None:
    return None if place == 1 else message


def _cancel_last(place: int, message: bytes) -> bytes | None:
    """Not even what is sent along with success is taken."""
    return None if place == 2 else message


def _upper_case(place: int, message: bytes) -> bytes:
    """A digest in capitals."""
    del place
    return _WHOLE.sub(lambda found: found[0].upper(), message, count=1)


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


def _wrong_end_of_proof(place: int, message: bytes) -> bytes:
    """Right in its first half; base64 is the same at its end, so that it can be decoded."""
    del place
    return _WHOLE.sub(_other_half, message, count=1)


def _other_half(found: re.Match[bytes]) -> bytes:
    proof = found[0]
    half, end = len(proof) // 2, len(proof) - 4
    others = b"".join(_another(bytes((octet,))) for octet in proof[half:end])
    return proof[:half] + others + proof[end:]


def _empty_proof(place: int, message: bytes) -> bytes:
    """Nothing where the proof of the password belongs."""
    del place
    return _WHOLE.sub(b"", message, count=1)


def _zero_proof(place: int, message: bytes) -> bytes:
    """A proof of zeros, as one of an account without a secret may be stored."""
    del place
    return _WHOLE.sub(_zeros, message, count=1)


def _zeros(found: re.Match[bytes]) -> bytes:
    """As many of them, be it base64 or hexadecimal."""
    zero = b"0" if _HEXADECIMAL.fullmatch(found[0]) else b"A"
    return bytes(octet if octet in b"=" else zero[0] for octet in found[0])


MESSAGE_TWISTS: Mapping[str, Change] = {
    "cancel": _cancel,
    "cancel-late": _cancel_late,
    "cancel-last": _cancel_last,
    "upper-case-proof": _upper_case,
    "wrong-proof": _wrong_proof,
    "short-proof": _short_proof,
    "wrong-end-of-proof": _wrong_end_of_proof,
    "empty-proof": _empty_proof,
    "zero-proof": _zero_proof,
}


def _put_in(octets: bytes) -> Encoding:
    """Octets behind the first four digits, so that the rest can be decoded without them."""

    def encoded(message: bytes) -> bytes:
        right = b64encode(message)
        return right[:4] + octets + right[4:]

    return encoded


def _character_behind(message: bytes) -> bytes:
    """An asterisk behind the digits: behind padding it would be judged by who stops there."""
    right = b64encode(message)
    digits = right.rstrip(b"=")
    return digits + b"*" + right[len(digits) :]


def _padding_first(message: bytes) -> bytes:
    return b"=" + b64encode(message)


def _more_behind_padding(message: bytes) -> bytes:
    """The right thing, and digits behind its padding."""
    right = b64encode(message)
    return (right if right.endswith(b"=") else right + b"=") + b"AAAA"


# So many make it one digit more than a whole number of octets has.
_TOO_MANY = (1, 3, 2)


def _digit_too_many(message: bytes) -> bytes:
    return b64encode(message).rstrip(b"=") + b"A" * _TOO_MANY[len(message) % 3]


def _unpadded(message: bytes) -> bytes:
    return b64encode(message).rstrip(b"=")


ENCODING_TWISTS: Mapping[str, Encoding] = {
    "foreign-character": _put_in(b"!"),
    "url-character": _put_in(b"-"),
    "blank-inside": _put_in(b" "),
    "tab-inside": _put_in(b"\t"),
    "padding-inside": _put_in(b"="),
    "padding-first": _padding_first,
    "more-behind-padding": _more_behind_padding,
    "character-behind": _character_behind,
    "digit-too-many": _digit_too_many,
    "unpadded": _unpadded,
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
