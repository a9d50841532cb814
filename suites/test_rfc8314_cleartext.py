"""Passwords without TLS: refused or not, and alike (RFC 2449, 2595, 5034, 7628 and 8314).

The right password goes over an unencrypted connection here, which needs --allow-cleartext.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from pop3spec.authentication import authenticate
from pop3spec.fixtures import Maildrop, blocked, not_applicable
from pop3spec.protocol.text import show
from pop3spec.refusals import refusal
from pop3spec.sasl import Identity, begin
from pop3spec.session import Session
from pop3spec.target import Account, Transport
from pop3spec.transcript import Exchange

# Seconds in which a server that closes behind a refusal has done so.
PAUSE = 0.2
WRONG = "not-the-password"


@dataclass(frozen=True)
class Way:
    """A way to log in that shows the password, and the feature that announces it."""

    title: str
    feature: str
    log_in: Callable[[Session, Maildrop, Account], Exchange]


def by_user(session: Session, maildrop: Maildrop, account: Account) -> Exchange:
    """USER and, where that is not refused, PASS."""
    del maildrop
    exchange = session.exchange(f"USER {account.user}")
    return session.exchange(f"PASS {account.password}") if exchange.is_ok else exchange


def by_mechanism(
    mechanism: str, session: Session, maildrop: Maildrop, account: Account, *, initial: bool
) -> Exchange:
    """AUTH with a mechanism, with or without an initial response."""
    identity = Identity(account.user, account.password, token=account.token)
    client = begin(mechanism, identity)
    return authenticate(session, maildrop.recorder, mechanism, client, initial_response=initial)


WAYS = [
    Way("USER and PASS", "USER", by_user),
    Way("PLAIN", "SASL PLAIN", partial(by_mechanism, "PLAIN", initial=True)),
    Way("PLAIN in two steps", "SASL PLAIN", partial(by_mechanism, "PLAIN", initial=False)),
    Way("LOGIN", "SASL LOGIN", partial(by_mechanism, "LOGIN", initial=False)),
]
BEARER = Way("OAUTHBEARER", "SASL OAUTHBEARER", partial(by_mechanism, "OAUTHBEARER", initial=True))

each_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.title.replace(" ", "-"))


@each_way
@pytest.mark.rules("rfc2595-2.3-cleartext-refused")
def test_where_logins_in_the_clear_are_refused_every_way_is(maildrop: Maildrop, way: Way) -> None:
    """The right credentials, which TLS takes."""
    need_policy(maildrop)
    need_tls_login(maildrop, way)
    exchange, _ = tried(maildrop, way, maildrop.mailbox.account, "clear")

    words = f"'+OK' to the right password by {way.title} in the clear" if exchange.is_ok else ""
    maildrop.hold("rfc2595-2.3-cleartext-refused", words)


@pytest.mark.rules("rfc7628-3-tls")
def test_where_logins_in_the_clear_are_refused_a_token_is(maildrop: Maildrop) -> None:
    """OAUTHBEARER is neither announced there nor taken."""
    need_policy(maildrop)
    if is_announced(maildrop, BEARER, Transport.PLAIN):
        maildrop.hold("rfc7628-3-tls", "OAUTHBEARER announced in the clear")
    if not maildrop.mailbox.account.token:
        not_applicable("the account has no token; name one in the profile")
    need_tls_login(maildrop, BEARER)
    exchange, _ = tried(maildrop, BEARER, maildrop.mailbox.account, "clear")

    words = "'+OK' to a token in the clear" if exchange.is_ok else ""
    maildrop.hold("rfc7628-3-tls", words)


@each_way
@pytest.mark.rules("rfc8314-4.1-same-refusal")
def test_right_and_wrong_credentials_in_the_clear_get_the_same_refusal(
    maildrop: Maildrop, way: Way
) -> None:
    """The right ones twice, for what is different in these is no answer to the password."""
    refused_in_clear(maildrop, way)
    right, wrong = maildrop.mailbox.account, with_wrong_password(maildrop)
    _, first = tried(maildrop, way, right, "right")
    _, other = tried(maildrop, way, wrong, "wrong")
    _, again = tried(maildrop, way, right, "again")

    words = "" if other in (first, again) else f"{other} to wrong credentials, {first} to right"
    if words and first != again:
        words = "" if other.form in (first.form, again.form) else words
    maildrop.hold("rfc8314-4.1-same-refusal", words)


@pytest.mark.parametrize("way", [WAYS[1], WAYS[3]], ids=["PLAIN", "LOGIN"])
@pytest.mark.rules("rfc5034-4-plaintext-announced")
def test_a_mechanism_that_is_refused_in_the_clear_is_not_announced_there(
    maildrop: Maildrop, way: Way
) -> None:
    """Clients that believe the list send a password in vain."""
    refused_in_clear(maildrop, way)

    announced = is_announced(maildrop, way, Transport.PLAIN)
    words = f"{way.title} announced in the clear, and refused there" if announced else ""
    maildrop.hold("rfc5034-4-plaintext-announced", words)


@pytest.mark.rules("rfc2449-6.2-user-in-clear")
def test_user_that_is_refused_in_the_clear_is_not_announced_there(maildrop: Maildrop) -> None:
    """Nor has CAPA to be there: without it USER need not be announced anywhere."""
    if maildrop.run.observed.listed(Transport.PLAIN) is None:
        not_applicable("CAPA is not answered with a list")
    refused_in_clear(maildrop, WAYS[0])

    announced = is_announced(maildrop, WAYS[0], Transport.PLAIN)
    words = "USER announced in the clear, and refused there" if announced else ""
    maildrop.hold("rfc2449-6.2-user-in-clear", words)


# --- What has to be so before that is judged ---


def need_policy(maildrop: Maildrop) -> None:
    """The profile says that logins in the clear are refused."""
    if not maildrop.run.target.refuses_cleartext:
        not_applicable("no profile says cleartext-logins: refused")
    need_clear(maildrop)


def need_clear(maildrop: Maildrop) -> None:
    """There is a port without TLS, and the right password may be told there."""
    target = maildrop.run.target
    if target.tls_address == target.address:
        not_applicable("no port without implicit TLS; see --target")
    if not target.allow_cleartext:
        blocked("the right password would go over an unencrypted connection; see --allow-cleartext")


def encrypted_layer(maildrop: Maildrop) -> Transport:
    """A layer with TLS that the target has."""
    observed, target = maildrop.run.observed, maildrop.run.target
    if "STLS" in observed.features_on(Transport.PLAIN) and not observed.problem_of(Transport.STLS):
        return Transport.STLS
    if target.tls_address is None:
        not_applicable("neither STLS nor implicit TLS is offered")
    if problem := observed.problem_of(Transport.TLS):
        blocked(problem)
    return Transport.TLS


def need_tls_login(maildrop: Maildrop, way: Way) -> None:
    """The same way leads in by TLS, so that a refusal in the clear is about the clear."""
    layer = encrypted_layer(maildrop)
    if not is_announced(maildrop, way, layer):
        not_applicable(f"{way.title} is not offered in TLS either")
    session = opened(maildrop, layer, "in-tls")
    exchange = way.log_in(session, maildrop, maildrop.mailbox.account)
    if not exchange.is_ok:
        blocked(f"inside TLS {refusal(exchange)} by {way.title}")
    session.quit()


def refused_in_clear(maildrop: Maildrop, way: Way) -> None:
    """The right credentials are refused in the clear, and taken inside TLS."""
    need_clear(maildrop)
    need_tls_login(maildrop, way)
    exchange, _ = tried(maildrop, way, maildrop.mailbox.account, "clear")
    is_told = is_announced(maildrop, way, Transport.PLAIN)
    maildrop.observe(
        "cleartext-logins",
        f"{way.title}: {'announced' if is_told else 'not announced'},"
        f" {'accepted' if exchange.is_ok else 'refused'}",
    )
    if exchange.is_ok:
        not_applicable(f"{way.title} is accepted in the clear")
    if exchange.reply is None or refusal(exchange).is_limit:
        blocked(refusal(exchange))


def is_announced(maildrop: Maildrop, way: Way, layer: Transport) -> bool:
    """It is announced before the login; without CAPA USER need not be."""
    observed = maildrop.run.observed
    if way.feature == "USER" and observed.listed(layer) is None:
        return True
    return way.feature in observed.features_on(layer)


def with_wrong_password(maildrop: Maildrop) -> Account:
    """The account with a wrong password, where one more is permitted."""
    most = maildrop.run.target.max_failed_logins
    if most is not None and maildrop.mailbox.failed_logins >= most:
        blocked(f"more than {most} wrong logins for an account; raise --max-failed-logins")
    maildrop.mailbox.failed_logins += 1
    return Account(maildrop.mailbox.account.user, WRONG)


# --- A login, and what comes of it ---


@dataclass(frozen=True)
class Refusal:
    """How a login was refused: at which step, in which words, and what became of the session."""

    step: int
    status: str
    code: str
    text: str
    closed: bool

    @property
    def form(self) -> tuple[int, str, str, bool]:
        """All but the words, which may be others each time."""
        return self.step, self.status, self.code, self.closed

    def __str__(self) -> str:
        """The words, as the server says them."""
        end = ", and a close," if self.closed else ""
        return f"'{self.status} {self.text}' at step {self.step}{end}"


def tried(maildrop: Maildrop, way: Way, account: Account, name: str) -> tuple[Exchange, Refusal]:
    """One login in the clear: its last exchange, and how it was refused."""
    session = opened(maildrop, Transport.PLAIN, name)
    begun = len(maildrop.recorder.transcript)
    exchange = way.log_in(session, maildrop, account)
    steps = len(maildrop.recorder.transcript) - begun
    if exchange.is_ok:
        session.quit()
    elif session.is_open:
        session.hear(PAUSE)
    text = exchange.reply.text if exchange.reply is not None else b""
    shown = show(text.replace(account.user.encode(), b"USER"))
    code = shown.partition("]")[0] if shown.startswith("[") else ""
    status = "-ERR" if exchange.is_err else "no reply"
    return exchange, Refusal(steps, status, code, shown, not session.is_open)


def opened(maildrop: Maildrop, layer: Transport, name: str) -> Session:
    """A session in the AUTHORIZATION state."""
    return maildrop.patiently(partial(maildrop.greeted, name, transport=layer))
