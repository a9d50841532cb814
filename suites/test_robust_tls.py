"""What a server has to withstand about TLS: octets behind STLS, and clients that do not go on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import pytest

from pop3spec.connection import Arrival, ConnectionFailed, NoCommonVersion, client_hello
from pop3spec.expectations import got_instead
from pop3spec.fixtures import Entrance, Maildrop, blocked, not_applicable
from pop3spec.opening import connected, open_session
from pop3spec.protocol.text import show
from pop3spec.refusals import SessionRefused
from pop3spec.session import Session
from pop3spec.target import Tls, Transport
from pop3spec.transcript import Exchange

INJECTION = "robust-no-command-injection"
UNFINISHED = "robust-unfinished-negotiations"
SERVED = "robust-serves-next-client"

# Seconds in which what waits in a buffer of the server is carried out.
SILENCE = 0.3
BEHIND = 0.1
# Within which STLS is answered.
REPLY = 6.0
# Between two writes of one client, and what a slower one takes.
AT_ONCE, SOON, LATER = 0.0, 0.001, 0.05
CLIENTS = 30
# Without an initial response these are answered by a challenge.
CHALLENGING = frozenset({"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"})


# --- Octets behind STLS ---


@dataclass(frozen=True)
class Bait:
    """What follows a spelling of STLS in the clear, and how long after it."""

    title: str
    octets: bytes = b"CAPA\r\n"
    stls: bytes = b"STLS\r\n"
    after: float = AT_ONCE


BAITS = [
    Bait("CAPA"),
    Bait("NOOP", b"NOOP\r\n"),
    Bait("a random word", b"QXZJ\r\n"),
    Bait("USER", b"USER nobody-qx7zj4\r\n"),
    Bait("AUTH", b"AUTH PLAIN\r\n"),
    Bait("QUIT", b"QUIT\r\n"),
    Bait("half a line", b"NOOP nobody-qx7z"),
    Bait("CAPA and half a line", b"CAPA\r\nNO"),
    Bait("many lines", b"NOOP\r\n" * 200),
    Bait("small letters", stls=b"stls\r\n"),
    Bait("mixed letters", stls=b"StLs\r\n"),
    Bait("a blank behind it", stls=b"STLS \r\n"),
    Bait("a blank before it", stls=b" STLS\r\n"),
    Bait("LF alone", stls=b"STLS\n"),
    Bait("LF alone with LF behind it", octets=b"CAPA\n", stls=b"STLS\n"),
    Bait("two writes", after=SOON),
    Bait("a late write", after=LATER),
]


@pytest.mark.parametrize("bait", BAITS, ids=lambda bait: bait.title.replace(" ", "-"))
@pytest.mark.rules(INJECTION)
def test_what_follows_stls_in_the_clear_is_not_carried_out_inside_tls(
    entrance: Entrance, bait: Bait
) -> None:
    """It may be dropped, answered in the clear, or end the connection."""
    session = entrance.greeted(Transport.PLAIN)
    if not entrance.announces("STLS", Transport.PLAIN):
        not_applicable("STLS is not offered")
    before = session.exchange("CAPA")
    ended = baited(session, bait, entrance.unverified)
    if ended:
        entrance.observe("pipelined-behind-stls", f"{bait.title}: {ended}")
        return
    came = session.hear(SILENCE).partial
    if came:
        # What a server says there to everybody, as a second greeting, no bait brought about.
        came = came.replace(said_without_bait(entrance), b"", 1)
    words = f"'{show(came, 120)}' inside TLS, which nobody asked for"
    entrance.hold(INJECTION, words if came else "")
    # Without bait CAPA may be no better: that is a matter of CAPA alone.
    if session.is_open and entrance.run.observed.listed(Transport.STLS) is not None:
        entrance.hold(INJECTION, upset(before, session.exchange("CAPA"), session))


def said_without_bait(entrance: Entrance) -> bytes:
    """What comes inside TLS that nobody asked for, to a client that sent STLS alone."""
    session = entrance.greeted(Transport.PLAIN)
    if baited(session, Bait("nothing", b""), entrance.unverified):
        return b""
    return session.hear(SILENCE).partial


def baited(session: Session, bait: Bait, tls: Tls | None = None) -> str:
    """Send STLS with its bait and begin TLS; how that ended instead, in words."""
    answered = send_with_bait(session, bait)
    if not answered.partial.startswith(b"+OK"):
        return "STLS is refused" if answered.partial else "closed"
    in_clear = answered.partial.partition(b"\n")[2]
    if not session.is_open:
        return "closed"
    try:
        session.secure(tls)
    except ConnectionFailed:
        return "answered in the clear, and no TLS" if in_clear else "no TLS"
    return ""


def send_with_bait(session: Session, bait: Bait) -> Arrival:
    """What comes to STLS and its bait in the clear."""
    if bait.after == AT_ONCE:
        session.send_raw(bait.stls + bait.octets, show(bait.stls + bait.octets, 60))
    else:
        session.send_raw(bait.stls, show(bait.stls))
        session.pause(bait.after)
        session.send_raw(bait.octets, show(bait.octets, 60))
    return session.hear(REPLY)


def upset(before: Exchange, after: Exchange, session: Session) -> str:
    """How the first command inside TLS was disturbed, '' where it was not."""
    if after.reply is None:
        # A server may end the session for what came behind STLS.
        return "" if after.is_closed else got_instead(after)
    if before.is_ok and not after.is_ok:
        return f"{got_instead(after)} to the first command inside TLS"
    more = session.hear(BEHIND).partial
    return f"'{show(more, 120)}' behind the first reply inside TLS" if more else ""


@pytest.mark.parametrize("letters", [b"STLS\r\n", b"stls\r\n"], ids=["STLS", "stls"])
@pytest.mark.rules(INJECTION)
def test_a_name_that_followed_stls_in_the_clear_is_not_known_inside_tls(
    maildrop: Maildrop, letters: bytes
) -> None:
    """The password alone, inside TLS, must not log in."""
    if "STLS" not in maildrop.run.observed.features_on(Transport.PLAIN):
        not_applicable("STLS is not offered")
    if problem := maildrop.run.observed.problem_of(Transport.STLS):
        blocked(problem)
    account = maildrop.mailbox.account
    session = maildrop.patiently(partial(maildrop.greeted, "baited", transport=Transport.PLAIN))
    name = f"USER {account.user}\r\n".encode()
    if baited(session, Bait("USER", name, letters)):
        return
    session.hear(SILENCE)
    if not session.is_open:
        return
    exchange = session.exchange(f"PASS {account.password}")
    words = "'+OK' to PASS, whose USER came in the clear behind STLS" if exchange.is_ok else ""
    maildrop.hold(INJECTION, words)


# --- Clients that do not go on ---


def silent(session: Session, entrance: Entrance) -> None:
    """Nothing at all where a ClientHello is due."""
    del session, entrance


def half_a_hello(session: Session, entrance: Entrance) -> None:
    """The beginning of a ClientHello."""
    hello = client_hello(entrance.unverified, session.server_name)
    session.send_raw(hello[:5], "five octets of a ClientHello")


def vanished(session: Session, entrance: Entrance) -> None:
    """The beginning of a ClientHello, and then the connection breaks."""
    half_a_hello(session, entrance)
    session.reset()


def first_flight(session: Session, entrance: Entrance) -> None:
    """A ClientHello, and nothing to what the server says then."""
    session.send_raw(client_hello(entrance.unverified, session.server_name), "a ClientHello")


@dataclass(frozen=True)
class Idler:
    """A client that begins a TLS negotiation and does not go on."""

    title: str
    layer: Transport
    stop: Callable[[Session, Entrance], None]


IDLERS = [
    Idler("implicit TLS silent", Transport.TLS, silent),
    Idler("implicit TLS half a hello", Transport.TLS, half_a_hello),
    Idler("implicit TLS first flight", Transport.TLS, first_flight),
    Idler("implicit TLS vanished", Transport.TLS, vanished),
    Idler("STLS silent", Transport.STLS, silent),
    Idler("STLS half a hello", Transport.STLS, half_a_hello),
    Idler("STLS vanished", Transport.STLS, vanished),
]


@pytest.mark.parametrize("idler", IDLERS, ids=lambda idler: idler.title.replace(" ", "-"))
@pytest.mark.rules(UNFINISHED)
def test_clients_that_do_not_finish_a_negotiation_keep_nobody_out(
    entrance: Entrance, idler: Idler
) -> None:
    """As many clients that are idle in the clear show what the server's limit is."""
    need_stress(entrance)
    entrance.need(idler.layer)

    with many(entrance, partial(begun, entrance, idler)):
        problem = turned_away(entrance, idler.layer)
    if problem:
        with many(entrance, partial(idle, entrance, idler.layer)):
            if turned_away(entrance, idler.layer):
                blocked("as many clients that are merely idle keep others out as well")
    entrance.hold(UNFINISHED, problem)


