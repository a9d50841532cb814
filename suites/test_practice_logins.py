"""What practice asks of refused logins: they tell no names, and guessing takes its time."""

import re
import statistics
import time
from collections.abc import Sequence
from functools import partial

import pytest

from pop3spec.authentication import authenticate
from pop3spec.fixtures import Maildrop, blocked, not_applicable
from pop3spec.protocol.apop import apop_digest
from pop3spec.sasl import Identity, begin
from pop3spec.session import Session
from pop3spec.transcript import Exchange

NOBODY = "nobody-qx7zj4"
WRONG = "not-the-password-qx7zj4"

MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
WAYS = ("USER", "APOP", *MECHANISMS)

# Attempts with either name. A server without a difference is accused where one name took
# longer in all but three of the pairs: by chance in 3 of 10 000 runs (sign test, two-sided).
PAIRS = 24
FEW = 3
# Seconds: a smaller difference is lost in the network; and with more scatter none is found.
DIFFERENCE = 0.005
SCATTER = 0.02
# Seconds that all of it may take without --slow, by what the first pair took.
BUDGET = 10.0

# Guesses in a row, and the seconds of one that are slow.
GUESSES = 10
SLOW = 1.0

_NUMBER = re.compile(rb"[0-9]+")


def log_in(maildrop: Maildrop, session: Session, way: str, name: str) -> list[Exchange]:
    """A login that has to fail: its exchanges, from the name on."""
    begun = len(maildrop.recorder.transcript)
    if way == "USER":
        if session.exchange(f"USER {name}").is_ok:
            session.exchange(f"PASS {WRONG}")
    elif way == "APOP":
        session.exchange(f"APOP {name} {apop_digest(session.timestamp or b'', WRONG)}")
    else:
        authenticate(session, maildrop.recorder, way, begin(way, Identity(name, WRONG)))
    said = maildrop.recorder.transcript[begun:]
    return [each for each in said if each.session == session.name and each.sent]


def words(exchanges: Sequence[Exchange], name: str) -> list[bytes]:
    """What a server said, without what is another in each run; challenges say nothing."""
    said = []
    for exchange in exchanges:
        if exchange.reply is None:
            said.append(b"no reply")
        elif not exchange.reply.is_challenge:
            line = exchange.reply.status_line.replace(name.encode(), b"NAME")
            said.append(_NUMBER.sub(b"N", line))
    return said


def need(maildrop: Maildrop, way: str, attempts: int) -> None:
    """End the test where this way is not offered, or would be tried too often."""
    observed = maildrop.run.observed
    feature = way if way in ("USER", "APOP") else f"SASL {way}"
    if feature not in observed.features_on(observed.transport):
        not_applicable(f"{feature} is not offered")
    most = maildrop.run.target.max_failed_logins
    if most is not None and maildrop.mailbox.failed_logins + attempts > most:
        blocked(f"more than {most} wrong logins for an account; raise --max-failed-logins")
    maildrop.mailbox.failed_logins += attempts


def greeted(maildrop: Maildrop, name: str) -> Session:
    """A session from an address of its own, where that can be: penalties go by addresses."""
    source = maildrop.run.judge.source()
    return maildrop.patiently(partial(maildrop.greeted, name, source=source))


def is_limit(exchange: Exchange) -> bool:
    """The server says that it is not about the credentials."""
    text = exchange.reply.text.upper() if exchange.reply is not None else b""
    return text.startswith((b"[IN-USE]", b"[LOGIN-DELAY]", b"[SYS/"))


