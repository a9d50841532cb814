"""LOGIN-DELAY: too early a login is refused, and one behind the delay is not (section 6.5).

Waits of some seconds begin with the run. The embedded server wants no time between logins:
one of its own is asked that does. Each rule is a SHOULD, and the response code is optional.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from itertools import takewhile

import pytest

from pop3spec.fixtures import Maildrop, blocked, not_applicable
from pop3spec.protocol.commands import LOGIN
from pop3spec.refusals import SessionRefused
from pop3spec.session import Session
from pop3spec.transcript import Exchange
from pop3spec.verdict import Outcome

ENFORCED = "rfc2449-6.5-enforced"
ENDS = "rfc2449-6.5-delay-ends"
NOT_TO_USER = "rfc2449-8.1.1-not-to-user"

# Seconds. Shorter delays are lost in a clock of whole seconds, longer ones take too long;
# with --slow this and no more.
LEAST, MOST, MOST_WITH_SLOW = 2, 5, 60
# What a clock of whole seconds may be off, at either end.
WHOLE_SECOND = 1.0

NOBODY = "nobody-qx7zj4"
CODE = b"[LOGIN-DELAY]"


def keeps_its_delay(maildrop: Maildrop) -> None:
    """A login, early ones until shortly before the end of the delay, and one behind it."""
    session = maildrop.patiently(partial(opened, maildrop))
    [login] = last_of_login(maildrop, session)
    delay = delay_in(maildrop, session)
    session.quit()

    at_once = come_early(maildrop, "at-once")
    hold_enforced(maildrop, delay, login, at_once)
    hold_not_to_user(maildrop, at_once)
    # A refusal that is taken for a login begins the delay again, and shows behind its end.
    wait_until(maildrop, login.answered_at + delay * 0.75)
    again = come_early(maildrop, "again")
    if again[-1].is_ok:
        return  # by a clock of whole seconds it was not too early
    wait_until(maildrop, login.answered_at + delay + WHOLE_SECOND)
    hold_ends(maildrop, delay, login, come_early(maildrop, "behind-the-delay"))


def opened(maildrop: Maildrop) -> Session:
    """A session that has seen what CAPA tells before the login."""
    session = maildrop.greeted("first")
    session.exchange("CAPA")
    maildrop.log_in(session)
    return session


def delay_in(maildrop: Maildrop, session: Session) -> int:
    """The delay of this account, as CAPA tells it after the login; else the test ends."""
    session.exchange("CAPA")
    before = maildrop.run.observed.listed(maildrop.run.observed.transport) or {}
    words = list((session.history.capabilities or {}).get("LOGIN-DELAY", ()))
    words = words or list(before.get("LOGIN-DELAY", ()))
    if not words or not words[0].isdigit() or len(words) > 1:
        not_applicable("LOGIN-DELAY has no number for this account")
    delay = int(words[0])
    most = MOST_WITH_SLOW if maildrop.run.settings.slow else MOST
    if not LEAST <= delay <= most:
        hint = "" if delay < LEAST or most == MOST_WITH_SLOW else "; see --slow"
        not_applicable(f"a delay of {delay} s, of which {LEAST} to {most} s are tried{hint}")
    return delay


def last_of_login(maildrop: Maildrop, session: Session) -> list[Exchange]:
    """The exchange in which a session was logged in."""
    said = [each for each in maildrop.recorder.transcript if each.session == session.name]
    return [each for each in said if each.keyword in LOGIN and each.is_ok][-1:]


def come_early(maildrop: Maildrop, name: str) -> list[Exchange]:
    """A login that waits for nothing: its exchanges."""
    begun = len(maildrop.recorder.transcript)
    try:
        session = maildrop.greeted(name, is_early=True)
    except SessionRefused as error:
        blocked(error)
    try:
        maildrop.log_in(session)
    except SessionRefused as error:
        if error.timed_out or error.is_locked:
            blocked(error)
        session.close()
    else:
        maildrop.run.logins.succeeded(maildrop.mailbox.account.user)
        session.quit()
    said = maildrop.recorder.transcript[begun:]
    return list(
        takewhile(lambda each: each.keyword != "QUIT", (each for each in said if each.sent))
    )


def has_code(exchange: Exchange) -> bool:
    """The refusal says that it is for the delay."""
    return exchange.reply is not None and exchange.reply.text.upper().startswith(CODE)


def hold_enforced(
    maildrop: Maildrop, delay: int, login: Exchange, said: Sequence[Exchange]
) -> None:
    """The login at once was refused; how, is observed."""
    last = said[-1]
    if last.answered_at - login.sent_at > delay - WHOLE_SECOND:
        blocked("the login took as long as the delay")
    code = "with [LOGIN-DELAY]" if has_code(last) else "without the code"
    how = "accepted" if last.is_ok else f"{last.keyword} refused {code}"
    maildrop.observe("early-login", how)
    after = last.sent_at - login.answered_at
    words = f"a login {after:.1f} s after the last one, of a delay of {delay} s"
    maildrop.hold(ENFORCED, words if last.is_ok else "")


def hold_not_to_user(maildrop: Maildrop, said: Sequence[Exchange]) -> None:
    """The code in the reply to USER tells nothing if a name that nobody has gets it as well."""
    user = next((each for each in said if each.keyword == "USER"), None)
    if user is None:
        return
    words = ""
    if has_code(user):
        session = maildrop.greeted("nobody", is_early=True)
        unknown = session.exchange(f"USER {NOBODY}")
        session.close()
        words = "" if has_code(unknown) else "[LOGIN-DELAY] to USER with a name that somebody has"
    maildrop.hold(NOT_TO_USER, words)


def hold_ends(maildrop: Maildrop, delay: int, login: Exchange, said: Sequence[Exchange]) -> None:
    """The login behind the delay was accepted."""
    last = said[-1]
    text = last.reply.text.upper() if last.reply is not None else b""
    if text.startswith(b"[SYS/"):
        blocked("the server has another limit on logins")
    after = last.sent_at - login.answered_at
    words = f"a refusal {after:.1f} s after the last login, of a delay of {delay} s"
    maildrop.hold(ENDS, "" if last.is_ok else words)


def wait_until(maildrop: Maildrop, moment: float) -> None:
    """Let the time pass, unless the run ends."""
    if maildrop.run.judge.stopped.wait(max(0.0, moment - maildrop.recorder.now())):
        blocked("the run was interrupted")


@pytest.mark.beside(work=keeps_its_delay, login_delay=LEAST)
@pytest.mark.rules(ENFORCED, ENDS, NOT_TO_USER)
def test_a_login_within_the_delay_is_refused_and_one_behind_it_is_not(
    beside: Future[Outcome],
) -> None:
    """Announced and not enforced; or begun again by each refusal, as in Cyrus before 2007."""
    beside.result()
