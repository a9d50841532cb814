"""Exchanges of SASL that belong to another connection, or to nobody (RFC 5034, section 4)."""

from base64 import b64encode
from dataclasses import replace
from functools import partial

import pytest

from pop3spec.authentication import authenticate
from pop3spec.expectations import got_instead
from pop3spec.fixtures import Entrance, Maildrop, blocked, not_applicable
from pop3spec.opening import open_session
from pop3spec.refusals import SessionRefused, refusal
from pop3spec.rulebook.observers import came_back
from pop3spec.sasl import Answer, Client, Identity, Judged, begin
from pop3spec.session import Session
from pop3spec.target import Account, Transport
from pop3spec.transcript import Exchange

LOGIN_REFUSED = "rfc5034-4-login-refused"
# Mechanisms in which a proof is made of what the server sent.
CHALLENGED = ("CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
# Octets of a name and of a password in PLAIN (RFC 4616, section 2).
LONG = 255
PROTECTED = (Transport.STLS, Transport.TLS)


class Overheard:
    """What a client said in an exchange, and what the server had sent to it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.said: list[bytes] = []
        self.challenges: list[bytes] = []

    def first(self) -> bytes | None:
        """The client's first message."""
        message = self._client.first()
        return None if message is None else self._kept(message)

    def answer(self, challenge: bytes) -> Answer:
        """The client's answer."""
        self.challenges.append(challenge)
        answer = self._client.answer(challenge)
        if answer.octets is not None:
            self._kept(answer.octets)
        return answer

    def end(self) -> tuple[Judged, ...]:
        """What the client says behind success."""
        return self._client.end()

    def _kept(self, message: bytes) -> bytes:
        self.said.append(message)
        return message


class Replayed:
    """A client that says what another one said, whatever the server sends."""

    def __init__(self, overheard: Overheard, *, begins: bool) -> None:
        self._left = list(overheard.said)
        self._begins = begins
        self.challenges: list[bytes] = []

    def first(self) -> bytes | None:
        """The first message, where the mechanism begins with the client."""
        return self._left.pop(0) if self._begins else None

    def answer(self, challenge: bytes) -> Answer:
        """The next message; cancelled behind the last."""
        self.challenges.append(challenge)
        return Answer(self._left.pop(0) if self._left else None)

    def end(self) -> tuple[Judged, ...]:
        """Nothing that the exchange itself does not show."""
        return ()


def overheard(maildrop: Maildrop, session: Session, mechanism: str) -> Overheard:
    """An exchange with the right password, and a session that is logged in by it."""
    account = maildrop.mailbox.account
    client = Overheard(begin(mechanism, Identity(account.user, account.password)))
    if not run_of(maildrop, session, mechanism, client).is_ok:
        blocked(f"{mechanism} is refused, so that there is nothing to say again")
    return client


def run_of(maildrop: Maildrop, session: Session, mechanism: str, client: Client) -> Exchange:
    """The last exchange of a login."""
    return authenticate(session, maildrop.recorder, mechanism, client)


def need(maildrop: Maildrop, mechanism: str) -> None:
    """End the test where the mechanism is not announced, or no wrong login is left."""
    observed = maildrop.run.observed
    if f"SASL {mechanism}" not in observed.features_on(observed.transport):
        not_applicable(f"SASL {mechanism} is not offered")
    most = maildrop.run.target.max_failed_logins
    if most is not None and maildrop.mailbox.failed_logins >= most:
        blocked(f"more than {most} wrong logins for an account; raise --max-failed-logins")
    maildrop.mailbox.failed_logins += 1


def hold_replay(
    maildrop: Maildrop, session: Session, mechanism: str, heard: Overheard, where: str
) -> None:
    """What was heard of one exchange is said in another, and has to be refused."""
    client = Replayed(heard, begins=mechanism.startswith("SCRAM"))
    exchange = run_of(maildrop, session, mechanism, client)
    if client.challenges[:1] == heard.challenges[:1]:
        # Then the answer is right, and what is wrong has a rule of its own.
        blocked("the server has sent one challenge twice")
    rule = "rfc5802-5.1-nonce-verified" if mechanism.startswith("SCRAM") else LOGIN_REFUSED
    words = f"'+OK' to the answer to the challenge {where}" if exchange.is_ok else ""
    maildrop.hold(rule, words)


@pytest.mark.parametrize("mechanism", CHALLENGED)
@pytest.mark.rules(LOGIN_REFUSED, "rfc5802-5.1-nonce-verified")
def test_an_exchange_that_was_overheard_does_not_log_in_again(
    maildrop: Maildrop, mechanism: str
) -> None:
    """In the next session, with all that the client has said."""
    need(maildrop, mechanism)
    first = maildrop.patiently(partial(maildrop.greeted, "overheard"))
    heard = overheard(maildrop, first, mechanism)
    first.quit()
    second = maildrop.patiently(partial(maildrop.greeted, "replayed"))

    hold_replay(maildrop, second, mechanism, heard, "of the session before")


@pytest.mark.parametrize("is_beside", [True, False], ids=["beside-it", "before-it"])
@pytest.mark.parametrize("mechanism", ["CRAM-MD5", "DIGEST-MD5"])
@pytest.mark.rules(LOGIN_REFUSED)
def test_an_answer_to_the_challenge_of_another_exchange_is_refused(
    maildrop: Maildrop, mechanism: str, is_beside: bool
) -> None:
    """Of one that is open on another connection, or of one that was cancelled on this one."""
    need(maildrop, mechanism)
    session = maildrop.patiently(partial(maildrop.greeted, "first"))
    other = maildrop.patiently(partial(maildrop.greeted, "other")) if is_beside else session
    theirs = other.exchange(f"AUTH {mechanism}").challenge
    if not is_beside:
        other.send_octets(b"*\r\n")
        other.receive()
        if not session.is_open:
            blocked("the server closes behind a cancelled exchange")
    ours = session.exchange(f"AUTH {mechanism}").challenge
    if ours is None or theirs is None:
        blocked(f"no challenge of {mechanism} in each of two exchanges")
    if ours == theirs:
        blocked("the server has sent one challenge twice")
    account = maildrop.mailbox.account
    answer = begin(mechanism, Identity(account.user, account.password)).answer(theirs)
    session.send_octets(b64encode(answer.octets or b"") + b"\r\n")
    exchange = session.receive()

    # A challenge behind it is the server's proof, and so as good as a success.
    accepted = exchange.is_ok or exchange.continues_sasl
    words = "no refusal of the answer to the challenge of another exchange" if accepted else ""
    maildrop.hold(LOGIN_REFUSED, words)


@pytest.mark.parametrize("initial", [True, False], ids=["at-once", "in-two-steps"])
@pytest.mark.parametrize("identity", ["", "account"], ids=["no-name", "name"])
@pytest.mark.parametrize("transport", PROTECTED, ids=lambda transport: transport.value)
@pytest.mark.rules("rfc4422-3.6-external-without-credentials")
def test_external_is_refused_to_a_client_without_a_certificate(
    entrance: Entrance, transport: Transport, identity: str, initial: bool
) -> None:
    """Inside TLS, with and without the name of an account; announced or not."""
    run = entrance.run
    accounts = run.target.accounts
    if identity and not accounts:
        blocked("no account was given; name one with POP3SPEC_ACCOUNT or --account")
    session = uncertified(entrance, transport)
    authzid = accounts[0].user if identity else ""
    client = begin("EXTERNAL", Identity("", authzid=authzid))
    exchange = authenticate(
        session, entrance.recorder, "EXTERNAL", client, initial_response=initial
    )
    session.close()

    words = "'+OK' to EXTERNAL by a client without a certificate" if exchange.is_ok else ""
    entrance.hold("rfc4422-3.6-external-without-credentials", words)


def uncertified(entrance: Entrance, transport: Transport) -> Session:
    """A session in TLS for which the client has shown no certificate."""
    target = entrance.run.target
    if transport is Transport.TLS and target.tls_address is None:
        not_applicable("no port with implicit TLS; see --tls-target")
    if transport is Transport.STLS and not entrance.announces("STLS", Transport.PLAIN):
        not_applicable("STLS is not offered")
    bare = replace(target, tls=replace(target.tls, client_cert=None, client_key=None))
    try:
        return open_session(bare, entrance.recorder, transport)
    except SessionRefused as error:
        blocked(error)


@pytest.mark.parametrize("place", [0, 1], ids=["first-account", "second-account"])
@pytest.mark.rules("rfc4616-2-255-octets")
def test_a_name_or_a_password_of_255_octets_logs_in(entrance: Entrance, place: int) -> None:
    """Behind the empty challenge, for no command line is as long."""
    run = entrance.run
    need_mechanism(entrance, "PLAIN")
    if run.observed.transport is Transport.PLAIN and not run.target.allow_cleartext:
        blocked("a password would go over an unencrypted connection; see --allow-cleartext")
    long = [each for each in run.target.sasl_accounts if LONG in lengths(each)]
    if place >= len(long):
        blocked("it needs an account with so long a name or password; see sasl-accounts")
    is_in = logs_in(entrance, "PLAIN", long[place], initial_response=False)

    name, password = lengths(long[place])
    words = f"a refusal of PLAIN with a name of {name} and a password of {password} octets"
    entrance.hold("rfc4616-2-255-octets", "" if is_in else words)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
@pytest.mark.rules("rfc5802-5-first-message")
def test_an_equals_sign_in_a_name_has_to_be_escaped(entrance: Entrance, mechanism: str) -> None:
    """With the escapes the same account logs in."""
    need_mechanism(entrance, mechanism)
    accounts = (*entrance.run.target.sasl_accounts, *entrance.run.target.accounts)
    account = next((each for each in accounts if "=" in each.user), None)
    if account is None:
        blocked("it needs an account with an equals sign in its name; see sasl-accounts")
    if not logs_in(entrance, mechanism, account):
        blocked(f"{mechanism} is refused for the account")
    is_in = logs_in(entrance, mechanism, account, twist="name-as-it-is")

    words = "'+OK' to a name with an equals sign that is not escaped" if is_in else ""
    entrance.hold("rfc5802-5-first-message", words)


def lengths(account: Account) -> tuple[int, int]:
    """The octets of the name and of the password."""
    return len(account.user.encode()), len(account.password.encode())


def need_mechanism(entrance: Entrance, mechanism: str) -> None:
    """End the test where the mechanism is not announced."""
    if not entrance.announces(f"SASL {mechanism}", entrance.run.observed.transport):
        not_applicable(f"SASL {mechanism} is not offered")


def logs_in(
    entrance: Entrance,
    mechanism: str,
    account: Account,
    *,
    twist: str | None = None,
    initial_response: bool = True,
) -> bool:
    """Whether an account is let in; a limit of the target blocks the test."""
    session = entrance.greeted(entrance.run.observed.transport, twist or "right")
    client = begin(mechanism, Identity(account.user, account.password), twist)
    exchange = authenticate(
        session, entrance.recorder, mechanism, client, initial_response=initial_response
    )
    if exchange.is_err and refusal(exchange).is_limit:
        blocked(refusal(exchange))
    session.quit()
    return exchange.is_ok


@pytest.mark.parametrize("octets", [1 << 16, 1 << 20], ids=["64-kib", "1-mib"])
@pytest.mark.rules("robust-serves-next-client")
def test_behind_a_response_of_many_octets_the_next_client_is_served(
    entrance: Entrance, octets: int
) -> None:
    """What becomes of the response itself is free: no mechanism makes one as long."""
    run = entrance.run
    transport = run.observed.transport
    if not run.target.allow_stress:
        blocked("it sends lines of up to a megabyte; permit that with --allow-stress")
    if not entrance.announces("SASL PLAIN", transport):
        not_applicable("SASL PLAIN is not offered")
    session = entrance.greeted(transport, "long")
    if not session.exchange("AUTH PLAIN").continues_sasl:
        blocked("no challenge of PLAIN")
    # The last character is none of base64: whatever comes is judged by no other rule.
    session.send_octets(b"A" * (octets - 3) + b"!\r\n")
    entrance.observe("longest-response", f"{octets} octets: {came_back(session.receive())}")
    session.close()
    after = entrance.greeted(transport, "next").exchange("USER nobody-qx7zj4")

    words = f"{got_instead(after)} for the next client" if after.reply is None else ""
    entrance.hold("robust-serves-next-client", words)
