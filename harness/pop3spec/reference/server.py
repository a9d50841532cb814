"""ReferenceServer: an honest POP3 server in this process, or one with chosen faults."""

import difflib
import os
import socket
import time
from collections.abc import Collection, Iterable, Mapping
from types import TracebackType
from typing import Self, TypeVar

from pop3spec.reference.faults import FAULTS, SEQUENCES
from pop3spec.reference.faults.fault import Fault
from pop3spec.reference.front import Front
from pop3spec.reference.maildrops import Maildrops
from pop3spec.reference.offer import NO_DELAY, Cleartext, LoginDelay, Offer
from pop3spec.reference.sasl import MECHANISMS
from pop3spec.reference.sasl.mechanism import Mechanism
from pop3spec.reference.session import Session
from pop3spec.reference.stores import Store
from pop3spec.reference.tls import ServerTls

_BACKLOG = 256

Part = TypeVar("Part")


def find_faults(names: Iterable[str]) -> list[Fault]:
    """The faults with these names; ValueError for one that does not exist."""
    found = []
    for name in dict.fromkeys(names):
        fault = FAULTS.get(name) or SEQUENCES.get(name)
        if fault is None:
            near = difflib.get_close_matches(name, (*FAULTS, *SEQUENCES), n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(f"unknown fault {name!r}{hint}")
        found.append(fault)
    return found


def with_faults(honest: type[Part], faults: Iterable[Fault]) -> type[Part]:
    """A part of the server in which the steps that faults replace are replaced."""
    parts = dict.fromkeys(
        part for fault in faults for part in fault.parts if issubclass(part, honest)
    )
    return type(f"Faulty{honest.__name__}", (*parts, honest), {}) if parts else honest


def mechanisms_with_faults(faults: Iterable[Fault]) -> Mapping[str, type[Mechanism]]:
    """The mechanisms, in which a fault of a class is one of all that are derived from it."""
    honest = {base for mechanism in MECHANISMS.values() for base in mechanism.__mro__}
    parts: dict[type, type] = {}
    for part in (part for fault in faults for part in fault.parts):
        if issubclass(part, Mechanism):
            parts[part] = next(base for base in part.__mro__ if base in honest)
    faulty = {}
    for name, mechanism in MECHANISMS.items():
        own = [part for part, replaced in parts.items() if replaced in mechanism.__mro__]
        faulty[name] = type(mechanism.__name__, (*own, mechanism), {}) if own else mechanism
    return faulty


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
        tls: ServerTls | None = None,
        tls_port: int = 0,
        cleartext: Cleartext = Cleartext.PERMITTED,
        tokens: Mapping[str, str] | None = None,
        welcomes_strangers: bool = False,
        is_international: bool = False,
        login_delay: LoginDelay = NO_DELAY,
    ) -> None:
        chosen = find_faults(faults)
        self._maildrops_type = with_faults(Maildrops, chosen)
        self._store = store
        self._accounts = accounts
        self._tokens = {user.encode(): token.encode() for user, token in (tokens or {}).items()}
        self._welcomes_strangers = welcomes_strangers
        self._maildrops = self._new_maildrops()
        self._offer = Offer(
            tls is not None,
            cleartext,
            mechanisms_with_faults(chosen),
            is_international,
            login_delay,
        )
        self._session_type = with_faults(Session, chosen)
        self._front_type = with_faults(Front, chosen)
        self._tls = tls
        self._host = host
        self._ports = (port, tls_port)
        self._autologout = autologout
        self._failed_login_delay = failed_login_delay
        self._fronts: list[Front] = []
        self._addresses: list[tuple[str, int]] = []

    def _new_maildrops(self) -> Maildrops:
        stamp = f"{os.getpid()}.{time.time_ns()}"
        maildrops = self._maildrops_type(self._store, self._accounts, stamp)
        maildrops.tokens = self._tokens
        maildrops.welcomes_strangers = self._welcomes_strangers
        return maildrops

    def _new_session(self) -> Session:
        session = self._session_type(self._maildrops, self._failed_login_delay)
        session.offer = self._offer
        return session

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that the server listens on; known from `start` on."""
        if not self._addresses:
            raise RuntimeError("the reference server was not started")
        return self._addresses[0]

    @property
    def tls_address(self) -> tuple[str, int]:
        """Host and port where TLS comes first; only for a server with TLS."""
        if len(self._addresses) < 2:
            raise RuntimeError("the reference server has no TLS, or was not started")
        return self._addresses[1]

    def start(self) -> None:
        """Listen and serve, in threads."""
        self._addresses.clear()
        try:
            for port in self._ports if self._tls else self._ports[:1]:
                self._listen(port, is_implicit=bool(self._addresses))
        except OSError:
            self.close()
            raise

    def _listen(self, port: int, *, is_implicit: bool) -> None:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.create_server((self._host, port), family=family, backlog=_BACKLOG)
        bound = listener.getsockname()
        self._addresses.append((bound[0], bound[1]))
        front = self._front_type(listener, self._new_session, self._autologout)
        front.tls, front.is_implicit = self._tls, is_implicit
        self._fronts.append(front)
        front.start()

    def close(self) -> None:
        """Stop listening and end every session, without UPDATE."""
        while self._fronts:
            self._fronts.pop().stop()

    def restart(self) -> None:
        """Die like a process that is killed, and start again on the same ports.

        What the store holds stays, and nothing else.
        """
        ports = [port for _, port in self._addresses]
        self._ports = (ports[0], ports[-1])
        while self._fronts:
            self._fronts.pop().kill()
        self._maildrops = self._new_maildrops()
        self.start()

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