@pytest.mark.rules(UNFINISHED)
def test_clients_that_do_not_finish_a_sasl_exchange_keep_nobody_out(entrance: Entrance) -> None:
    """AUTH is begun and its first challenge not answered."""
    need_stress(entrance)
    layer, mechanism = first_mechanism(entrance)

    def challenged() -> Session:
        session = open_on(entrance, layer)
        session.exchange(f"AUTH {mechanism}")
        return session

    with many(entrance, challenged):
        problem = turned_away(entrance, layer)
    if problem:
        with many(entrance, partial(open_on, entrance, layer)):
            if turned_away(entrance, layer):
                blocked("as many clients that are merely idle keep others out as well")
    entrance.hold(UNFINISHED, problem)


def need_stress(entrance: Entrance) -> None:
    """Many connections at once are permitted."""
    if not entrance.run.target.allow_stress:
        blocked("it holds many connections open; permit that with --allow-stress")


def first_mechanism(entrance: Entrance) -> tuple[Transport, str]:
    """A mechanism that begins with a challenge, and where it is announced."""
    observed = entrance.run.observed
    layers = [layer for layer in (observed.transport, *Transport) if not observed.problem_of(layer)]
    found = [
        (layer, name)
        for layer in layers
        for name in observed.mechanisms_on(layer) or ()
        if name.upper() in CHALLENGING
    ]
    if not found:
        not_applicable("no SASL mechanism is announced that begins with a challenge")
    return found[0]


