"""SCRAM by a client that does one thing wrong, with a proof that fits to what it says.

The library of `scram` sends nothing wrong, so that this is made of RFC 5802, section 3.
"""

import hashlib
import hmac
import re
from base64 import b64encode
from dataclasses import dataclass
from secrets import token_urlsafe

from pop3spec.protocol.sasl import decoded
from pop3spec.sasl.exchange import Answer, Identity, Judged, Unanswerable
from pop3spec.sasl.scram import MOST_ITERATIONS

_FIRST = re.compile(r"r=([^,]+),s=([^,]+),i=([1-9][0-9]{0,6})")


@dataclass(frozen=True)
class Twist:
    """What is said instead of what is right; `{}` stands for the right thing.

    `header` and `bare` are of the first message, `repeated` is the header and `nonce` the
    nonce of the last one; `more` stands behind that nonce, `behind_name` behind the name,
    whose equals signs are escaped where it `escapes` them.
    """

    header: str = "{}"
    bare: str = "{}"
    repeated: str = "{}"
    more: str = ""
    behind_name: str = ""
    escapes: bool = True
    whole_nonce: bool = True
    same_nonce: bool = True


# By its name what a client does wrong, or in another way than most (sections 5.1, 6 and 7).
SCRAM_TWISTS = {
    "another-nonce": Twist(same_nonce=False),
    "half-a-nonce": Twist(whole_nonce=False),
    "another-binding": Twist(repeated="y,,"),
    "identity-left-out": Twist(repeated="n,,"),
    "another-channel": Twist("p=tls-server-end-point,,", repeated="{}of another channel"),
    "stray-equals-sign": Twist(behind_name="="),
    "name-as-it-is": Twist(escapes=False),
    "unknown-extension": Twist(bare="{},x=1"),
    "unknown-extension-last": Twist(more=",x=1"),
    "mandatory-extension": Twist(bare="m=1,{}"),
    "unknown-binding": Twist("p=tls-of-nobody,,"),
    "binding-believed-missing": Twist("y,,"),
    "unknown-flag": Twist("x,,"),
}


def _escaped(name: str) -> str:
    return name.replace("=", "=3D").replace(",", "=2C")


class TwistedScram:
    """A run without channel binding; what the server proves is not looked at."""

    def __init__(self, identity: Identity, mechanism: str, twist: Twist) -> None:
        self._identity = identity
        self._hash = "sha256" if "SHA-256" in mechanism else "sha1"
        self._twist = twist
        self._nonce = token_urlsafe(18)
        name = _escaped(identity.user)
        if not twist.escapes:
            name = name.replace("=3D", "=")
        name += twist.behind_name
        self._bare = twist.bare.replace("{}", f"n={name},r={self._nonce}")
        authzid = f"a={_escaped(identity.authzid)}" if identity.authzid else ""
        self._header = twist.header.replace("{}", f"n,{authzid},")
        self._stage = 0

    def first(self) -> bytes:
        """Header, name and nonce."""
        self._stage = 1
        return (self._header + self._bare).encode()

    def answer(self, challenge: bytes) -> Answer:
        """The proof, then nothing."""
        if self._stage == 0 and not challenge:
            return Answer(self.first())
        if self._stage == 1:
            self._stage = 2
            return Answer(self._last(challenge.decode("utf-8", "replace")))
        return Answer(b"")

    def _last(self, server_first: str) -> bytes:
        found = _FIRST.match(server_first)
        if found is None:
            raise Unanswerable("a message that no proof can be made of")
        nonce, salt, iterations = found.groups()
        salted_with = decoded(salt.encode())
        if salted_with is None:
            raise Unanswerable("a salt that is no base64")
        if int(iterations) > MOST_ITERATIONS:
            raise Unanswerable(f"{iterations} iterations are more than one login is worth")
        if not self._twist.whole_nonce:
            nonce = self._nonce
        if not self._twist.same_nonce:
            nonce = nonce[:-1] + ("A" if nonce[-1] != "A" else "B")
        header = self._twist.repeated.replace("{}", self._header)
        last = f"c={b64encode(header.encode()).decode()},r={nonce}{self._twist.more}"
        shared = ",".join((self._bare, server_first, last)).encode()
        salted = hashlib.pbkdf2_hmac(
            self._hash, self._identity.password.encode(), salted_with, int(iterations)
        )
        key = hmac.digest(salted, b"Client Key", self._hash)
        stored = hashlib.new(self._hash, key).digest()
        signature = hmac.digest(stored, shared, self._hash)
        proof = bytes(one ^ other for one, other in zip(key, signature, strict=True))
        return f"{last},p={b64encode(proof).decode()}".encode()

    def end(self) -> tuple[Judged, ...]:
        """Nothing is judged here but what the exchange comes to."""
        return ()
