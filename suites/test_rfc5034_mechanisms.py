"""Every mechanism that is announced, on every layer: AUTH knows it (RFC 5034, section 3)."""

from collections.abc import Iterator
from functools import partial

import pytest

from pop3spec.authentication import authenticate
from pop3spec.fixtures import Maildrop, blocked, not_applicable
from pop3spec.rulebook.history import says_later
from pop3spec.sasl import MECHANISMS, Identity, begin
from pop3spec.target import Transport
from pop3spec.transcript import Exchange

RULE = "rfc5034-3-mechanisms-known"

# What may be refused at once, for want of a certificate, a token or a ticket, although it is known.
WANTING = ("EXTERNAL", "ANONYMOUS", "OAUTH", "XOAUTH2", "GSSAPI", "GSS-SPNEGO", "NTLM", "KERBEROS")
# A refusal of these in the clear has a rule of its own.
READABLE = ("PLAIN", "LOGIN")

each_layer = pytest.mark.parametrize("layer", Transport, ids=lambda layer: layer.value)


@each_layer
@pytest.mark.rules(RULE)
def test_a_mechanism_that_is_announced_is_known(maildrop: Maildrop, layer: Transport) -> None:
    """Started with and without an initial response, and cancelled."""
    observed = maildrop.run.observed
    if problem := observed.problem_of(layer):
        blocked(problem)
    names = observed.mechanisms_on(layer)
    if not names:
        not_applicable(f"no SASL mechanism is announced on the layer {layer.value}")

    unknown = [name for name in dict.fromkeys(names) if is_unknown(maildrop, layer, name.upper())]
    words = f"{', '.join(unknown)} announced ({layer.value}), and refused by AUTH"
    maildrop.hold(RULE, words if unknown else "")


def is_unknown(maildrop: Maildrop, layer: Transport, name: str) -> bool:
    """AUTH refuses each way to begin with it, and nothing else explains that."""
    for exchange in beginnings(maildrop, layer, name):
        if not exchange.is_err or says_later(exchange):
            return False
    if name not in MECHANISMS or name.startswith(WANTING):
        maildrop.observe("mechanisms-for-account", f"{layer.value}: {name} refused at once")
        return False
    return not (layer is Transport.PLAIN and (name in READABLE or name.endswith("-PLUS")))


def beginnings(maildrop: Maildrop, layer: Transport, name: str) -> Iterator[Exchange]:
    """The first reply to AUTH without an initial response, and with one that fits."""
    open_one = partial(maildrop.greeted, name, transport=layer)
    session = maildrop.patiently(open_one)
    exchange = session.exchange(f"AUTH {name}")
    yield exchange
    if exchange.continues_sasl:
        session.exchange("*")
    elif exchange.is_err and session.is_open and session.exchange("STAT").is_ok:
        blocked("the session is in the TRANSACTION state before any login")
    session.close()
    if not exchange.is_err or name not in MECHANISMS:
        return
    account = maildrop.mailbox.account
    tells = name in READABLE or name.startswith(("OAUTH", "XOAUTH"))
    if tells and layer is Transport.PLAIN and not maildrop.run.target.allow_cleartext:
        return
    session = maildrop.patiently(open_one)
    identity = Identity(
        account.user, account.password, token=account.token, bindings=session.bindings
    )
    if begin(name, identity).first() is not None:
        begun = len(maildrop.recorder.transcript)
        authenticate(session, maildrop.recorder, name, begin(name, identity))
        yield maildrop.recorder.transcript[begun]
    session.close()
