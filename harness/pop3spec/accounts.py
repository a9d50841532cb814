"""The mailboxes that a run may use, leased to one test at a time."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pop3spec.target import Account


@dataclass
class Mailbox:
    """An account with what the run did to it.

    `filling` names the present filling: it changes with each delivery. `shared` says which
    other run uses it as well. `keeps_door_out`: a session locks the store for as long as it lasts.
    """

    account: Account
    failed_logins: int = 0
    filling: int = 0
    problem: str = ""
    shared: str = ""
    keeps_door_out: bool = False

    @property
    def filling_name(self) -> str:
        """The account and its present filling, by the process that made it."""
        return f"{self.account.user}#{self.filling} of {os.getpid()}"


@dataclass
class AccountPool:
    """Leases mailboxes; `changed` is notified whenever one comes back.

    `usable` is how many there are. `workers`, on the same lock, is for those that need no
    more than one of them to wake up.
    """

    mailboxes: Sequence[Mailbox]
    usable: int = 0
    _free: list[Mailbox] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._free = [mailbox for mailbox in self.mailboxes if not mailbox.problem]
        self.usable = len(self._free)
        lock = threading.RLock()
        self.changed = threading.Condition(lock)
        self.workers = threading.Condition(lock)

    def take(self) -> Mailbox | None:
        """A free mailbox, None if there is none now; to be called holding `changed`."""
        return self._free.pop(0) if self._free else None

    def give_back(self, mailbox: Mailbox) -> None:
        """End a lease."""
        with self.changed:
            self._free.append(mailbox)
            self.changed.notify_all()
            self.workers.notify()

    @contextmanager
    def lease(self) -> Iterator[Mailbox | None]:
        """A mailbox for a while, waiting for one; None where there is none at all."""
        with self.changed:
            if not self.usable:
                taken = None
            else:
                while (taken := self.take()) is None:
                    self.changed.wait()
        try:
            yield taken
        finally:
            if taken is not None:
                self.give_back(taken)