@contextmanager
def many(entrance: Entrance, open_one: Callable[[], Session]) -> Iterator[None]:
    """As many such clients as the target bears, so long as the block lasts."""
    limit = entrance.run.target.limits.connections
    opened: list[Session] = []
    try:
        # Some are refused by a server that has such a limit for each address.
        with suppress(SessionRefused):
            for _ in range(CLIENTS if limit is None else min(CLIENTS, limit - 1)):
                opened.append(open_one())
        yield
    finally:
        # Half a negotiation is nothing that could be judged.
        for session in opened:
            session.reset(at_once=True)


def begun(entrance: Entrance, idler: Idler) -> Session:
    """A client that began a negotiation and stopped."""
    session = idle(entrance, idler.layer)
    if idler.layer is Transport.STLS and not session.exchange("STLS").is_ok:
        raise SessionRefused("STLS is refused", is_limit=True)
    idler.stop(session, entrance)
    return session


def idle(entrance: Entrance, layer: Transport) -> Session:
    """A client that is connected, and greeted where that comes first."""
    if layer is Transport.TLS:
        return connected(entrance.run.target, entrance.recorder, layer, name="idle")
    return open_on(entrance, Transport.PLAIN)


def open_on(entrance: Entrance, layer: Transport) -> Session:
    """A client in the AUTHORIZATION state."""
    return open_session(entrance.run.target, entrance.recorder, layer, name="idle")


def turned_away(entrance: Entrance, layer: Transport) -> str:
    """How the next client fared, in words; it comes from another address where it can."""
    run = entrance.run
    try:
        session = open_session(
            run.target, entrance.recorder, layer, name="next", source=run.judge.source()
        )
    except SessionRefused as error:
        if isinstance(error.__cause__, NoCommonVersion):
            blocked(error)  # rfc8314-4-tls-1-2 says so
        if error.is_full and run.liveness.is_single:
            blocked("the server gives one connection at a time")
        return f"{error}, for the next client"
    exchange = session.exchange("CAPA")
    session.close()
    return f"{got_instead(exchange)} for the next client" if exchange.reply is None else ""


# --- TLS where none is due ---


@pytest.mark.rules(SERVED)
def test_behind_a_client_hello_on_the_port_without_tls_the_next_client_is_served(
    entrance: Entrance,
) -> None:
    """The one that sent it may be refused or cut off."""
    session = entrance.greeted(Transport.PLAIN)
    session.send_raw(client_hello(entrance.unverified, session.server_name), "a ClientHello")
    session.hear(SILENCE)
    session.reset()

    entrance.hold(SERVED, turned_away(entrance, Transport.PLAIN))


@pytest.mark.rules(SERVED)
def test_behind_commands_in_the_clear_on_the_port_for_tls_the_next_client_is_served(
    entrance: Entrance,
) -> None:
    """The one that sent them may get an alert, or be cut off."""
    entrance.need(Transport.TLS)
    session = entrance.connected(Transport.TLS)
    session.send_raw(b"CAPA\r\nUSER nobody-qx7zj4\r\n", "commands in the clear")
    session.hear(SILENCE)
    session.reset()

    entrance.hold(SERVED, turned_away(entrance, Transport.TLS))
