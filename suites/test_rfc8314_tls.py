"""Implicit TLS, the state behind a negotiation, and versions of TLS (RFC 8314, RFC 8996)."""

from contextlib import suppress
from os import urandom

import pytest

from pop3spec.connection import ConnectionFailed, NoCommonVersion, TlsVersion
from pop3spec.fixtures import Entrance, blocked, not_applicable
from pop3spec.protocol.text import show
from pop3spec.protocol.tls_records import Version, chosen_version, is_record, old_hello
from pop3spec.refusals import SessionRefused
from pop3spec.session import Session
from pop3spec.target import Transport

LAYERS = [Transport.STLS, Transport.TLS]
# Seconds in which a server that speaks first has spoken.
SILENCE = 0.5
NO_TLS = [
    pytest.param(b"CAPA\r\n", id="a-command"),
    pytest.param(b"\x80\x2b\x01\x00\x02" + b"\0" * 40, id="an-sslv2-hello"),
    pytest.param(b"\x16\x03\x01\x00", id="a-torso"),
]

by_layer = pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.value)


# --- Implicit TLS ---


@pytest.mark.rules("rfc8314-3.1-implicit-tls")
def test_with_implicit_tls_the_negotiation_comes_first_and_then_the_greeting(
    entrance: Entrance,
) -> None:
    """A client that waits for a greeting in the clear waits in vain."""
    rule = "rfc8314-3.1-implicit-tls"
    session = entrance.connected(Transport.TLS)
    came = session.hear(SILENCE)
    entrance.hold(rule, f"'{show(came.partial, 120)}' in the clear" if came.partial else "")
    if not session.is_open:
        blocked("the port for TLS closes the connection")
    try:
        session.secure(entrance.unverified)
    except NoCommonVersion as error:
        blocked(error)  # rfc8314-4-tls-1-2 says so
    except ConnectionFailed as error:
        entrance.hold(rule, str(error))
    try:
        session.read_greeting()
    except SessionRefused as error:
        if session.greeting is not None and session.greeting.is_err:
            blocked(error)
        entrance.hold(rule, f"{error} inside TLS")


@pytest.mark.parametrize("octets", NO_TLS)
@pytest.mark.rules("rfc8314-3.1-implicit-tls")
def test_with_implicit_tls_nothing_is_answered_in_the_clear(
    entrance: Entrance, octets: bytes
) -> None:
    """An alert, a close and silence are all the same."""
    session = entrance.connected(Transport.TLS)
    session.send_raw(octets, "what is no beginning of TLS")
    session.end_sending()

    came = session.hear(entrance.run.target.timeouts.reply, to_the_end=True).partial
    is_clear = bool(came) and not is_record(came)
    words = f"'{show(came, 120)}' in the clear" if is_clear else ""
    entrance.hold("rfc8314-3.1-implicit-tls", words)


# --- The state behind the negotiation ---


@by_layer
@pytest.mark.rules("rfc8314-3.1-authorization-state")
def test_a_certificate_of_the_client_alone_logs_nobody_in(
    entrance: Entrance, layer: Transport
) -> None:
    """Without one rfc1939-3-wrong-state says the same."""
    if entrance.run.target.tls.client_cert is None:
        not_applicable("there is no certificate of the client; see --client-cert")
    session = entrance.greeted(layer)

    exchange = session.exchange("STAT")
    if exchange.reply is None:
        blocked("no reply to STAT")
    words = "'+OK' to STAT before any login" if exchange.is_ok else ""
    entrance.hold("rfc8314-3.1-authorization-state", words)


# --- Versions ---


@by_layer
@pytest.mark.rules("rfc8314-4-tls-1-2")
def test_a_client_with_one_of_the_recent_versions_gets_tls(
    entrance: Entrance, layer: Transport
) -> None:
    """One of the two has to do, when it is all that the client offers."""
    found = [failure_with(entrance, layer, version) for version in TlsVersion]
    problems = [error for error in found if error is not None]
    if len(problems) < len(found):
        entrance.hold("rfc8314-4-tls-1-2", "")
    elif all(isinstance(error, NoCommonVersion) for error in problems):
        entrance.hold("rfc8314-4-tls-1-2", str(problems[0]))
    else:  # no TLS at all, or a limit
        blocked(problems[0])


def failure_with(
    entrance: Entrance, layer: Transport, version: TlsVersion
) -> ConnectionFailed | None:
    """Why there is no TLS with this version alone, None where there is."""
    session = entrance.before_tls(layer, version.value)
    try:
        session.secure(entrance.unverified, version)
    except ConnectionFailed as error:
        entrance.observe("tls-parameters", f"{layer.value}: {version.value}: refused")
        return error
    found = f"{session.tls_version}: {session.cipher_suite}"
    entrance.observe("tls-parameters", f"{layer.value}: {found}")
    if layer is Transport.TLS:
        with suppress(SessionRefused):
            session.read_greeting()
    session.close()
    return None


OLD = [
    pytest.param(Version.TLS_1_0, "TLS 1.0", id="tls-1-0"),
    pytest.param(Version.TLS_1_1, "TLS 1.1", id="tls-1-1"),
]


@by_layer
@pytest.mark.parametrize(("version", "name"), OLD)
@pytest.mark.rules("rfc8996-4-old-versions")
def test_a_client_that_offers_an_old_version_alone_is_refused(
    entrance: Entrance, layer: Transport, version: Version, name: str
) -> None:
    """The ClientHello is made by hand: no library has to agree that it goes out."""
    session = entrance.before_tls(layer)
    hello = old_hello(version, session.server_name, urandom(32))
    session.send_raw(hello, f"a ClientHello with nothing later than {name}")

    came = answer_to_hello(session, entrance)
    chosen = chosen_version(came)
    words = "" if chosen is None else f"a ServerHello with the version {chosen:#06x}"
    entrance.hold("rfc8996-4-old-versions", words)


def answer_to_hello(session: Session, entrance: Entrance) -> bytes:
    """What came to a ClientHello; blocked where there is neither a record nor a close."""
    came = session.hear(entrance.run.target.timeouts.reply)
    if session.is_open and not came.partial:
        blocked("neither a record of TLS nor a close")
    return came.partial
