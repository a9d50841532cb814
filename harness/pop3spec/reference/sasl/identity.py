"""Mechanisms without a secret: ANONYMOUS (RFC 4505) and EXTERNAL (RFC 4422, appendix A)."""

import stringprep
from collections.abc import Callable

from pop3spec.reference.maildrops import Maildrops
from pop3spec.reference.sasl.mechanism import (
    Granted,
    Mechanism,
    Refused,
    Security,
    Step,
)
from pop3spec.reference.sasl.saslprep import prepared

_MOST_CHARACTERS = 255
# What a trace may not have (RFC 4505, section 3).
_PROHIBITED: tuple[Callable[[str], bool], ...] = (
    stringprep.in_table_c21,
    stringprep.in_table_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


class Anonymous(Mechanism):
    """Anybody may come; what they say of themselves is not believed."""

    @classmethod
    def is_available(cls, maildrops: Maildrops, security: Security | None) -> bool:
        """Strangers are welcome."""
        del security
        return maildrops.welcomes_strangers

    def first(self, response: bytes) -> Step:
        """Take the trace, which may be empty."""
        if not self.is_trace(response):
            return Refused("that is no trace information")
        return Granted(self.maildrops.stranger())

    def is_trace(self, response: bytes) -> bool:
        """Whether it is text of at most 255 characters, or looks like an address."""
        try:
            text = response.decode("utf-8")
        except UnicodeDecodeError:
            return False
        if any(table(character) for character in text for table in _PROHIBITED):
            return False
        local, at, domain = text.rpartition("@")
        return bool(local and domain) if at else len(text) <= _MOST_CHARACTERS


class External(Mechanism):
    """The account of the name in the client's certificate."""

    @classmethod
    def is_available(cls, maildrops: Maildrops, security: Security | None) -> bool:
        """The client has shown a certificate for an account."""
        name = None if security is None else security.certified
        return name is not None and maildrops.is_account(name)

    def first(self, response: bytes) -> Step:
        """Take whom to act as; empty is whomever the certificate names."""
        acts_as = prepared(response) if response else b""
        if acts_as is None:
            return Refused("that is no name")
        name = self.certified()
        if name is None:
            return Refused("no certificate of the client names an account")
        return self.authorize(name, acts_as)

    def certified(self) -> bytes | None:
        """The account that the client's certificate names, None without such."""
        name = None if self.security is None else self.security.certified
        return name if name is not None and self.maildrops.is_account(name) else None
