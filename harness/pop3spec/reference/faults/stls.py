"""Faults of STLS and of the negotiation behind it (RFC 2595, section 4)."""

import select
import socket
import ssl
import threading
from collections.abc import Sequence

from pop3spec.protocol.commands import State
from pop3spec.protocol.replies import CRLF
from pop3spec.reference.faults.fault import FaultTable
from pop3spec.reference.front import Front
from pop3spec.reference.sasl.mechanism import Security
from pop3spec.reference.session import Session
from pop3spec.reference.tls import ServerTls
from pop3spec.reference.wire import Wire

TABLE = FaultTable()
fault = TABLE.fault

# Seconds after which a client with patience has given up, or is slow.
# How long is waited for a client: for ever, a moment, and longer than one on a busy machine needs.
_LONG, _SLOW, _LATE = 60.0, 0.2, 0.6


class ClearAgain(Wire):
    """A wire that can take up again what it spoke before TLS."""

    def revert(self) -> None:
        """Leave TLS, without what the client has sent for it; OSError where nothing is left."""
        if self._socket.fileno() < 0:
            raise ConnectionAbortedError
        self._socket = socket.socket(fileno=self._socket.detach())
        self._socket.settimeout(self._patience)
        self.drain()


class KnowsItsPort(Session):
    """A session that knows whether STLS has led it into TLS, and not the port."""

    is_by_stls = False

    def secured(self, security: Security) -> None:
        """Note it before it is forgotten."""
        self.is_by_stls = self.starts_tls
        super().secured(security)


class _NegotiatesInTls(Front):
    """A front that may have to negotiate inside TLS, where nothing in the clear is left."""

    def drain(self, wire: Wire) -> None:
        """Nothing to throw away."""


# Where STLS is announced, and taken.


@fault(
    "capa-missing",
    breaks=["rfc2595-4-capa"],
    copies="TLS is put before a server of 1996, which has never heard of CAPA",
)
class _CapaMissing(Session):
    def capa_command(self) -> bytes:
        return self.unknown(b"CAPA")


@fault(
    "capa-missing-inside-tls",
    breaks=["rfc2595-4-capa"],
    copies="the table of commands for sessions inside TLS is another one, and has no CAPA",
    edge=True,
)
class _CapaMissingInsideTls(Session):
    def capa_command(self) -> bytes:
        return super().capa_command() if self.security is None else self.unknown(b"CAPA")


@fault(
    "stls-announced-everywhere",
    breaks=["rfc2595-4-stls-announced"],
    copies="the list of capabilities is made once, at start-up",
)
class _StlsAnnouncedEverywhere(Session):
    def announces_stls(self) -> bool:
        return self.offer.has_tls


@fault(
    "stls-announced-on-the-port-for-tls",
    breaks=["rfc2595-4-stls-announced"],
    copies="the capability goes away with the flag that STLS sets, which implicit TLS does not",
    edge=True,
)
class _StlsAnnouncedOnThePortForTls(KnowsItsPort):
    def announces_stls(self) -> bool:
        is_open = self.offer.has_tls and self.state is State.AUTHORIZATION
        return is_open and not self.is_by_stls


@fault(
    "stls-announced-after-login",
    breaks=["rfc2595-4-stls-announced"],
    copies="the list of capabilities depends on the security layer alone",
    edge=True,
)
class _StlsAnnouncedAfterLogin(Session):
    def announces_stls(self) -> bool:
        return self.offer.has_tls and self.security is None


@fault(
    "stls-leads-nowhere",
    breaks=["rfc2595-4-stls"],
    copies="STLS without a usable certificate says '+OK' and drops the connection (Inbucket)",
)
class _StlsLeadsNowhere(Front):
    def secure(self, wire: Wire, session: Session) -> None:
        if session.starts_tls:
            raise ConnectionAbortedError
        super().secure(wire, session)


@fault(
    "stls-refused-behind-a-refused-login",
    breaks=["rfc2595-4-stls"],
    copies="STLS belongs to a state before the first login, which a refused one has left",
    edge=True,
)
class _StlsRefusedBehindARefusedLogin(Session):
    def stls_command(self) -> bytes:
        if self.refused_logins:
            return self.negative(b"too late for TLS")
        return super().stls_command()


