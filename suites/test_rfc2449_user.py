"""USER where it is announced: known to one account at least (RFC 2449, section 6.2)."""

from itertools import islice

import pytest

from pop3spec.fixtures import Entrance, blocked, not_applicable
from pop3spec.refusals import refusal
from pop3spec.target import Transport

WORKS = "rfc2449-6-announced-works"

# Accounts of the target that are tried.
_MOST = 8

each_layer = pytest.mark.parametrize("layer", list(Transport), ids=lambda layer: layer.value)


@each_layer
@pytest.mark.rules(WORKS)
def test_user_that_is_announced_is_taken_for_one_account_at_least(
    entrance: Entrance, layer: Transport
) -> None:
    """It need not be for all users; the name alone is no secret."""
    need_user(entrance, layer)
    refusals = []
    for account in islice(entrance.run.target.accounts, _MOST):
        session = entrance.greeted(layer)
        exchange = session.exchange(f"USER {account.user}")
        if session.is_open:
            session.exchange("QUIT")
        if exchange.is_ok:
            entrance.hold(WORKS, "")
            return
        refusals.append(refusal(exchange))
    if not refusals:
        blocked("no account; see --user")
    for limit in (each for each in refusals if each.is_limit):
        blocked(limit)

    entrance.hold(WORKS, f"a refusal of USER for all of {len(refusals)} accounts ({layer.value})")


def need_user(entrance: Entrance, layer: Transport) -> None:
    """USER is announced on this layer; in the clear that is judged here where there is no TLS."""
    entrance.need(layer)
    if "USER" not in (entrance.run.observed.listed(layer) or {}):
        not_applicable("USER is not announced")
    has_tls = entrance.run.target.tls_address or entrance.announces("STLS", Transport.PLAIN)
    if layer is Transport.PLAIN and has_tls:
        not_applicable("beside TLS it is judged by rfc2449-6.2-user-in-clear")
