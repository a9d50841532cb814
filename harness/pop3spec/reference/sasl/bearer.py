"""Bearer tokens: OAUTHBEARER (RFC 7628) and its forerunner XOAUTH2. Both need TLS."""

import json
import re
from collections.abc import Sequence

from pop3spec.reference.maildrops import Maildrops
from pop3spec.reference.sasl.mechanism import (
    WRONG_CREDENTIALS,
    Challenge,
    Mechanism,
    Refused,
    Security,
    Step,
)
from pop3spec.reference.sasl.saslprep import prepared
from pop3spec.reference.sasl.scram import unescaped

_PAIRS = rb"(?P<pairs>(?:[A-Za-z]+=[\t\n\r\x20-\x7e]*\x01)*)\x01"
_OAUTHBEARER = re.compile(rb"(?:n|y),(?:a=(?P<name>[^,\0\x01]+))?,\x01" + _PAIRS)
_XOAUTH2 = re.compile(rb"user=(?P<name>[^\0\x01]+)\x01" + _PAIRS)
_BEARER = re.compile(rb"bearer +(?P<token>[A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)


class Bearer(Mechanism):
    """One response with a token; a wrong one is explained before it is refused."""

    form: re.Pattern[bytes]

    @classmethod
    def is_available(cls, maildrops: Maildrops, security: Security | None) -> bool:
        """There are tokens, and TLS that keeps them secret."""
        return security is not None and bool(maildrops.tokens)

    def first(self, response: bytes) -> Step:
        """Take the token, and the name where there is one."""
        message = self.form.fullmatch(response)
        if message is None:
            return Refused("the form of the response is wrong")
        name = self.readable(message["name"]) if message["name"] else b""
        if name is None:
            return Refused("that is no name")
        pairs = [pair.split(b"=", 1) for pair in message["pairs"].split(b"\x01") if pair]
        payloads = self.payloads([(key, value) for key, value in pairs])
        if len(payloads) != 1:
            return self.explained("invalid_request")
        shown = _BEARER.fullmatch(payloads[0])
        owner = self.owner(shown["token"]) if shown else None
        if owner is None or not self.may_use(owner, name):
            return self.explained("invalid_token")
        return self.authorize(owner)

    def payloads(self, pairs: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """The values of the key that counts, whatever stands beside it."""
        return [value for key, value in pairs if key == b"auth"]

    def readable(self, name: bytes) -> bytes | None:
        """The name as accounts have it, None where it is none."""
        return prepared(name)

    def owner(self, token: bytes) -> bytes | None:
        """The account that a token is for, None where it is for none."""
        owners = [name for name, ours in self.maildrops.tokens.items() if self.is_same(ours, token)]
        return owners[0] if owners else None

    def may_use(self, owner: bytes, name: bytes) -> bool:
        """Whether the token's owner is the one that the client names, if it names one."""
        return not name or self.may_act_as(owner, name)

    def explained(self, status: str) -> Step:
        """Say what is wrong; whatever the client says to it, the exchange fails then."""
        self.next = self.dismissed
        return Challenge(json.dumps(self.error(status)).encode())

    def error(self, status: str) -> dict[str, str]:
        """The members of the error result."""
        return {"status": status}

    def dismissed(self, response: bytes) -> Step:
        """The dummy response came: refuse."""
        del response
        return WRONG_CREDENTIALS


class OAuthBearer(Bearer):
    """OAUTHBEARER."""

    form = _OAUTHBEARER

    def readable(self, name: bytes) -> bytes | None:
        """The name that the GS2 header has in escapes."""
        plain = unescaped(name)
        return None if plain is None else prepared(plain)


class XOAuth2(Bearer):
    """XOAUTH2, as Google describes it."""

    form = _XOAUTH2

    def error(self, status: str) -> dict[str, str]:
        """The members of the error result, whose status is HTTP's."""
        code = {"invalid_request": "400", "invalid_token": "401"}[status]
        return {"status": code, "schemes": "bearer", "scope": "mail"}
