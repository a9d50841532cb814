"""Faults of TLS itself: its own port, its versions, its end (RFC 8314, RFC 8996)."""

import re
import socket
import ssl
import warnings
from functools import cached_property

from pop3spec.protocol.replies import CRLF
from pop3spec.reference.faults.fault import FaultTable
from pop3spec.reference.faults.stls import ClearAgain
from pop3spec.reference.front import Front
from pop3spec.reference.sasl.mechanism import Security
from pop3spec.reference.session import Session
from pop3spec.reference.tls import ServerTls, server_tls
from pop3spec.reference.wire import Wire

TABLE = FaultTable()
fault = TABLE.fault

# The extension supported_versions of a ClientHello, up to its list (RFC 8446, section 4.2.1).
_VERSIONS = re.compile(rb"\0\x2b\0[\x03-\x20]([\x02-\x1f])", re.DOTALL)
_TLS_1_3 = b"\x03\x04"
_BAD_VERSION = bytes.fromhex("15030300020246")  # a fatal alert, protocol_version
_HELLO = 1 << 14


# The port for TLS.


@fault(
    "no-tls-on-the-port-for-tls",
    breaks=["rfc8314-3.1-implicit-tls"],
    copies="the listener of port 110 is bound to port 995 as well",
)
class _NoTlsOnThePortForTls(Front):
    def secure(self, wire: Wire, session: Session) -> None:
        if session.starts_tls:
            super().secure(wire, session)


class _SaysItInTheClear(ClearAgain):
    def secure(self, tls: ServerTls) -> Security:
        try:
            return super().secure(tls)
        except ssl.SSLError:
            self.revert()
            self.send(b"-ERR this port is for TLS" + CRLF)
            raise


@fault(
    "bad-hello-is-answered-in-the-clear",
    breaks=["rfc8314-3.1-implicit-tls"],
    copies="a handshake that fails is reported like any other error, in the clear (smtp4dev)",
    edge=True,
)
class _BadHelloIsAnsweredInTheClear(Front):
    def new_wire(self, connection: socket.socket) -> Wire:
        if self.is_implicit:
            return _SaysItInTheClear(connection, self.autologout)
        return super().new_wire(connection)


@fault(
    "certificate-logs-in",
    breaks=[
        *("rfc8314-3.1-authorization-state", "rfc1939-3-wrong-state", "rfc1939-4-login-refused"),
        *("rfc5034-4-login", "rfc5034-4-client-first", "rfc1939-7-user-pass"),
    ],
    copies="a client that TLS has identified is taken to its maildrop at once",
)
class _CertificateLogsIn(Session):
    def secured(self, security: Security) -> None:
        super().secured(security)
        if security.certified is not None:
            self.enter("", [])  # without a lock, so that all sessions with it are alike


@fault(
    "certificate-logs-in-on-the-port-for-tls",
    breaks=[
        *("rfc8314-3.1-authorization-state", "rfc1939-3-wrong-state", "rfc1939-4-login-refused"),
    ],
    copies="the port for TLS takes the client's certificate for a login, and STLS does not",
    edge=True,
)
class _CertificateLogsInOnThePortForTls(Session):
    def secured(self, security: Security) -> None:
        is_implicit = not self.starts_tls
        super().secured(security)
        name = security.certified
        if is_implicit and name is not None and self.maildrops.is_account(name):
            self.log_in(self.maildrops.user(name))


@fault(
    "closes-without-an-alert",
    breaks=["rfc8314-3.4-close-alert"],
    copies="the socket is closed below the TLS library",
)
class _ClosesWithoutAnAlert(Front):
    def hang_up(self, wire: Wire) -> None:
        wire.hang_up()


# Versions.


def in_versions(tls: ServerTls, least: str, most: str) -> ServerTls:
    """The same side of TLS with other versions, whose names ssl has, and weak suites."""
    other = server_tls(tls.certificate, tls.trusted)
    other.context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # The least first: it may never be above the most.
        other.context.minimum_version = ssl.TLSVersion[least]
        other.context.maximum_version = ssl.TLSVersion[most]
    return other


@fault(
    "port-for-tls-of-old-versions",
    breaks=["rfc8314-4-tls-1-2", "rfc8996-4-old-versions"],
    copies="the port for TLS was set up when TLS 1.1 was new, and has its library",
)
class _PortForTlsOfOldVersions(Front):
    @cached_property
    def old(self) -> ServerTls:
        return in_versions(super().side(), "TLSv1", "TLSv1_1")

    def side(self) -> ServerTls:
        return self.old if self.is_implicit else super().side()


class _NotWithTls13(Wire):
    def secure(self, tls: ServerTls) -> Security:
        if offers_tls_1_3(self._socket.recv(_HELLO, socket.MSG_PEEK)):
            self.send(_BAD_VERSION)
            raise ssl.SSLError("an unknown version is on offer")
        return super().secure(tls)


def offers_tls_1_3(hello: bytes) -> bool:
    """Whether a ClientHello lists TLS 1.3 among its versions."""
    found = _VERSIONS.search(hello)
    return found is not None and _TLS_1_3 in hello[found.end() : found.end() + found[1][0]]


@fault(
    "port-for-tls-bears-no-newer-version",
    breaks=["rfc8314-4-tls-1-2"],
    copies="a ClientHello with a version that is not known fails, in place of a lower one",
    edge=True,
)
class _PortForTlsBearsNoNewerVersion(Front):
    def new_wire(self, connection: socket.socket) -> Wire:
        if self.is_implicit:
            return _NotWithTls13(connection, self.autologout)
        return super().new_wire(connection)


@fault(
    "old-versions-left-in",
    breaks=["rfc8996-4-old-versions"],
    copies="all versions that the library has are on, for the sake of old clients",
)
class _OldVersionsLeftIn(Front):
    @cached_property
    def old(self) -> ServerTls:
        return in_versions(super().side(), "TLSv1", "TLSv1_3")

    def side(self) -> ServerTls:
        return self.old


@fault(
    "tls-1-1-left-in-behind-stls",
    breaks=["rfc8996-4-old-versions"],
    copies="TLS 1.0 was switched off, and TLS 1.1 forgotten where STLS is configured",
    edge=True,
)
class _Tls11LeftInBehindStls(Front):
    @cached_property
    def old(self) -> ServerTls:
        return in_versions(super().side(), "TLSv1_1", "TLSv1_3")

    def side(self) -> ServerTls:
        return super().side() if self.is_implicit else self.old
