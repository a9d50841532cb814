"""Mechanisms that carry the password itself: PLAIN (RFC 4616) and LOGIN (an expired draft)."""

from pop3spec.reference.sasl.mechanism import (
    WRONG_CREDENTIALS,
    Challenge,
    Mechanism,
    Refused,
    Step,
)
from pop3spec.reference.sasl.saslprep import prepared


class Plain(Mechanism):
    """One response: whom to act as, name and password, with NUL between them."""

    is_cleartext = True

    def first(self, response: bytes) -> Step:
        """Take the three parts."""
        parts = response.split(b"\0")
        if len(parts) != 3:
            return Refused("PLAIN has three parts")
        acts_as, name, password = parts
        return self.verify(acts_as, name, password)

    def verify(self, acts_as: bytes, name: bytes, password: bytes) -> Step:
        """Prepare the parts and compare them with the account."""
        whom = prepared(acts_as) if acts_as else b""
        who, what = prepared(name), prepared(password)
        if whom is None or who is None or what is None:
            return Refused("that is no name or no password")
        if not self.is_password(who, what):
            return WRONG_CREDENTIALS
        return self.authorize(who, whom)


class Login(Mechanism):
    """Two questions, for the name and for the password."""

    client_first = False
    is_cleartext = True
    name = b""

    def challenge(self) -> bytes:
        """Ask for the name, in the words that the oldest clients wait for."""
        return b"Username:"

    def first(self, response: bytes) -> Step:
        """Take the name and ask for the password."""
        self.name = response
        self.next = self.password
        return Challenge(b"Password:")

    def password(self, response: bytes) -> Step:
        """Take the password, and compare both."""
        who, what = prepared(self.name), prepared(response)
        if who is None or what is None:
            return Refused("that is no name or no password")
        if not self.is_password(who, what):
            return WRONG_CREDENTIALS
        return self.authorize(who)