@fault(
    "stls-after-login",
    breaks=["rfc2595-4-stls-in-transaction"],
    copies="the handler of STLS does not look at the state (Stalwart)",
)
class _StlsAfterLogin(Session):
    def is_in_state(self, keyword: str) -> bool:
        return keyword == "STLS" or super().is_in_state(keyword)


@fault(
    "stls-after-rset",
    breaks=["rfc2595-4-stls-in-transaction"],
    copies="RSET clears all flags of the session, and one of them kept STLS away",
    edge=True,
)
class _StlsAfterRset(Session):
    was_reset = False

    def rset_command(self) -> bytes:
        self.was_reset = True
        return super().rset_command()

    def is_in_state(self, keyword: str) -> bool:
        return (self.was_reset and keyword == "STLS") or super().is_in_state(keyword)


@fault(
    "stls-inside-tls",
    breaks=["rfc2595-4-stls-in-tls"],
    copies="the handler of STLS asks for nothing but a certificate",
    parts=(_NegotiatesInTls,),
)
class _StlsInsideTls(Session):
    def stls_command(self) -> bytes:
        if self.security is None:
            return super().stls_command()
        self.starts_tls = True
        return self.positive(b"begin TLS negotiation")


@fault(
    "stls-on-the-port-for-tls",
    breaks=["rfc2595-4-stls-in-tls"],
    copies="STLS is refused by the flag that it sets itself, which implicit TLS does not",
    edge=True,
    parts=(_NegotiatesInTls,),
)
class _StlsOnThePortForTls(KnowsItsPort):
    def stls_command(self) -> bytes:
        if self.security is None or self.is_by_stls:
            return super().stls_command()
        self.starts_tls = True
        return self.positive(b"begin TLS negotiation")


@fault(
    "argument-of-stls-ignored",
    breaks=["rfc2595-4-no-argument"],
    copies="only the first word of the line is compared",
)
class _ArgumentOfStlsIgnored(Session):
    def is_well_formed(self, keyword: str, arguments: Sequence[bytes]) -> bool:
        return keyword == "STLS" or super().is_well_formed(keyword, arguments)

    def perform(self, keyword: str, arguments: Sequence[bytes]) -> bytes:
        return super().perform(keyword, () if keyword == "STLS" else arguments)


# The negotiation.


class _GoesOnInTheClear(ClearAgain):
    def secure(self, tls: ServerTls) -> Security:
        try:
            return super().secure(tls)
        except ssl.SSLError:
            self.revert()
            return Security()


@fault(
    "failed-negotiation-counts-as-tls",
    breaks=["rfc2595-2.5-failed-negotiation"],
    copies="the session is marked as protected before the handshake, and stays so (Inbucket)",
)
class _FailedNegotiationCountsAsTls(Front):
    def new_wire(self, connection: socket.socket) -> Wire:
        if self.is_implicit:
            return super().new_wire(connection)
        return _GoesOnInTheClear(connection, self.autologout)


@fault(
    "alert-of-the-client-is-waited-out",
    breaks=["rfc2595-2.5-failed-negotiation"],
    copies="of all errors of a handshake only bad records are caught, and alerts go unseen",
    edge=True,
)
class _AlertOfTheClientIsWaitedOut(Front):
    def secure(self, wire: Wire, session: Session) -> None:
        try:
            super().secure(wire, session)
        except ssl.SSLError as error:
            if "ALERT" in (error.reason or ""):
                self.stopping.wait(_LONG)
            raise


@fault(
    "hint-behind-stls",
    breaks=["rfc2595-4-nothing-in-clear"],
    copies="the reply to STLS ends with a second line that explains the certificate",
)
class _HintBehindStls(Session):
    def stls_command(self) -> bytes:
        reply = super().stls_command()
        return reply + b"the certificate is our own" + CRLF if self.starts_tls else reply


class _Impatient(Wire):
    def secure(self, tls: ServerTls) -> Security:
        if not select.select([self._socket], [], [], _LATE)[0]:
            self.send(b"-ERR still waiting for TLS" + CRLF)
        return super().secure(tls)


