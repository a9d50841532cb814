"""What RFC 1939 leaves free and a script cannot show: for the record, and nothing is judged.

The sessions are judged by the passive rules like all others.
"""

import time

import pytest

from pop3spec.fixtures import Maildrop, blocked
from pop3spec.protocol.codes import registered, response_code
from pop3spec.refusals import SessionRefused
from pop3spec.session import Session
from pop3spec.stock import message

# Refused commands in one connection, where nobody closes before.
REFUSALS = 16

# Seconds of a second login -> what is said of them; a longer one waits for the lock.
AT_ONCE = 1.5


@pytest.mark.rules("rfc1939-3-reply-per-command")
def test_what_a_second_login_to_a_maildrop_in_use_meets(maildrop: Maildrop) -> None:
    """Section 4 wants a lock as far as it is needed, and nobody knows how far that is."""
    first = maildrop.open("first")
    second = maildrop.greeted("second")
    begun = time.monotonic()
    try:
        maildrop.log_in(second)
    except SessionRefused:
        met = "a refusal"
        reply = maildrop.recorder.transcript[-1].reply
        code = response_code(reply.text) if reply is not None and reply.is_err else None
        if registered(code) == "IN-USE":
            met = "a refusal with [IN-USE]"
        maildrop.observe("code-of-lock", code or "no code")
    else:
        met = "a session"
    when = "at once" if time.monotonic() - begun < AT_ONCE else "after a wait"
    maildrop.observe("exclusive-lock", f"{met} {when}")
    second.close()
    first.quit()


@pytest.mark.rules("rfc1939-4-message-numbers")
def test_in_which_order_messages_are_numbered(maildrop: Maildrop) -> None:
    """Numbers follow the arrival, as a rule; the RFC does not say so."""
    subjects = [f"arrival-{place}" for place in range(1, 6)]
    maildrop.fill([message(subject, [subject.encode()]) for subject in subjects])
    session = maildrop.open("first")
    found = []
    for number in range(1, len(subjects) + 1):
        reply = session.exchange(f"RETR {number}").reply
        content = reply.content if reply is not None and reply.is_multiline else b""
        found += [subject for subject in subjects if subject.encode() in content]
    session.close()
    order = "in the order of arrival" if found == subjects else "in another order"
    maildrop.observe("message-order", order)


@pytest.mark.parametrize("state", ["before login", "after login"])
@pytest.mark.rules("rfc1939-3-unknown-command")
def test_after_how_many_refused_commands_the_server_closes(maildrop: Maildrop, state: str) -> None:
    """To close on a client that talks nonsense is allowed."""
    if not maildrop.run.target.allow_stress:
        blocked(f"{REFUSALS} refused commands in one connection; permit them with --allow-stress")
    session = maildrop.greeted("first") if state == "before login" else maildrop.open("first")
    sent = 0
    while session.is_open and sent < REFUSALS:
        session.exchange("QZJX")
        session.look()
        sent += 1
    told = f"after {sent}" if not session.is_open else f"not after {REFUSALS}"
    maildrop.observe("close-after-refusals", f"{state}: {told}")
    session.close()


@pytest.mark.rules("rfc1939-7-apop")
def test_whether_an_account_is_open_to_pass_and_to_apop(maildrop: Maildrop) -> None:
    """Section 13 advises against both for one account."""
    features = maildrop.run.observed.features
    if not {"APOP", "USER"} <= features:
        pytest.skip("not applicable: one of APOP and USER is not offered")
    session = maildrop.greeted("first")
    account = maildrop.mailbox.account
    digest = session.apop_digest(account.password)
    is_open = session.exchange(f"APOP {account.user} {digest}").is_ok
    leave(session)
    maildrop.observe("pass-and-apop", "both" if is_open else "PASS alone")


def leave(session: Session) -> None:
    """End a session that was logged in, or not."""
    if session.is_open:
        session.quit()
