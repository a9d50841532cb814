"""ReferenceServer: an honest POP3 server in this process, or one with chosen faults."""

import difflib
import os
import socket
import time
from collections.abc import Collection, Iterable, Mapping
from types import TracebackType
from typing import Self, TypeVar

from pop3spec.reference.faults import FAULTS
from pop3spec.reference.faults.fault import Fault
from pop3spec.reference.front import Front
from pop3spec.reference.maildrops import Maildrops
from pop3spec.reference.session import Session
from pop3spec.reference.stores import Store

_BACKLOG = 256

Part = TypeVar("Part")


def find_faults(names: Iterable[str]) -> list[Fault]:
    """The faults with these names; ValueError for one that does not exist."""
    found = []
    for name in dict.fromkeys(names):
        if name not in FAULTS:
            near = difflib.get_close_matches(name, FAULTS, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(f"unknown fault {name!r}{hint}")
        found.append(FAULTS[name])
    return found


def with_faults(honest: type[Part], faults: Iterable[Fault]) -> type[Part]:
    """A part of the server in which the steps that faults replace are replaced."""
    parts = dict.fromkeys(
        part for fault in faults for part in fault.parts if issubclass(part, honest)
    )
    return type(f"Faulty{honest.__name__}", (*parts, honest), {}) if parts else honest


class ReferenceServer:
    """A POP3 server on a socket of its own, running from `start` to `close`."""

    def __init__(
        self,
        store: Store,
        accounts: Mapping[str, str],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Collection[str] = (),
        autologout: float = 600.0,
        failed_login_delay: float = 0.0,
    ) -> None:
        chosen = find_faults(faults)
        self._maildrops = with_faults(Maildrops, chosen)(
            store, accounts, f"{os.getpid()}.{time.time_ns()}"
        )
        self._session_type = with_faults(Session, chosen)
        self._front_type = with_faults(Front, chosen)
        self._where = (host, port)
        self._autologout = autologout
        self._failed_login_delay = failed_login_delay
        self._front: Front | None = None
        self._address: tuple[str, int] | None = None

    def _new_session(self) -> Session:
        return self._session_type(self._maildrops, self._failed_login_delay)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that the server listens on; known from `start` on."""
        if self._address is None:
            raise RuntimeError("the reference server was not started")
        return self._address

    def start(self) -> None:
        """Listen and serve, in threads."""
        host, port = self._where
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        bound = listener.getsockname()
        self._address = (bound[0], bound[1])
        self._front = self._front_type(listener, self._new_session, self._autologout)
        self._front.start()

    def close(self) -> None:
        """Stop listening and end every session, without UPDATE."""
        if self._front is not None:
            self._front.stop()
            self._front = None

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the server."""
        self.close()
