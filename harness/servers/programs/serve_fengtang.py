"""fengtang's POP3 sessions over its own store, kept in step with a Maildir.

Runs in fengtang's environment, with one argument: a JSON file of settings.
"""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

# Both live in that environment.
from fengtang.mail.store import Store  # type: ignore[import-not-found,unused-ignore]
from fengtang.serve.server import (  # type: ignore[import-not-found,unused-ignore]
    MailboxServerState,
    handle_pop_client,
)


class MaildirStore(Store):  # type: ignore[misc,unused-ignore]  # Store is Any to the checker
    """fengtang's store, brought in step with a Maildir whenever a maildrop is read."""

    def __init__(self, database: Path, maildir: Path) -> None:
        """Open the store; what the Maildir holds is read at the first log-in."""
        super().__init__(database)
        # What a machine that loses its power would lose is thrown away anyway.
        self._conn.execute("PRAGMA synchronous = OFF")
        self.maildir = maildir
        self.row_of: dict[str, int] = {}

    def list_messages(self, *arguments: Any, **options: Any) -> Any:
        """What the store itself answers, once it knows the Maildir's files."""
        files = {
            path.name.partition(":")[0]: path
            for part in ("cur", "new")
            for path in (self.maildir / part).iterdir()
        }
        for name in self.row_of.keys() - files.keys():
            self.delete([self.row_of.pop(name)])
        for name in sorted(files.keys() - self.row_of.keys()):
            # What SMTP would have handed over: lines that end with CRLF.
            try:
                message = re.sub(rb"\r?\n", b"\r\n", files[name].read_bytes())
                self.row_of[name] = self._stored(message, name)
            except FileNotFoundError:
                continue  # taken out of the Maildir since
        return super().list_messages(*arguments, **options)

    def _stored(self, message: bytes, name: str) -> int:
        """Store a message for itself: two with one Message-ID would be one in a folder."""
        row = int(self.store(message, folder=f"from {name}"))
        self.move([row], "INBOX")
        return row


async def serve(settings: dict[str, Any]) -> None:
    """Serve for ever."""
    store = MaildirStore(Path(settings["database"]), Path(settings["maildir"]))
    state = MailboxServerState(store, ["localhost"], users=settings["users"], allow_outbound=False)
    server = await asyncio.start_server(
        lambda reader, writer: handle_pop_client(reader, writer, state, "localhost"),
        settings["host"],
        settings["port"],
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
