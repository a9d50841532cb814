"""The code AUTH in the reply to USER: it tells which names there are (RFC 3206, section 5)."""

from functools import partial

import pytest

from pop3spec.fixtures import Maildrop, blocked, not_applicable
from pop3spec.transcript import Exchange

NOT_TO_USER = "rfc3206-5-not-to-user"
NOBODY = "nobody-qx7zj4"


def has_code(exchange: Exchange) -> bool:
    """The reply carries AUTH."""
    return exchange.reply is not None and exchange.reply.text.upper().startswith(b"[AUTH")


@pytest.mark.rules(NOT_TO_USER)
def test_user_is_not_refused_with_auth_for_a_name_that_nobody_has_alone(maildrop: Maildrop) -> None:
    """The name is looked up at once; where every name is refused alike nothing is told."""
    observed = maildrop.run.observed
    if "USER" not in observed.features_on(observed.transport):
        not_applicable("USER is not offered")
    maildrop.count_failed_login()
    told = []
    for label, name in (("known", maildrop.mailbox.account.user), ("unknown", NOBODY)):
        source = maildrop.run.judge.source()
        session = maildrop.patiently(partial(maildrop.greeted, label, source=source))
        exchange = session.exchange(f"USER {name}")
        session.close()
        if exchange.reply is None:
            blocked("no reply to USER")
        told.append(has_code(exchange))

    known, unknown = told
    which = "nobody" if unknown else "somebody"
    words = "" if known is unknown else f"[AUTH] to USER with a name that {which} has, and no other"
    maildrop.hold(NOT_TO_USER, words)
