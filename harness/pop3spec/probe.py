"""What the target shows before any scenario: greeting, capabilities, policy, doors.

The probe opens a few sessions, judged like all others. It decides which
transport and login the scenarios use, and which optional features are offered.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import TypeVar

from pop3spec.accounts import Mailbox
from pop3spec.connection import ConnectionFailed, connect, speaks_tls
from pop3spec.login_delay import Logins
from pop3spec.maildrop import Door, DoorError
from pop3spec.opening import open_session
from pop3spec.protocol.listings import capabilities
from pop3spec.protocol.text import show
from pop3spec.recorder import Recorder
from pop3spec.refusals import SessionRefused
from pop3spec.rulebook.uses import AFTER_LOGIN, AFTER_STLS, BEFORE_LOGIN, IN_TLS
from pop3spec.session import Session
from pop3spec.target import Address, Target, TargetError, Transport
from pop3spec.transcript import Exchange

# Seconds to wait before the target is asked again for a session that it refused.
_BACK_OFF = (0.1, 0.3, 1.0, 2.0)

Given = TypeVar("Given")

# Messages of the probe that are delivered at the same time.
_MOST_DELIVERIES = 8

# Capabilities that say what holds in one layer, and nothing of the others.
_OF_THE_LAYER = frozenset({"STLS", "USER", "SASL", "APOP"})
_PLACES = {
    Transport.PLAIN: BEFORE_LOGIN,
    Transport.STLS: AFTER_STLS,
    Transport.TLS: IN_TLS,
}

# What a client uses in the AUTHORIZATION state alone, so that it has to learn of it there:
# behind a proxy another server may announce it when the login is over.
_BEFORE_LOGIN_ALONE = frozenset({"STLS", "SASL", "UTF8", "AUTH-RESP-CODE"})
# Of a capability list no more is kept: tags, words behind one, and characters of a word.
_MOST_TAGS, _MOST_WORDS, _LONGEST_WORD = 100, 100, 255

# Optional commands that a server without CAPA may have all the same.
_OPTIONAL = {"TOP": "TOP 1 0", "UIDL": "UIDL"}


@dataclass(frozen=True)
class Observed:
    """What the target showed of itself.

    `capabilities` has a list for each state and layer in which CAPA was answered, such as
    'AUTHORIZATION', 'AUTHORIZATION after STLS', 'AUTHORIZATION in TLS' and 'TRANSACTION';
    `features` are what scenarios may require on the transport of the run, `elsewhere` those
    that other layers announce; `layer_problems` say why a layer cannot be had, and
    `is_refused` that no account is welcome, for good.
    """

    greeting: str = ""
    transports: tuple[Transport, ...] = (Transport.PLAIN,)
    use_apop: bool = False
    capabilities: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    features: frozenset[str] = frozenset()
    elsewhere: dict[str, list[str]] = field(default_factory=dict)
    layer_problems: dict[str, str] = field(default_factory=dict)
    tls_version: str | None = None
    login_problem: str = ""
    is_refused: bool = False
    door_problem: str = ""

    def features_on(self, transport: Transport) -> frozenset[str]:
        """What scenarios may require that run on this transport."""
        if transport is self.transport:
            return self.features
        of_all = {each for each in self.features if each.split(" ")[0] not in _OF_THE_LAYER}
        return frozenset(of_all.union(self.elsewhere.get(transport.value, ())))

    def problem_of(self, transport: Transport) -> str:
        """Why there are no sessions on a transport, '' where there are."""
        return self.layer_problems.get(transport.value, "")

    def mechanisms_on(self, transport: Transport) -> tuple[str, ...] | None:
        """The SASL mechanisms that are announced before the login, None without CAPA."""
        listed = self.listed(transport)
        return None if listed is None else tuple(listed.get("SASL", ()))

    def listed(self, transport: Transport) -> Mapping[str, Sequence[str]] | None:
        """The capabilities before the login on a transport, None without CAPA."""
        return self.capabilities.get(_PLACES[transport])

    @property
    def transport(self) -> Transport:
        """The transport of the scenarios that do not care."""
        return self.transports[0]

    def moved_to(self, transport: Transport) -> "Observed":
        """The same for a run on another transport."""
        left = sorted(each for each in self.features if each.split(" ")[0] in _OF_THE_LAYER)
        return replace(
            self,
            transports=(transport,),
            features=self.features_on(transport),
            elsewhere={**self.elsewhere, self.transport.value: left},
        )

    def as_data(self) -> dict[str, object]:
        """For results.json, and for the processes of a parallel run."""
        return {
            "greeting": self.greeting,
            "transports": [transport.value for transport in self.transports],
            "use_apop": self.use_apop,
            "capabilities": self.capabilities,
            "features": sorted(self.features),
            "elsewhere": self.elsewhere,
            "layer_problems": self.layer_problems,
            "implementation": self.implementation,
            "tls": self.tls_version,
            "login_problem": self.login_problem,
            "is_refused": self.is_refused,
            "door_problem": self.door_problem,
        }

    @property
    def announced(self) -> dict[str, tuple[str, ...]] | None:
        """The capabilities on the transport of the run, as `announced_on` has them."""
        return self.announced_on(self.transport)

    def announced_on(self, transport: Transport) -> dict[str, tuple[str, ...]] | None:
        """The capabilities with their arguments, those after the login first; None without CAPA."""
        before = self.listed(transport)
        after = self.capabilities.get(AFTER_LOGIN, {})
        if transport is not self.transport:
            after = {tag: words for tag, words in after.items() if tag not in _OF_THE_LAYER}
        if before is None and not after:
            return None
        return {tag: tuple(words) for tag, words in {**(before or {}), **after}.items()}

    @property
    def implementation(self) -> str | None:
        """What CAPA says of the implementation (RFC 2449, section 6.9)."""
        for listed in self.capabilities.values():
            if "IMPLEMENTATION" in listed:
                return " ".join(listed["IMPLEMENTATION"])
        return None


def observed_from(data: dict[str, object]) -> Observed:
    """The inverse of `Observed.as_data`."""
    values: dict[str, object] = {
        name: data[name]
        for name in (
            *("greeting", "use_apop", "capabilities", "elsewhere", "layer_problems"),
            *("login_problem", "is_refused", "door_problem"),
        )
    }
    names = data["transports"]
    features = data["features"]
    assert isinstance(names, list)
    assert isinstance(features, list)
    values["transports"] = tuple(Transport(name) for name in names)
    values["features"] = frozenset(features)
    values["tls_version"] = data["tls"]
    return Observed(**values)  # type: ignore[arg-type]  # keys are field names


def reach(target: Target) -> None:
    """TargetError unless something accepts connections at each address of the target."""
    addresses: list[Address] = [target.address]
    if target.tls_address is not None:
        addresses.append(target.tls_address)
    for address in addresses:
        try:
            connect(address, target.timeouts.connect).close()
        except ConnectionFailed as error:
            raise TargetError(f"the target is unreachable: {error}") from error


def probe(
    target: Target,
    mailboxes: list[Mailbox],
    door: Door | None,
    recorder: Recorder,
    logins: Logins | None = None,
) -> Observed:
    """Look at the target; TargetError where nothing can be judged.

    A mailbox that cannot be used gets its `problem`. With a door, one message
    is put into each mailbox and has to be seen there.
    """
    transports = target.transports or (
        (Transport.TLS,) if target.address == target.tls_address else (Transport.PLAIN,)
    )
    observed = Observed(transports=transports)
    session = _open(target, recorder, transports[0])
    _observe_certificate(recorder, session, transports[0])
    observed = _look_before_login(observed, session)
    session.close()
    observed = _look_into_layers(target, recorder, observed)
    if not mailboxes:
        return observed
    logins = logins or Logins()
    logins.announced(observed.listed(observed.transport) or {})
    observed = _log_in_everywhere(target, mailboxes, recorder, observed, logins)
    if observed.login_problem:
        return observed
    if door is not None:
        observed = _try_door(target, mailboxes, door, recorder, observed, logins)
    return observed


def _open(target: Target, recorder: Recorder, transport: Transport) -> Session:
    try:
        return _patiently(partial(open_session, target, recorder, transport, name="probe"))
    except SessionRefused as error:
        address = target.address_for(transport)
        if (
            error.is_unserved
            and transport is not Transport.TLS
            and speaks_tls(address, target.timeouts.connect)
        ):
            raise TargetError(
                f"{address} speaks TLS from the start; name it with --tls-target={address},"
                f" or as pop3s://{address}"
            ) from error
        if error.is_limit and not error.timed_out:
            raise TargetError(f"{address} gives no session: {error}") from error
        raise TargetError(f"{address} cannot be judged: {error}") from error


def _patiently(attempt: Callable[[], Given]) -> Given:
    """What an attempt gives; a target that is busy is asked again."""
    for delay in _BACK_OFF:
        try:
            return attempt()
        except SessionRefused as error:
            if not error.is_limit or error.timed_out:
                raise
            threading.Event().wait(delay)
    return attempt()


def _look_before_login(observed: Observed, session: Session) -> Observed:
    greeting = session.greeting
    line = greeting.reply.status_line if greeting and greeting.reply else b""
    features = set()
    if session.timestamp is not None:
        features.add("APOP")
    shown = show(line.rstrip(b"\r\n"), 512)
    observed = replace(observed, greeting=shown, tls_version=session.tls_version)
    listed = _capabilities(session)
    if listed is None:
        return replace(observed, features=frozenset(features))
    return replace(
        observed,
        capabilities={_PLACES[observed.transport]: listed},
        features=frozenset(features | _features(listed)),
    )


def _look_into_layers(target: Target, recorder: Recorder, observed: Observed) -> Observed:
    """The capabilities in each other layer that there is, or why it cannot be had."""
    if observed.transport is not Transport.TLS or target.address != target.tls_address:
        layers = [Transport.PLAIN]
    else:
        layers = []
    if "STLS" in observed.features or Transport.STLS in observed.transports:
        layers.append(Transport.STLS)
    if target.tls_address is not None:
        layers.append(Transport.TLS)
    for layer in layers:
        if layer is observed.transport:
            continue
        found = _look_into_layer(target, recorder, observed, layer)
        if layer is Transport.PLAIN and "STLS" in found.elsewhere.get(layer.value, ()):
            layers.append(Transport.STLS)  # known only now
        observed = found
    return observed


def _observe_certificate(recorder: Recorder, session: Session, layer: Transport) -> None:
    if session.certificate is not None:
        recorder.observe("server-certificate", f"{layer.value}: {session.certificate}")


def _look_into_layer(
    target: Target, recorder: Recorder, observed: Observed, layer: Transport
) -> Observed:
    try:
        session = _patiently(partial(open_session, target, recorder, layer, name="probe"))
    except SessionRefused as error:
        problems = {**observed.layer_problems, layer.value: str(error)}
        return replace(observed, layer_problems=problems)
    _observe_certificate(recorder, session, layer)
    listed = _capabilities(session)
    features = set() if session.timestamp is None else {"APOP"}
    lists = observed.capabilities
    if listed is not None:
        features |= _features(listed)
        lists = {**lists, _PLACES[layer]: listed}
    version = observed.tls_version or session.tls_version
    session.close()
    elsewhere = {**observed.elsewhere, layer.value: sorted(features)}
    return replace(observed, capabilities=lists, elsewhere=elsewhere, tls_version=version)


def _capabilities(session: Session) -> dict[str, list[str]] | None:
    exchange = session.exchange("CAPA")
    if not exchange.is_ok or exchange.reply is None:
        return None
    return _bounded(capabilities(exchange.reply))


def _bounded(listed: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """As much of a capability list as reports can bear; what is left out is named in it."""
    kept = {
        tag[:_LONGEST_WORD]: [word[:_LONGEST_WORD] for word in words[:_MOST_WORDS]]
        + [f"… ({len(words) - _MOST_WORDS} more)"] * (len(words) > _MOST_WORDS)
        for tag, words in islice(listed.items(), _MOST_TAGS)
    }
    if len(listed) > _MOST_TAGS:
        kept["…"] = [f"({len(listed) - _MOST_TAGS} more)"]
    return kept


def _features(listed: dict[str, list[str]]) -> set[str]:
    mechanisms = {f"SASL {name.upper()}" for name in listed.get("SASL", ())}
    return {"CAPA", *listed, *mechanisms}


def _log_in_everywhere(
    target: Target,
    mailboxes: list[Mailbox],
    recorder: Recorder,
    observed: Observed,
    logins: Logins,
) -> Observed:
    """Log in to each mailbox, and find out how."""
    reasons: list[str] = []
    looked = False
    may_come = False
    for mailbox in mailboxes:
        if mailbox.problem:  # known before anything was said to the target
            reasons.append(mailbox.problem)
            may_come = True
            continue
        try:
            attempt = partial(_first_login, target, mailbox, recorder, observed, logins)
            observed, session = _patiently(attempt)
        except SessionRefused as error:
            who = mailbox.shared or "another session has the mailbox, perhaps of another run"
            held = f"; {who}" if error.is_locked else ""
            mailbox.problem = f"{mailbox.account.user}: {error}{held}"
            reasons.append(mailbox.problem)
            may_come |= error.is_limit or error.wants_tls
            continue
        except _CleartextWithheld as error:
            return replace(observed, login_problem=str(error))
        if not observed.use_apop:
            # It works, whether CAPA announces it or there is no CAPA at all.
            observed = replace(observed, features=observed.features | {"USER"})
        if not looked:
            observed = _look_after_login(observed, session)
            looked = True
        elif "LOGIN-DELAY" in observed.features:
            _capabilities(session)  # which perhaps has another delay for this account
        session.quit()
    if not looked and reasons:
        return replace(observed, login_problem="; ".join(reasons), is_refused=not may_come)
    return observed


class _CleartextWithheld(Exception):
    pass


def _first_login(
    target: Target, mailbox: Mailbox, recorder: Recorder, observed: Observed, logins: Logins
) -> tuple[Observed, Session]:
    """A session in the TRANSACTION state, by the first way that works."""
    refused: SessionRefused | None = None
    for attempt in _ways(target, observed):
        if attempt.transport is Transport.PLAIN and not (
            attempt.use_apop or target.allow_cleartext
        ):
            continue
        session = None
        try:
            session = open_session(
                target,
                recorder,
                attempt.transport,
                name="probe",
                account=mailbox.account,
                capabilities=observed.announced_on(attempt.transport),
                logins=logins,
            )
            session.log_in(mailbox.account, use_apop=attempt.use_apop)
        except SessionRefused as error:
            if session is not None:
                session.close()
            # What is said where TLS is missing hides what is said with it.
            refused = error if refused is None or refused.wants_tls else refused
            if error.is_limit:
                raise
            continue
        chosen = replace(observed, use_apop=attempt.use_apop)
        if not target.transports and attempt.transport is not observed.transport:
            chosen = chosen.moved_to(attempt.transport)
        return replace(chosen, tls_version=session.tls_version or observed.tls_version), session
    if refused is None:
        raise _CleartextWithheld(
            "the password would go over an unencrypted connection;"
            " permit it with --allow-cleartext, or use TLS"
        )
    raise refused


@dataclass(frozen=True)
class _Way:
    transport: Transport
    use_apop: bool = False


def _ways(target: Target, observed: Observed) -> list[_Way]:
    """Ways to log in, the plainest first; the way that worked before leads."""
    if target.transports:
        ways = [_Way(target.transports[0])]
    else:
        ways = [_Way(observed.transport, observed.use_apop)]
        ways += [_Way(observed.transport)]
        if observed.transport is Transport.PLAIN and "STLS" in observed.features:
            ways.append(_Way(Transport.STLS))
        if observed.transport is Transport.PLAIN and target.tls_address is not None:
            ways.append(_Way(Transport.TLS))
        if target.refuses_cleartext:  # no password is sent there to no purpose
            ways = [way for way in ways if way.transport is not Transport.PLAIN] or ways
    if "APOP" in observed.features:
        ways.append(_Way(observed.transport, use_apop=True))
    return list(dict.fromkeys(ways))


def _look_after_login(observed: Observed, session: Session) -> Observed:
    listed = _capabilities(session)
    features = set(observed.features)
    by_state = dict(observed.capabilities)
    if listed is not None:
        by_state[AFTER_LOGIN] = listed
        is_known = observed.listed(observed.transport) is not None
        features |= {
            feature
            for feature in _features(listed)
            if not is_known or feature.split(" ")[0] not in _BEFORE_LOGIN_ALONE
        }
    for feature, line in _OPTIONAL.items():
        if feature not in features and _is_offered(session, line):
            features.add(feature)
    return replace(observed, capabilities=by_state, features=frozenset(features))


def _is_offered(session: Session, line: str) -> bool:
    if not session.is_open:
        return False
    exchange: Exchange = session.exchange(line)
    return exchange.is_ok


PROBE_MESSAGE = (
    b"From: pop3spec <probe@example.org>\r\n"
    b"To: maildrop <user@example.org>\r\n"
    b"Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n"
    b"Subject: one message to see that the door works\r\n"
    b"Message-ID: <probe.1@example.org>\r\n"
    b"\r\n"
    b"This message is removed again.\r\n"
)


def _try_door(
    target: Target,
    mailboxes: list[Mailbox],
    door: Door,
    recorder: Recorder,
    observed: Observed,
    logins: Logins,
) -> Observed:
    """Put one message into each mailbox and look whether the target shows it.

    A mailbox whose door does not work is not used, unless there is no other.
    """
    tried = [mailbox for mailbox in mailboxes if not mailbox.problem]
    # What a delivery leaves behind that was given up is removed at the end of the run.
    for mailbox in tried:
        mailbox.filling += 1
    try:
        # All at once, for a delivery that hangs takes long.
        with ThreadPoolExecutor(_MOST_DELIVERIES) as threads:
            problems = list(threads.map(partial(_put_one_message, door), tried))
        for place, mailbox in enumerate(tried):
            if problems[place]:
                continue
            try:
                found = _see_one_message(target, mailbox, door, recorder, observed, logins)
                observed = replace(observed, features=observed.features | found)
            except DoorError as error:
                problems[place] = str(error)
            except SessionRefused as error:
                mailbox.problem = f"{mailbox.account.user}: {error}"
    except BaseException:
        for mailbox in tried:
            with suppress(DoorError):
                door.clear(mailbox.account.user)
        raise
    if all(problems[place] or mailbox.problem for place, mailbox in enumerate(tried)):
        return replace(observed, door_problem=next(filter(None, problems), ""))
    for mailbox, problem in zip(tried, problems, strict=True):
        if problem:
            mailbox.problem = f"{mailbox.account.user}: {problem}"
    return observed


def _put_one_message(door: Door, mailbox: Mailbox) -> str:
    """Why the door cannot put a message there, '' if it did."""
    try:
        door.fill(mailbox.account.user, [PROBE_MESSAGE])
    except DoorError as error:
        return str(error)
    return ""


def _see_one_message(
    target: Target,
    mailbox: Mailbox,
    door: Door,
    recorder: Recorder,
    observed: Observed,
    logins: Logins,
) -> set[str]:
    """The optional commands that work with a message there; DoorError if it is not."""
    user = mailbox.account.user
    session = None
    try:
        session = open_session(
            target,
            recorder,
            observed.transport,
            name="probe",
            account=mailbox.account,
            may_delete=True,  # all that is there is ours
            capabilities=observed.announced,
            logins=logins,
        )
        session.log_in(mailbox.account, use_apop=observed.use_apop)
        stat = session.exchange("STAT")
        drop = stat.drop_listing
        # Who leaves one command unanswered is asked no more: there may be many accounts.
        listings = session.exchange("LIST").scan_listings if stat.end is None else None
        found = {
            feature
            for feature, line in _OPTIONAL.items()
            if stat.end is None and feature not in observed.features and _is_offered(session, line)
        }
        if stat.end is None:
            session.quit()
    finally:
        if session is not None:
            session.close()
        door.clear(user)
        mailbox.filling += 1
    counts = (drop.count if drop else None, len(listings) if listings is not None else None)
    told = session.history.first_told
    if 1 not in counts and told is not None:
        raise DoorError(
            f"the door {door.name} put 1 message into the maildrop of {user},"
            f" but the target shows {told};"
            " does --maildrop name the place where the target looks?"
        )
    return found
