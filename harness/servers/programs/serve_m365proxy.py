"""m365proxy's POP3 sessions over Maildirs, in place of the mailboxes of Microsoft 365.

Runs in m365proxy's environment, with one argument: a JSON file of settings.
"""

import asyncio
import hashlib
import json
import os
import re
import ssl
import sys
from pathlib import Path
from typing import Any

# Both live in that environment.
from m365proxy.controllers.pop3 import (  # type: ignore[import-not-found,unused-ignore]
    start_pop3_server,
)
from m365proxy.handlers import pop3  # type: ignore[import-not-found,unused-ignore]


class Maildirs:
    """What its sessions ask Microsoft for: who may log in, and the messages."""

    def __init__(self, mail: Path, users: dict[str, str]) -> None:
        """Know the accounts."""
        self.mail = mail
        self.users = users

    def check_credentials(self, user: str, password: str) -> bool:
        """Whether this is the user's password."""
        return self.users.get(user) == password

    async def list_messages(self, user: str) -> list[dict[str, Any]]:
        """The messages in the order of their names, with the sizes of what will be sent."""
        return [
            {"id": unique_id(path), "size": len(octets(path)), "etag": ""}
            for path in sorted(self._files(user), key=lambda path: path.name)
        ]

    async def get_message_raw(self, user: str, identifier: str) -> bytes:
        """One message, as it came by SMTP."""
        return octets(self._path(user, identifier))

    async def delete_message(self, user: str, identifier: str, _etag: str) -> bool:
        """Remove one message."""
        self._path(user, identifier).unlink()
        return True

    def _files(self, user: str) -> list[Path]:
        return [path for part in ("cur", "new") for path in (self.mail / user / part).iterdir()]

    def _path(self, user: str, identifier: str) -> Path:
        return next(path for path in self._files(user) if unique_id(path) == identifier)


def unique_id(path: Path) -> str:
    """Short, however long the name of the file is."""
    return hashlib.sha256(os.fsencode(path.name)).hexdigest()


def octets(path: Path) -> bytes:
    """A file of a Maildir with lines that end in CRLF."""
    return re.sub(rb"\r?\n", b"\r\n", path.read_bytes())


async def serve(settings: dict[str, Any]) -> None:
    """Serve for ever."""
    maildirs = Maildirs(Path(settings["mail"]), settings["users"])
    for name in ("check_credentials", "list_messages", "get_message_raw", "delete_message"):
        setattr(pop3, name, getattr(maildirs, name))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings["certificate"], settings["key"])
    options = {
        "bind": settings["host"],
        "pop3_port": settings["port"],
        "pop3s_port": settings["tls_port"],
        "tls": True,
    }
    servers = await start_pop3_server(options, context)
    await asyncio.gather(*(each.server.serve_forever() for each in servers))


if __name__ == "__main__":
    asyncio.run(serve(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
