"""The embedded reference server as a target, with its own accounts and door."""

from dataclasses import dataclass

from pop3spec.maildrop import Door
from pop3spec.reference.door import MemoryDoor
from pop3spec.reference.server import ReferenceServer
from pop3spec.reference.stores import MemoryStore
from pop3spec.target import Account, Address, Target, Timeouts

_ACCOUNTS = 16


@dataclass
class Embedded:
    """A running reference server, the target that it is, and its door."""

    server: ReferenceServer
    target: Target
    door: Door

    def close(self) -> None:
        """Stop the server."""
        self.server.close()


def start_embedded(
    *,
    faults: tuple[str, ...] = (),
    timeouts: Timeouts | None = None,
    failed_login_delay: float = 0.0,
    autologout: float = 600.0,
) -> Embedded:
    """Start the reference server in this process, with messages in memory."""
    accounts = tuple(
        Account(f"embedded-{number}", f"only-for-{number}-in-memory")
        for number in range(1, _ACCOUNTS + 1)
    )
    store = MemoryStore()
    server = ReferenceServer(
        store,
        {account.user: account.password for account in accounts},
        faults=faults,
        autologout=autologout,
        failed_login_delay=failed_login_delay,
    )
    server.start()
    target = Target(
        Address(*server.address),
        accounts,
        maildrop="memory",
        timeouts=timeouts or Timeouts(),
        allow_cleartext=True,
        allow_stress=True,
        max_failed_logins=None,
    )
    return Embedded(server, target, MemoryDoor(store))
