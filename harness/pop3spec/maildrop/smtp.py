"""The SMTP and LMTP doors: each message is handed to a server (RFC 5321, RFC 2033).

The messages of one filling go over one connection, each in a transaction of its own,
from the empty address. The recipient is the user name as it stands, or with the domain
that the specification names: lmtp://host:port?domain=example.org. A path instead of
host and port, lmtp:///run/dovecot/lmtp, is a local socket.

Line ends are CRLF, and lines that begin with a dot are stuffed, as the protocol wants
it. The server puts header fields before the message.

What it refuses: see `delivery`.
"""

import smtplib
from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar
from urllib.parse import parse_qs

from pop3spec.maildrop import DoorError
from pop3spec.maildrop.bounds import bounded
from pop3spec.maildrop.delivery import readable
from pop3spec.target import TargetError, parse_address

ANSWERS_WITHIN = 30.0


class SmtpDelivery:
    """Delivers over SMTP."""

    scheme: ClassVar[str] = "smtp"
    client: ClassVar[type[smtplib.SMTP]] = smtplib.SMTP
    hello: ClassVar[str] = "EHLO"

    def __init__(self, rest: str) -> None:
        self.name = f"{self.scheme}:{rest}"
        place, _, query = rest.removeprefix("//").partition("?")
        options = parse_qs(query)
        if not rest.startswith("//") or not place or options.keys() - {"domain"}:
            raise DoorError(
                f"{self.name} cannot be read; write {self.scheme}://host:port?domain=NAME"
            )
        self._domain = options.get("domain", [""])[-1]
        # smtplib takes a path for a local socket.
        self._host, self._port = place, 0
        if not place.startswith("/"):
            try:
                address = parse_address(place)
            except TargetError as error:
                raise DoorError(f"{self.name}: {error}") from error
            self._host, self._port = address.host, address.port

    def deliver(self, user: str, messages: Sequence[bytes]) -> None:
        """Hand over the messages; the first refusal ends it."""
        recipient = f"{user}@{self._domain}" if self._domain else user
        if not (recipient.isascii() and recipient.isprintable()):
            raise DoorError(f"{self.name}: {recipient!r} is not printable ASCII, as an address is")
        try:
            # A name of our own, since looking one up may take seconds.
            client = self.client(local_hostname="localhost")
            # Longer than the whole may take, so that it is known why it ended.
            client.timeout = ANSWERS_WITHIN + 1
            try:
                with bounded(lambda: client.sock, ANSWERS_WITHIN):
                    self._wanted(client.connect(self._host, self._port), "the connection")
                    self._wanted(client.ehlo(), self.hello)
                for message in messages:
                    with bounded(lambda: client.sock, ANSWERS_WITHIN):
                        self._hand_over(client, recipient, message)
                with (
                    suppress(smtplib.SMTPException, OSError),
                    bounded(lambda: client.sock, ANSWERS_WITHIN),
                ):
                    client.quit()
            finally:
                client.close()
        except smtplib.SMTPResponseException as error:
            raise DoorError(f"{self.name}: {readable(_octets(error.smtp_error))}") from error
        except smtplib.SMTPException as error:
            raise DoorError(f"{self.name}: {readable(str(error).encode())}") from error
        except TimeoutError as error:
            raise DoorError(f"{self.name} is not done within {ANSWERS_WITHIN:g} s") from error
        except OSError as error:
            raise DoorError(f"{self.name}: {error.strerror or error}") from error

    def _hand_over(self, client: smtplib.SMTP, recipient: str, message: bytes) -> None:
        options = []
        if not message.isascii():
            if not client.has_extn("8bitmime"):
                raise DoorError(f"{self.name} takes no messages with octets above 127")
            options.append("BODY=8BITMIME")
        self._wanted(client.mail("", options), "MAIL")
        mend = "" if self._domain else "; a domain is added with ?domain=NAME"
        self._wanted(client.rcpt(recipient), f"the recipient {recipient}", mend)
        try:
            self._wanted(client.data(message), "the message")
        except smtplib.SMTPDataError as error:
            self._wanted((error.smtp_code, error.smtp_error), "DATA")

    def _wanted(self, reply: tuple[int, bytes | str], what: str, mend: str = "") -> None:
        code, words = reply
        text = readable(_octets(words))
        if code < 0:
            raise DoorError(
                f"{self.name} answers {what} with what is no {self.scheme.upper()}: {text}"
            )
        if not 200 <= code < 300:
            raise DoorError(f"{self.name} refuses {what}: {code} {text}{mend}")


class LmtpDelivery(SmtpDelivery):
    """Delivers over LMTP."""

    scheme = "lmtp"
    client = smtplib.LMTP
    hello = "LHLO"


def _octets(words: bytes | str) -> bytes:
    return words if isinstance(words, bytes) else words.encode()
