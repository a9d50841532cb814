"""SCRAM with SHA-1 and SHA-256, and with channel binding (RFC 5802, RFC 7677)."""

import base64
import binascii
import hashlib
import hmac
import re
from typing import ClassVar

from pop3spec.reference.maildrops import Maildrops
from pop3spec.reference.sasl.mechanism import (
    WRONG_CREDENTIALS,
    Challenge,
    Granted,
    Mechanism,
    Refused,
    Security,
    Step,
    completed,
)
from pop3spec.reference.sasl.saslprep import prepared

FIRST = re.compile(
    rb"(?P<header>(?P<flag>p=(?P<binding>[A-Za-z0-9.-]+)|n|y),(?:a=(?P<acts_as>[^,\0]+))?,)"
    rb"(?P<bare>n=(?P<name>[^,\0]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?P<more>(?:,[^,]*)*))",
    re.DOTALL,
)
_FINAL = re.compile(
    rb"(?P<unproven>c=(?P<bound>[^,]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?P<more>(?:,[^,]*)*))"
    rb",p=(?P<proof>[^,]+)",
    re.DOTALL,
)
_EXTENSION = re.compile(rb",[A-Za-ln-z]=[^,\0]+", re.DOTALL)
_ESCAPE = re.compile(rb"=(2C|3D)?")
_ITERATIONS = 4096


def unescaped(name: bytes) -> bytes | None:
    """A saslname without its escapes; None where '=' is not one of the two."""
    if any(found[1] is None for found in _ESCAPE.finditer(name)):
        return None
    return name.replace(b"=2C", b",").replace(b"=3D", b"=")


def are_extensions(text: bytes) -> bool:
    """Whether further attributes are well-formed, and none is mandatory."""
    return not _EXTENSION.sub(b"", text)


