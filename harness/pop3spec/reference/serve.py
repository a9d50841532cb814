"""The reference server on its own: what `pop3spec serve` runs."""

import signal
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from pop3spec.reference.certificates import authority
from pop3spec.reference.offer import Cleartext
from pop3spec.reference.server import ReferenceServer
from pop3spec.reference.stores import MaildirStore, MemoryStore


def serve(
    *,
    host: str,
    port: int,
    accounts: Mapping[str, str],
    maildir: Path | None,
    faults: Collection[str],
    ready: Callable[[tuple[str, int], tuple[str, int], Path], None],
    tls_port: int = 0,
    failed_login_delay: float = 0.0,
    certificate: str = "good",
    cleartext: Cleartext = Cleartext.PERMITTED,
) -> None:
    """Serve until SIGTERM or SIGINT.

    `ready` is told the address, that for implicit TLS, and the file of the authority
    that a client has to trust. Maildrops are the directories below `maildir`, one a
    user, or in memory.
    """
    store = MemoryStore() if maildir is None else MaildirStore(maildir)
    asked_to_stop = threading.Event()

    def stop(*_: object) -> None:
        asked_to_stop.set()

    # SIGINT too: a shell starts what runs in the background with it ignored.
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with (
            TemporaryDirectory(prefix="pop3spec-") as files,
            ReferenceServer(
                store,
                accounts,
                host=host,
                port=port,
                faults=faults,
                failed_login_delay=failed_login_delay,
                tls=authority().tls(certificate),
                tls_port=tls_port,
                cleartext=cleartext,
            ) as server,
        ):
            ca = Path(files) / "authority.pem"
            ca.write_bytes(authority().pem)
            ready(server.address, server.tls_address, ca)
            asked_to_stop.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
