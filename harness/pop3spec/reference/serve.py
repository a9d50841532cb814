"""The reference server on its own: what `pop3spec serve` runs."""

import signal
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from pop3spec.reference.server import ReferenceServer
from pop3spec.reference.stores import MaildirStore, MemoryStore


def serve(
    *,
    host: str,
    port: int,
    accounts: Mapping[str, str],
    maildir: Path | None,
    faults: Collection[str],
    ready: Callable[[tuple[str, int]], None],
    failed_login_delay: float = 0.0,
) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is told the address.

    Maildrops are the directories below `maildir`, one a user, or in memory.
    """
    store = MemoryStore() if maildir is None else MaildirStore(maildir)
    asked_to_stop = threading.Event()

    def stop(*_: object) -> None:
        asked_to_stop.set()

    # SIGINT too: a shell starts what runs in the background with it ignored.
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with ReferenceServer(
            store,
            accounts,
            host=host,
            port=port,
            faults=faults,
            failed_login_delay=failed_login_delay,
        ) as server:
            ready(server.address)
            asked_to_stop.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