class Scram(Mechanism):
    """The client proves the password, the server that it knows it; neither says it."""

    hash_name: ClassVar[str]
    is_plus: ClassVar[bool] = False

    header = b""
    binding = ""
    bare = b""
    asked = b""
    name = b""
    acts_as = b""
    full_nonce = b""

    # The client's first message.

    def first(self, response: bytes) -> Step:
        """Take the name and the client's nonce; give salt, iterations and both nonces."""
        message = self.first_message(response)
        if message is None:
            return Refused("that is no first message of SCRAM")
        self.header, self.bare = message["header"], message["bare"]
        self.binding = (message["binding"] or b"").decode()
        problem = self.problem_of_binding(message["flag"][:1])
        if problem:
            return Refused(problem)
        name = self.readable(message["name"])
        acts_as = self.readable(message["acts_as"]) if message["acts_as"] else b""
        if name is None or acts_as is None:
            return Refused("invalid-username-encoding")
        self.name, self.acts_as = name, acts_as
        self.full_nonce = self.joined(message["nonce"])
        self.asked = self.server_first()
        self.next = self.final
        return Challenge(self.asked)

    def first_message(self, response: bytes) -> re.Match[bytes] | None:
        """The parts of a well-formed first message, None for any other."""
        message = FIRST.fullmatch(response)
        return message if message and are_extensions(message["more"]) else None

    def joined(self, theirs: bytes) -> bytes:
        """The client's nonce and ours behind it."""
        return theirs + self.nonce()

    def problem_of_binding(self, flag: bytes) -> str:
        """Why the flag for channel binding is not acceptable here, '' if it is."""
        if flag == b"y":
            # Somebody has taken the PLUS variants out of what the client saw.
            return "server-does-support-channel-binding" if self.security else self._bare_only()
        if flag == b"n":
            return self._bare_only()
        if not self.is_plus:
            return "channel-binding-not-supported"
        return "" if self.bound() is not None else "unsupported-channel-binding-type"

    def _bare_only(self) -> str:
        return "channel binding is due" if self.is_plus else ""

    def readable(self, name: bytes) -> bytes | None:
        """The name that an escaped one stands for, prepared; None where there is none."""
        plain = unescaped(name)
        return None if plain is None else prepared(plain)

    def server_first(self) -> bytes:
        """Nonces, salt and iterations, whether or not there is such an account."""
        salt = base64.b64encode(self.salt())
        return b"r=%b,s=%b,i=%d" % (self.full_nonce, salt, self.iterations())

    def salt(self) -> bytes:
        """The salt of the name, always the same."""
        return self.maildrops.salt(self.hash_name, self.name)

    def iterations(self) -> int:
        """How often the hash is iterated."""
        return _ITERATIONS

    # The client's final message.

    def final(self, response: bytes) -> Step:
        """Take the proof and give our own; then the exchange is over."""
        message = _FINAL.fullmatch(response)
        if message is None or not are_extensions(message["more"]):
            return Refused("that is no final message of SCRAM")
        if not self.is_bound(_decoded(message["bound"])):
            return Refused("channel-bindings-dont-match")
        if not self.is_nonce(message["nonce"]):
            return Refused("that nonce is another one")
        said = self.said(message["unproven"])
        salted = self.salted_password()
        if not self.is_proof(_decoded(message["proof"]), salted, said):
            return self.not_proven()
        step = self.authorize(self.name, self.acts_as)
        if not isinstance(step, Granted):
            return step
        return self.verified(self.signature(salted, said), step)

    def said(self, unproven: bytes) -> bytes:
        """All that both sides have said, which proof and signature are of."""
        return b",".join((self.bare, self.asked, unproven))

    def not_proven(self) -> Step:
        """The proof is wrong, or there is no such account."""
        return WRONG_CREDENTIALS

    def verified(self, signature: bytes, step: Granted) -> Step:
        """Send the signature; then the exchange is over."""
        self.next = completed(step)
        return Challenge(b"v=" + base64.b64encode(signature))

    def bound(self) -> bytes | None:
        """The data of the channel binding that the client chose, None without such."""
        return self.security.bindings.get(self.binding) if self.security else None

    def is_bound(self, theirs: bytes | None) -> bool:
        """Whether the client repeats its header and names the channel that it is on."""
        ours = self.header + (self.bound() or b"")
        return theirs is not None and self.is_same(ours, theirs)

    def is_nonce(self, theirs: bytes) -> bool:
        """Whether the client answers this very exchange."""
        return self.is_same(self.full_nonce, theirs)

    def salted_password(self) -> bytes:
        """The password as SCRAM stores it; a chance one where there is no such account."""
        secret = prepared(self.maildrops.secret(self.name) or self.nonce()) or self.nonce()
        return hashlib.pbkdf2_hmac(self.hash_name, secret, self.salt(), self.iterations())

    def is_proof(self, proof: bytes | None, salted: bytes, said: bytes) -> bool:
        """Whether the client's proof shows that it knows the password."""
        client_key = self._hmac(salted, b"Client Key")
        stored = hashlib.new(self.hash_name, client_key).digest()
        signature = self._hmac(stored, said)
        if proof is None or len(proof) != len(signature):
            return False
        shown = bytes(one ^ other for one, other in zip(proof, signature, strict=True))
        known = self.maildrops.secret(self.name) is not None
        return self.is_same(stored, hashlib.new(self.hash_name, shown).digest()) and known

    def signature(self, salted: bytes, said: bytes) -> bytes:
        """What shows the client that the server knows the password."""
        return self._hmac(self._hmac(salted, b"Server Key"), said)

    def _hmac(self, key: bytes, text: bytes) -> bytes:
        return hmac.new(key, text, self.hash_name).digest()


def _decoded(text: bytes) -> bytes | None:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        return None


class ScramPlus(Scram):
    """SCRAM that is bound to the TLS channel, and offered only there."""

    is_plus = True

    @classmethod
    def is_available(cls, maildrops: Maildrops, security: Security | None) -> bool:
        """There is a channel to bind to."""
        del maildrops
        return security is not None and bool(security.bindings)


class ScramSha1(Scram):
    """SCRAM-SHA-1."""

    hash_name = "sha1"


class ScramSha256(Scram):
    """SCRAM-SHA-256."""

    hash_name = "sha256"


class ScramSha1Plus(ScramPlus):
    """SCRAM-SHA-1-PLUS."""

    hash_name = "sha1"


class ScramSha256Plus(ScramPlus):
    """SCRAM-SHA-256-PLUS."""

    hash_name = "sha256"