# Seconds in which a close behind a refusal is there, and in which a slow one is.
A_MOMENT, LATER = 0.05, 0.5


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.rules("practice-same-refusal")
def test_a_name_that_nobody_has_is_refused_like_a_wrong_password(
    maildrop: Maildrop, way: str
) -> None:
    """Who gets other words learns which names there are."""
    need(maildrop, way, 1)
    user = maildrop.mailbox.account.user
    sessions, said = [], []
    for label, name in (("known", user), ("unknown", NOBODY)):
        session = greeted(maildrop, label)
        exchanges = log_in(maildrop, session, way, name)
        if any(map(is_limit, exchanges)):
            blocked("the server has a limit of its own on logins")
        sessions.append(session)
        said.append(words(exchanges, name))
    ends = ends_behind(sessions)

    known, unknown = said
    problem = ""
    if known != unknown:
        problem = f"{shown(unknown)} for a name that nobody has, {shown(known)} for a known one"
    elif len(ends) > 1:
        problem = "a close behind one of the two refusals alone"
    maildrop.hold("practice-same-refusal", problem)


def ends_behind(sessions: Sequence[Session]) -> set[bool]:
    """Whether the sessions are open a moment later; one that is not may be the faster one."""
    ends: set[bool] = set()
    for moment in (A_MOMENT, LATER):
        sessions[0].pause(moment)
        for session in sessions:
            session.look()
        ends = {session.is_open for session in sessions}
        if len(ends) == 1:
            break
    for session in sessions:
        session.close()
    return ends


def shown(lines: Sequence[bytes]) -> str:
    """The lines of a refusal."""
    return ", ".join(f"'{line.decode('latin-1').rstrip()}'" for line in lines)


@pytest.mark.parametrize("way", ["USER", "PLAIN"])
@pytest.mark.rules("practice-same-delay")
def test_a_name_that_nobody_has_is_refused_as_fast_as_a_wrong_password(
    maildrop: Maildrop, way: str
) -> None:
    """A digest that is made for real names alone takes time, which tells them."""
    need(maildrop, way, PAIRS)
    user = maildrop.mailbox.account.user
    known: list[float] = []
    unknown: list[float] = []
    for pair in range(PAIRS):
        for name, seconds in ((user, known), (NOBODY, unknown)):
            session = greeted(maildrop, f"{name}-{pair}")
            exchanges = log_in(maildrop, session, way, name)
            session.close()
            seconds.append(exchanges[-1].answered_at - exchanges[0].sent_at)
        spent = known[0] + unknown[0]
        if spent * PAIRS > BUDGET and not maildrop.run.settings.slow:
            blocked(f"a refusal takes {spent / 2:.1f} s; permit {PAIRS} of them with --slow")

    slower = sum(one > other for one, other in zip(known, unknown, strict=True))
    difference = statistics.median(known) - statistics.median(unknown)
    if FEW < slower < PAIRS - FEW or abs(difference) < DIFFERENCE:
        if max(map(scatter, (known, unknown))) > SCATTER:
            blocked("this machine is too busy to tell such times apart")
        maildrop.hold("practice-same-delay", "")
        return
    which = "known" if difference > 0 else "unknown"
    got = f"{1000 * abs(difference):.0f} ms more for a name that is {which}"
    maildrop.hold(
        "practice-same-delay", f"{got}, in {max(slower, PAIRS - slower)} of {PAIRS} pairs"
    )


def scatter(seconds: Sequence[float]) -> float:
    """Half of the times lie within this."""
    low, _, high = statistics.quantiles(seconds, n=4)
    return high - low


@pytest.mark.rules("practice-guessing-is-slow")
def test_guessing_a_password_is_slowed_down_or_ended(maildrop: Maildrop) -> None:
    """Ten wrong passwords in one session, each answered at once, are ten of thousands."""
    need(maildrop, "USER", GUESSES)
    session = greeted(maildrop, "guesser")
    begun = time.monotonic()
    for _ in range(GUESSES):
        sent = time.monotonic()
        exchanges = log_in(maildrop, session, "USER", maildrop.mailbox.account.user)
        session.look()
        is_slow = time.monotonic() - sent > SLOW
        if is_slow or not session.is_open or any(map(is_limit, exchanges)):
            session.close()
            maildrop.hold("practice-guessing-is-slow", "")
            return
    session.close()
    spent = time.monotonic() - begun
    maildrop.hold(
        "practice-guessing-is-slow", f"{GUESSES} refused passwords in {spent:.1f} s and one session"
    )
