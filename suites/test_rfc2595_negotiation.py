"""The TLS negotiation behind STLS: that it begins, in silence, and how it fails (RFC 2595)."""

from collections.abc import Callable
from dataclasses import dataclass
from os import urandom

import pytest

from pop3spec.connection import ConnectionFailed, NoCommonVersion, client_hello
from pop3spec.fixtures import Entrance, blocked, not_applicable
from pop3spec.protocol.text import show
from pop3spec.protocol.tls_records import FATAL_ALERT, hopeless_hello, is_record
from pop3spec.rulebook.history import says_later
from pop3spec.session import Session
from pop3spec.target import Transport

CONNECTIONS = 3
# Seconds in which a server that has something to say says it.
SILENCE, PAUSE = 1.0, 0.3


# --- That it begins ---


@pytest.mark.rules("rfc2595-4-stls", "rfc2595-4-capa")
def test_behind_a_positive_reply_to_stls_tls_begins_announced_or_not(entrance: Entrance) -> None:
    """Several times, for what is used up may be there once."""
    announced = entrance.announces("STLS", Transport.PLAIN)
    for place in range(CONNECTIONS):
        session = entrance.greeted(Transport.PLAIN, f"connection-{place + 1}")
        session.exchange("CAPA")  # which a server with STLS has, here and inside TLS
        exchange = session.exchange("STLS")
        if exchange.is_err and says_later(exchange):
            continue
        if not announced:
            entrance.observe("stls-unannounced", "+OK" if exchange.is_ok else "refused")
        if exchange.is_ok:
            entrance.hold("rfc2595-4-stls", no_tls(entrance, session))
            session.exchange("CAPA")
        elif announced:
            entrance.hold("rfc2595-4-stls", "a refusal of STLS, which is announced")
        else:
            not_applicable("STLS is not offered")


def no_tls(entrance: Entrance, session: Session) -> str:
    """Why there is no TLS behind the positive reply to STLS, '' where there is."""
    session.look()
    if not session.is_open:
        return "a close behind the +OK to STLS"
    try:
        session.secure(entrance.unverified)
    except NoCommonVersion as error:
        blocked(error)  # rfc8314-4-tls-1-2 says so
    except ConnectionFailed as error:
        return f"a positive reply to STLS, and then {error}"
    return ""


# --- That it begins in silence ---


@pytest.mark.rules("rfc2595-4-nothing-in-clear")
def test_behind_a_positive_reply_to_stls_the_server_waits_in_silence(entrance: Entrance) -> None:
    """What comes then is found by the rule itself; a client may be slow to begin."""
    session = entrance.before_tls(Transport.STLS)

    session.silence(SILENCE)


@pytest.mark.rules("rfc2595-4-nothing-in-clear")
def test_between_two_segments_of_a_client_hello_nothing_comes_in_the_clear(
    entrance: Entrance,
) -> None:
    """What waits for the whole of it has time to say something."""
    session = entrance.before_tls(Transport.STLS)
    hello = client_hello(entrance.unverified, session.server_name)
    middle = len(hello) // 2

    session.send_raw(hello[:middle], "the first half of a ClientHello")
    came = session.hear(PAUSE).partial
    if session.is_open:
        session.send_raw(hello[middle:], "the second half")
        came += session.hear(entrance.run.target.timeouts.reply).partial

    entrance.hold("rfc2595-4-nothing-in-clear", in_the_clear(came))


def in_the_clear(came: bytes) -> str:
    """What came instead of a record of TLS, in words."""
    return f"'{show(came, 120)}' in the clear" if came and not is_record(came) else ""


# --- How it fails ---


def spoken_in_clear(session: Session, entrance: Entrance) -> None:
    """A client that does not know what it asked for."""
    del entrance
    session.send_raw(b"GET / HTTP/1.0\r\n\r\n", "an HTTP request in the clear")


def nothing_in_common(session: Session, entrance: Entrance) -> None:
    """A client from another world."""
    del entrance
    session.send_raw(hopeless_hello(urandom(32)), "a ClientHello with nothing in common")


def alert(session: Session, entrance: Entrance) -> None:
    """A client that changes its mind."""
    session.send_raw(client_hello(entrance.unverified, session.server_name), "a ClientHello")
    session.hear(entrance.run.target.timeouts.reply)
    if session.is_open:
        session.send_raw(FATAL_ALERT, "a fatal alert")


def half_a_hello(session: Session, entrance: Entrance) -> None:
    """A client that goes away in the middle, and goes on to read."""
    hello = client_hello(entrance.unverified, session.server_name)
    session.send_raw(hello[: len(hello) // 2], "half a ClientHello, and the end of the stream")
    session.end_sending()


@dataclass(frozen=True)
class Failure:
    """A negotiation that fails, and whether the client can go on in the clear behind it."""

    title: str
    happen: Callable[[Session, Entrance], None]
    goes_on: bool = True


FAILURES = [
    Failure("words in the clear", spoken_in_clear),
    Failure("nothing in common", nothing_in_common),
    Failure("an alert of the client", alert),
    Failure("half a ClientHello", half_a_hello, goes_on=False),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda each: each.title.replace(" ", "-"))
@pytest.mark.rules("rfc2595-2.5-failed-negotiation")
def test_after_a_failed_negotiation_the_server_closes_or_goes_on_in_the_clear(
    entrance: Entrance, failure: Failure
) -> None:
    """Whichever of the two, it neither hangs nor takes the session for a protected one."""
    session = entrance.before_tls(Transport.STLS)
    failure.happen(session, entrance)

    if failure.goes_on:
        problem = went_wrong(session, entrance, failure.title)
    else:
        session.hear(entrance.run.target.timeouts.reply, to_the_end=True)
        problem = "a connection that stays open behind the client's end" if session.is_open else ""
    entrance.hold("rfc2595-2.5-failed-negotiation", problem)


def went_wrong(session: Session, entrance: Entrance, title: str) -> str:
    """Why the server neither closed nor went on in the clear, '' where it did."""
    if session.is_open:
        session.hear(PAUSE)
    exchange = session.exchange("CAPA") if session.is_open else None
    entrance.observe(
        "after-failed-negotiation",
        f"{title}: {'closed' if not session.is_open else 'goes on in the clear'}",
    )
    if exchange is None or not session.is_open:
        return ""
    if exchange.reply is None or not (exchange.is_ok or exchange.is_err):
        return "neither a close nor a reply in the clear"
    if exchange.is_err:
        known = entrance.run.observed.listed(Transport.PLAIN) is not None
        return "a refusal of CAPA, which was answered before" if known else ""
    return taken_for_protected(session, entrance)


def taken_for_protected(session: Session, entrance: Entrance) -> str:
    """What the list says that only TLS gives, or withholds what it gave before, in words."""
    observed = entrance.run.observed
    listed = session.history.capabilities or {}
    if "STLS" not in listed:
        return "a list of capabilities without STLS, as inside TLS"
    before = observed.mechanisms_on(Transport.PLAIN) or ()
    new = sorted(set(listed.get("SASL", ())) - set(before))
    return f"the mechanism {new[0]}, which was not there before STLS" if new else ""