@fault(
    "slow-client-is-reminded-of-tls",
    breaks=["rfc2595-4-nothing-in-clear"],
    copies="the timer of the session writes its notice while the server waits for a ClientHello",
    edge=True,
)
class _SlowClientIsRemindedOfTls(Front):
    def new_wire(self, connection: socket.socket) -> Wire:
        if self.is_implicit:
            return super().new_wire(connection)
        return _Impatient(connection, self.autologout)


# What was sent in the clear behind STLS.


@fault(
    "commands-survive-stls",
    breaks=["robust-no-command-injection"],
    copies="the buffer of what was read is kept over the change to TLS (CVE-2021-38542 and others)",
)
class _CommandsSurviveStls(Session):
    def forget_cleartext(self) -> None:
        self.naming = None


@fault(
    "half-a-line-survives-stls",
    breaks=["robust-no-command-injection"],
    copies="the queue of commands is emptied for TLS, and not the buffer of the unfinished line",
    edge=True,
)
class _HalfALineSurvivesStls(Session):
    def forget_cleartext(self) -> None:
        rest = self._rest
        super().forget_cleartext()
        self._rest = rest


@fault(
    "commands-survive-stls-in-lower-case",
    breaks=["robust-no-command-injection"],
    copies="what came in the clear is dropped by a test for 'STLS' that minds the case (James)",
    edge=True,
)
class _CommandsSurviveStlsInLowerCase(Session):
    spelled = b""

    def keyword(self, word: bytes) -> str:
        self.spelled = word
        return super().keyword(word)

    def forget_cleartext(self) -> None:
        if self.spelled == b"STLS":
            super().forget_cleartext()


@fault(
    "commands-survive-stls-with-blanks",
    breaks=["robust-no-command-injection"],
    copies="blanks around a command are forgiven by a second parser, which starts TLS on its own",
    edge=True,
)
class _CommandsSurviveStlsWithBlanks(Session):
    has_blanks = False

    def answer(self, line: bytes) -> bytes:
        word = line.strip(b" ")
        self.has_blanks = word != line and self.keyword(word) == "STLS"
        return super().answer(word if self.has_blanks else line)

    def keyword(self, word: bytes) -> str:
        return word.decode("latin-1").upper()

    def forget_cleartext(self) -> None:
        if not self.has_blanks:
            super().forget_cleartext()


class _OneAtATime(Front):
    """A front with one handshake at a time, during which it accepts nobody."""

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]  # whatever Front takes
        self.turn = threading.Lock()

    def accept(self, connection: socket.socket) -> None:
        """Wait for the end of the handshake before that."""
        while not self.turn.acquire(timeout=_SLOW):
            if self.stopping.is_set():
                connection.close()
                return
        self.turn.release()
        super().accept(connection)


@fault(
    "negotiations-in-the-accepting-thread",
    breaks=["robust-unfinished-negotiations"],
    copies="the handshake is part of accepting a connection, and waits for the client",
)
class _NegotiationsInTheAcceptingThread(_OneAtATime):
    def secure(self, wire: Wire, session: Session) -> None:
        with self.turn:
            super().secure(wire, session)


@fault(
    "first-command-inside-tls-lost",
    breaks=["rfc1939-3-reply-per-command"],
    copies="what arrives with the end of the handshake is thrown away (Dovecot, for IMAP)",
    edge=True,
)
class _FirstCommandInsideTlsLost(Session):
    is_fresh = False

    def secured(self, security: Security) -> None:
        self.is_fresh = self.starts_tls
        super().secured(security)

    def take(self, line: bytes) -> bytes:
        if self.is_fresh:
            self.is_fresh = False
            return b""
        return super().take(line)


@fault(
    "greeting-again-inside-tls",
    breaks=["rfc1939-3-nothing-unasked"],
    copies="a session inside TLS begins like any other, with a greeting",
    edge=True,
)
class _GreetingAgainInsideTls(Front):
    def secure(self, wire: Wire, session: Session) -> None:
        is_by_stls = session.starts_tls
        super().secure(wire, session)
        if is_by_stls:
            self.send(wire, session.greeting())
