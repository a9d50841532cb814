"""Twisted's POP3 protocol on a plain and a TLS port, over Maildirs.

Runs in Twisted's environment, with one argument: a JSON file of settings.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# All of it lives in that environment.
from twisted.cred import (  # type: ignore[import-not-found,unused-ignore]
    checkers,
    credentials,
    portal,
)
from twisted.internet import (  # type: ignore[import-not-found,unused-ignore]
    protocol,
    reactor,
    ssl,
)
from twisted.mail import maildir, pop3  # type: ignore[import-not-found,unused-ignore]
from zope.interface import implementer  # type: ignore[import-not-found,unused-ignore]


class Mailbox(maildir.MaildirMailbox):  # type: ignore[misc,unused-ignore]
    """Twisted's Maildir, with what crashes on Python 3 mended."""

    def getMessage(self, i: int) -> Any:  # noqa: N802 - Twisted's name
        """The message as bytes, where the original opens it as text."""
        return open(self.list[i], "rb")

    def getUidl(self, i: int) -> bytes:  # noqa: N802 - Twisted's name
        """The original's digest as bytes, where the original gives text."""
        digest = hashlib.md5(os.path.basename(self.list[i]), usedforsecurity=False)
        return digest.hexdigest().encode()

    def deleteMessage(self, i: int) -> None:  # noqa: N802 - Twisted's name
        """Move the message to the trash at once, where the original joins bytes and text."""
        path = self.list[i]
        trash = os.path.join(self.path, b".Trash", b"cur", os.path.basename(path))
        os.rename(path, trash)
        self.deleted[path] = trash
        self.list[i] = 0


@implementer(portal.IRealm)
class Realm:
    """One Maildir for each user."""

    def __init__(self, mail: Path) -> None:
        """Know where the Maildirs are."""
        self.mail = mail

    def requestAvatar(  # noqa: N802 - Twisted's name
        self, avatar: bytes, _mind: object, *_interfaces: object
    ) -> tuple[object, Mailbox, Callable[[], None]]:
        """The mailbox of a user who proved to be one."""
        path = os.fsencode(self.mail / os.path.basename(avatar.decode()))
        # A door that empties a maildrop may remove the whole Maildir, this included.
        os.makedirs(os.path.join(path, b".Trash", b"cur"), exist_ok=True)
        return pop3.IMailbox, Mailbox(path), lambda: None


class Session(pop3.POP3):  # type: ignore[misc,unused-ignore]
    """Twisted's protocol, with TCP_NODELAY: its many small writes would wait for us."""

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        """Greet."""
        self.transport.setTcpNoDelay(True)
        super().connectionMade()


@implementer(pop3.IServerFactory)
class Factory(protocol.Factory):  # type: ignore[misc,unused-ignore]
    """Sessions that share the accounts."""

    noisy = False

    def __init__(self, users: dict[str, str], mail: Path) -> None:
        """Know the accounts."""
        self.challengers = {b"CRAM-MD5": credentials.CramMD5Credentials}
        known = checkers.InMemoryUsernamePasswordDatabaseDontUse(
            **{user: password.encode() for user, password in users.items()}
        )
        self.portal = portal.Portal(Realm(mail), [known])

    def buildProtocol(self, _address: object) -> Session:  # noqa: N802 - Twisted's name
        """One session."""
        session = Session()
        session.portal = self.portal
        session.factory = self
        return session

    def cap_IMPLEMENTATION(self) -> str:  # noqa: N802 - Twisted's name
        """What CAPA says of us."""
        return "Twisted"

    def cap_EXPIRE(self) -> int:  # noqa: N802 - Twisted's name
        """No statement."""
        raise NotImplementedError

    def cap_LOGIN_DELAY(self) -> int:  # noqa: N802 - Twisted's name
        """No statement."""
        raise NotImplementedError


def serve(settings: dict[str, Any]) -> None:
    """Serve for ever."""
    factory = Factory(settings["users"], Path(settings["mail"]))
    context = ssl.DefaultOpenSSLContextFactory(settings["key"], settings["certificate"])
    reactor.listenTCP(settings["port"], factory, interface=settings["host"])
    reactor.listenSSL(settings["tls_port"], factory, context, interface=settings["host"])
    reactor.run()


if __name__ == "__main__":
    serve(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
