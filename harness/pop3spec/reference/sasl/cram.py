"""CRAM-MD5 (RFC 2195): the digest of a challenge that never comes back."""

import hmac
import re
import secrets
import time

from pop3spec.reference.sasl.mechanism import WRONG_CREDENTIALS, Mechanism, Refused, Step

_DIGEST = re.compile(rb"[0-9a-f]{32}")


class CramMd5(Mechanism):
    """A message-id as the challenge, a name and its keyed digest as the response."""

    client_first = False
    asked = b""

    def challenge(self) -> bytes:
        """Random digits and the time, in the form of a message-id."""
        digits, clock = secrets.randbits(64), time.time_ns()
        self.asked = b"<%d.%d@pop3spec.invalid>" % (digits, clock)
        return self.asked

    def first(self, response: bytes) -> Step:
        """Take name and digest; the name may have blanks."""
        name, blank, digest = response.rpartition(b" ")
        if not blank or not name or not _DIGEST.fullmatch(digest):
            return Refused("CRAM-MD5 has a name and a digest of 32 digits")
        if not self.is_digest(name, digest):
            return WRONG_CREDENTIALS
        return self.authorize(name)

    def is_digest(self, name: bytes, digest: bytes) -> bool:
        """Whether the digest is that of this challenge, keyed with the secret."""
        secret = self.maildrops.secret(name)
        ours = hmac.new(secret or self.nonce(), self.asked, "md5").hexdigest().encode()
        return self.is_same(ours, digest) and secret is not None
