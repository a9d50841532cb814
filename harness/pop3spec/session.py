"""A connection that judges itself: what scenarios, suites, fuzzing and load drive.

Every exchange is recorded and judged by the rulebook's checks, whoever drives
the session. Our own side is judged too: a line that no client may send has to
be sent as a deliberate one.
"""

import re
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import md5, sha256

from pop3spec.accounts import Logins
from pop3spec.connection import (
    MAX_REPLY,
    Arrival,
    Connection,
    ConnectionFailed,
    NoCommonVersion,
    TlsVersion,
    connect,
    tls_context,
)
from pop3spec.protocol.commands import State, is_multiline, keyword
from pop3spec.protocol.listings import timestamps
from pop3spec.protocol.sasl import BASE64, decoded
from pop3spec.rulebook.checks import judge
from pop3spec.rulebook.history import Filling, History, says_later
from pop3spec.rulebook.judgement import Broken, Held
from pop3spec.rulebook.observers import Seen, observe
from pop3spec.rulebook.over_sessions import SessionFacts
from pop3spec.rulebook.uses import Use, uses
from pop3spec.target import Account, Address, Target, Tls, Transport
from pop3spec.transcript import End, Exchange, Kind, TlsParameters
from pop3spec.verdict import Finding

# RFC 2449, section 4: the octets of a command line, CRLF included.
MAX_COMMAND = 255
# Replies that may take longer: a login (locks, penalties) and UPDATE.
LOGIN = frozenset({"PASS", "APOP", "AUTH"})
_SLOW = LOGIN | {"QUIT"}
# Lists of what a server has, and the octets that one may have; no maildrop makes them longer.
_SHORT_LISTS = frozenset({"CAPA", "AUTH", "LANG"})
MAX_LIST = 256 * 1024
# Seconds after a handshake in which a server says what it says unasked.
_GREETS_AGAIN = 0.03
# Seconds between two pieces of a command that is sent in several.
_BETWEEN_PIECES = 0.02
# More unique-ids than this are not carried to the judgement over sessions.
_MAX_FACTS = 300


# Seconds between two logins to one account that are waited for; with more there is no second.
MAX_LOGIN_DELAY = 120
_OF_A_LOGIN = LOGIN | {"USER"}


class HarnessError(Exception):
    """pop3spec itself did something that it must not do."""


class SessionRefused(Exception):
    """The target gave no session: a limit of the target, not yet a fault of it.

    `is_limit` says that the target may give one later: it was refused or
    dropped, or answered with [IN-USE], [LOGIN-DELAY] or [SYS/TEMP]. `wants_tls`
    says that its words are about encryption, not about the account, `is_unserved`
    that there was no connection, or no greeting on it, `is_locked` that another
    session has the maildrop. `is_lost`: the target may be gone, since it gave no answer, or
    turned us away before we said anything; `is_full`: it took the connection, and did that.
    """

    def __init__(
        self,
        reason: str,
        *,
        is_limit: bool,
        timed_out: bool = False,
        wants_tls: bool = False,
        is_unserved: bool = False,
        is_locked: bool = False,
        is_lost: bool = False,
        is_full: bool = False,
    ) -> None:
        super().__init__(reason)
        self.is_limit = is_limit
        self.timed_out = timed_out
        self.wants_tls = wants_tls
        self.is_unserved = is_unserved
        self.is_locked = is_locked
        self.is_lost = is_lost or is_unserved
        self.is_full = is_full


class TooEarly(SessionRefused):
    """The target wants so much time between two logins that it is not waited for."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"the target wants {seconds:.0f} s more before the next login (LOGIN-DELAY)",
            is_limit=False,
        )


@dataclass
class Recorder:
    """The transcript and the judgements of all sessions of one test."""

    begun: float = field(default_factory=time.monotonic)
    transcript: list[Exchange] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    exercised: set[str] = field(default_factory=set)
    facts: list[SessionFacts] = field(default_factory=list)
    broken_at: dict[int, set[str]] = field(default_factory=dict)
    observations: set[Seen] = field(default_factory=set)
    uses: set[Use] = field(default_factory=set)
    announces_more: bool = False  # the server has capabilities that the target has not
    _broken: set[str] = field(default_factory=set)

    def now(self) -> float:
        """Seconds since the test began."""
        return time.monotonic() - self.begun

    def record(self, exchange: Exchange, before: History) -> History:
        """Judge an exchange and keep it; what the session has shown then."""
        self.transcript.append(exchange)
        for rule, judgement in judge(exchange, before):
            self.exercised.add(rule)
            if isinstance(judgement, Broken):
                self._keep(rule, judgement)
        self.observations.update(observe(exchange, before))
        if not self.announces_more:
            self.uses.update(uses(exchange, before))
        return before.after(exchange)

    def observe(self, observation: str, value: str) -> None:
        """Keep what was seen of something that an RFC leaves free."""
        self.observations.add((observation, value))

    def judged(self, rule: str, judgement: Held | Broken) -> None:
        """Keep what was said of a rule by somebody who knows more than the exchanges show."""
        self.exercised.add(rule)
        if isinstance(judgement, Broken):
            self._keep(rule, judgement)

    def _keep(self, rule: str, judgement: Broken) -> None:
        place = len(self.transcript) - 1
        self.broken_at.setdefault(place, set()).add(rule)
        # One finding for each rule and test: the first shows the bytes.
        if rule not in self._broken:
            self._broken.add(rule)
            self.findings.append(Finding(rule, judgement.got, exchange=place))

    def forget(self, rule: str, since: int) -> None:
        """Take back a finding on a rule, if it came behind so many findings."""
        for place in range(since, len(self.findings)):
            if self.findings[place].rule == rule:
                self._broken.discard(rule)
                del self.findings[place]
                return

    def note(self, session: str, text: str) -> None:
        """Keep what happened beside the exchanges."""
        now = self.now()
        self.transcript.append(
            Exchange(Kind.EVENT, sent_at=now, answered_at=now, session=session, note=text)
        )


@dataclass(frozen=True)
class _Outstanding:
    sent: bytes
    sent_at: float
    deliberate: bool
    kind: Kind = Kind.COMMAND


class Session:
    """One POP3 session with the target, from greeting to close.

    `exchange` sends one command and returns the exchange with its reply.
    """

    def __init__(
        self,
        connection: Connection,
        target: Target,
        recorder: Recorder,
        *,
        name: str = "first",
        account: Account | None = None,
        filling: Filling | None = None,
        filling_name: str = "",
        may_delete: bool = False,
        patience: float = 0.0,
        capabilities: Mapping[str, tuple[str, ...]] | None = None,
        host: str | None = None,
        logins: Logins | None = None,
    ) -> None:
        self.name = name
        self._logins = logins
        # Whose next login has to wait for this one: a name, '' of whom the mechanism says.
        self._comes_as = account.user if account is not None else None
        self._host = host or target.address.host
        self.account = account
        self.history = History(filling=filling or Filling(), capabilities=capabilities)
        self.greeting: Exchange | None = None
        self.is_open = True
        self._connection = connection
        self._target = target
        self._recorder = recorder
        self._outstanding: deque[_Outstanding] = deque()
        self._unfinished = b""
        self._filling_name = filling_name
        self._may_delete = may_delete
        self._has_read = False
        self._locked_out = False
        self._patience = patience
        self._named_user = False
        self._is_challenged = False
        self._opened = time.time()
        self._ended = "dropped"
        self._facts_taken = False
        self._is_left = False
        self._handshake_took = 0.0

    # --- Opening ---

    def read_greeting(self) -> Exchange:
        """Wait for the greeting; SessionRefused where none comes or it is negative."""
        sent_at = self._recorder.now()
        arrival = self._connection.next_reply(
            multiline=False, timeout=self._target.timeouts.connect
        )
        exchange = self._record(
            Exchange(
                Kind.GREETING,
                reply=arrival.reply,
                partial=arrival.partial,
                left_out=arrival.left_out,
                end=arrival.end,
                sent_at=sent_at,
                answered_at=self._recorder.now(),
            )
        )
        self.greeting = exchange
        if arrival.reply is None:
            self._drop()
            raise SessionRefused(
                f"no greeting: {arrival.end.value if arrival.end else 'nothing came'}",
                is_limit=True,
                timed_out=arrival.end is End.TIMEOUT,
                is_unserved=True,
                is_full=exchange.is_closed,
            )
        if exchange.is_err:
            self._drop()
            raise SessionRefused(
                "the greeting refuses the service", is_limit=True, is_lost=True, is_full=True
            )
        return exchange

    @property
    def timestamp(self) -> bytes | None:
        """The APOP timestamp of the greeting, None without one."""
        if self.greeting is None or self.greeting.reply is None:
            return None
        return next(iter(timestamps(self.greeting.reply.status_line)), None)

    def apop_digest(self, password: str) -> str:
        """The digest for this session's greeting (RFC 1939, section 7)."""
        return apop_digest(self.timestamp or b"", password)

    def start_tls(self) -> None:
        """STLS and the handshake; SessionRefused where the server does not want it."""
        exchange = self.exchange("STLS")
        if not exchange.is_ok:
            raise SessionRefused("STLS is refused", is_limit=False)
        # What came in the clear behind the reply must not pass for something in TLS.
        self.look()
        if not self.is_open:
            raise SessionRefused(
                "the connection ended behind the +OK to STLS", is_limit=True, is_lost=True
            )
        self.secure()
        self.look_for_another_greeting()

    def look_for_another_greeting(self) -> None:
        """Record what comes behind a handshake, before it passes for the reply to a command."""
        # A server that is slow with the handshake is slow with what it says behind it.
        self.pause(max(_GREETS_AGAIN, 2 * self._handshake_took, self._patience))
        self.look()

    @property
    def begins_tls(self) -> bool:
        """STLS was accepted, and nothing was said since."""
        last = self.history.last
        return last is not None and last.keyword == "STLS" and last.is_ok

    def secure(self, tls: Tls | None = None, only: TlsVersion | None = None) -> None:
        """The TLS handshake, from our side; ConnectionFailed where there is none.

        `tls` is trusted instead of what the target wants, and `only` this version is offered.
        """
        context = tls_context(tls or self._target.tls, only)
        begun = time.monotonic()
        try:
            self._connection.start_tls(context, self.server_name, self._target.timeouts.connect)
        except ConnectionFailed as error:
            if isinstance(error, NoCommonVersion) and only is None:
                self._shook_hands(str(error), None)
            else:
                self._recorder.note(self.name, str(error))
            self._drop()
            raise
        self._handshake_took = time.monotonic() - begun
        connection = self._connection
        parameters = TlsParameters(connection.tls_version or "", connection.cipher_suite or "")
        self._shook_hands("TLS handshake", parameters)

    def _shook_hands(self, note: str, tls: TlsParameters | None) -> None:
        now = self._recorder.now()
        self._record(Exchange(Kind.HANDSHAKE, sent_at=now, answered_at=now, note=note, tls=tls))

    @property
    def server_name(self) -> str:
        """The name that the server's certificate has to have."""
        return self._target.tls.name or self._host

    @property
    def tls_version(self) -> str | None:
        """The version of TLS, None in the clear."""
        return self._connection.tls_version

    @property
    def cipher_suite(self) -> str | None:
        """The cipher suite of TLS, None in the clear."""
        return self._connection.cipher_suite

    @property
    def certificate(self) -> str | None:
        """Names and end of the server's certificate, None where it was not verified."""
        return self._connection.certificate

    # --- Octets that are no POP3 ---

    def send_raw(self, octets: bytes, what: str) -> None:
        """Send octets that are none of POP3, under a name for the transcript.

        Replies are not waited for, and from now on anything may come.
        """
        self._recorder.note(self.name, f"sent: {what}")
        self._connection.send(octets, self._target.timeouts.reply)
        self.expect_anything()

    def pour(self, octets: bytes, what: str, seconds: float) -> Arrival:
        """Send octets that are none of POP3, and nothing behind them; what comes to the close."""
        self._recorder.note(self.name, f"sent: {what}")
        self._connection.send(octets, self._target.timeouts.reply)
        self._connection.end_sending()
        self._is_left = True
        self.expect_anything()
        self.expect_end()
        return self.hear(seconds, to_the_end=True)

    def pause(self, seconds: float) -> None:
        """Give the server a moment, and leave what it says to whoever reads next."""
        self._connection.listen(seconds)

    def hear(self, seconds: float, *, to_the_end: bool = False) -> Arrival:
        """What comes within the time, whatever it is; with `to_the_end` until the close."""
        sent_at = self._recorder.now()
        if to_the_end:
            arrival = self._connection.until_closed(seconds)
        else:
            arrival = self._connection.unasked(seconds) or Arrival()
        exchange = Exchange(
            Kind.EVENT,
            partial=arrival.partial,
            left_out=arrival.left_out,
            end=arrival.end,
            sent_at=sent_at,
            answered_at=self._recorder.now(),
            session=self.name,
            secure=self._connection.is_secure,
        )
        self._recorder.transcript.append(exchange)
        if exchange.is_closed:
            self._drop()
        return arrival

    def expect_anything(self) -> None:
        """What was sent need not have replies, and what comes is no evidence by itself."""
        self._outstanding.clear()
        self._unfinished = b""
        # Among it may have been USER.
        self.history = replace(self.history, illegal=True, user_accepted=True, user_was_last=True)

    @property
    def bindings(self) -> Mapping[str, bytes]:
        """What binds a SASL exchange to this connection, by type; empty without TLS."""
        return self._connection.bindings()

    # --- Commands and replies ---

    def exchange(self, line: str) -> Exchange:
        """Send one legal command line, CRLF added, and wait for its reply."""
        self.send(line)
        return self.receive()

    def send(self, line: str) -> None:
        """Send one legal command line, CRLF added."""
        octets = line.encode() + b"\r\n"
        problem = problem_of_line(octets)
        if problem:
            raise HarnessError(f"pop3spec would send {keyword(octets)!r}: {problem}")
        self.send_octets(octets)

    def send_octets(
        self, octets: bytes, pieces: tuple[int, ...] = (), *, apart: float = _BETWEEN_PIECES
    ) -> None:
        """Send octets as they are, cut at the given offsets; each line is a command.

        What no client may send is marked as deliberate. `apart` is how many seconds lie
        between two pieces, unless something comes before.
        """
        if self._is_left:
            raise HarnessError("pop3spec would send on a connection that it has closed")
        self.look()
        lines = (self._unfinished + octets).split(b"\n")
        is_reading = self._is_reading
        answers = self._is_challenged and not problem_of_answer(lines[0] + b"\n")
        commands = lines[1:] if answers else lines[:]  # with the one that has no end yet
        for line in commands:
            self._guard(line, is_reading=is_reading)
            is_reading |= _reads(_read_as(line))
        self._unfinished = lines.pop()
        is_login = any(keyword(line) in _OF_A_LOGIN for line in commands)
        if is_login and self.history.state is State.AUTHORIZATION:
            _await_turn(self._logins, self._comes_as)
        now = self._recorder.now()
        for line in lines:
            sent = line + b"\n"
            # What answers a challenge is no command (RFC 5034, section 4).
            kind = Kind.CONTINUATION if self._is_challenged else Kind.COMMAND
            problem = problem_of_answer if self._is_challenged else problem_of_line
            # A long response may be taken for several commands: that alone is judged then.
            is_long = self._is_challenged and len(sent) > MAX_COMMAND
            deliberate = is_long or bool(problem(sent))
            self._outstanding.append(_Outstanding(sent, now, deliberate, kind))
            self._is_challenged = False
        # From QUIT on the server may update the maildrop, answered or not; and a
        # server may take the end of the stream for the end of the line.
        if any(b"QUIT" in _read_as(line) for line in commands):
            self._ended = "quit unanswered"
        begin = 0
        for offset in (*pieces, len(octets)):
            if begin:
                # Apart on the wire, and time for a server that answers a piece.
                self._connection.listen(apart)
            self._connection.send(octets[begin:offset], self._target.timeouts.reply)
            begin = offset

    def _guard(self, line: bytes, *, is_reading: bool) -> None:
        seen = _read_as(line)
        self._named_user |= any(word in seen for word in (b"USER", b"APOP", b"AUTH"))
        # Before any name was given there is no maildrop that it could mean.
        if b"DELE" in seen and self._named_user and not self._may_delete:
            raise HarnessError("pop3spec would send DELE for mail that it did not deliver")
        if b"QUIT" in seen and is_reading and self._named_user and not self._may_delete:
            raise HarnessError("pop3spec would send QUIT behind mail that it did not deliver")

    @property
    def may_quit(self) -> bool:
        """QUIT cannot make anything of others go.

        A site may remove at QUIT what was retrieved (RFC 1939, section 8).
        """
        return self._may_delete or not self._is_reading

    @property
    def may_update(self) -> bool:
        """QUIT was sent, so that the server may have gone into the UPDATE state."""
        return self._ended != "dropped"

    @property
    def _is_reading(self) -> bool:
        """A message, or a part of one, was retrieved or is asked for."""
        return self._has_read or any(_reads(_read_as(each.sent)) for each in self._outstanding)

    @property
    def is_waiting(self) -> bool:
        """A command has no reply yet."""
        return bool(self._outstanding)

    def receive(self, timeout: float | None = None) -> Exchange:
        """Wait for the reply to the oldest command that has none."""
        asked = self._outstanding.popleft() if self._outstanding else None
        sent = asked.sent if asked else b""
        kind = asked.kind if asked else Kind.COMMAND
        if timeout is None:
            timeout = self._timeout(sent, kind)
        now = self._recorder.now()
        multiline = kind is Kind.COMMAND and is_multiline(sent)
        most = MAX_LIST if keyword(sent) in _SHORT_LISTS else MAX_REPLY
        arrival = self._connection.next_reply(multiline=multiline, timeout=timeout, most=most)
        exchange = self._record(
            Exchange(
                kind,
                sent=sent,
                reply=arrival.reply,
                partial=arrival.partial,
                left_out=arrival.left_out,
                end=arrival.end,
                sent_at=asked.sent_at if asked else now,
                answered_at=self._recorder.now(),
                deliberate=asked.deliberate if asked else True,
                is_followed=bool(self._outstanding),
            )
        )
        if exchange.keyword in LOGIN and exchange.is_err:
            self._locked_out = refusal(exchange).is_locked
        is_command = kind is Kind.COMMAND
        if is_command and self._named_user and _reads(_read_as(sent)) and not exchange.is_err:
            self._has_read = True
        self._is_challenged = exchange.continues_sasl
        if self._is_challenged and self._outstanding:
            # Sent too early, so it is no command either.
            early = replace(self._outstanding[0], kind=Kind.CONTINUATION, deliberate=True)
            self._outstanding[0], self._is_challenged = early, False
        if arrival.end is not None:
            self._outstanding.clear()
            if exchange.is_closed:
                self._drop()
        elif self.history.quit and exchange.keyword == "QUIT":
            self._ended = "quit" if exchange.is_ok else "quit refused"
            self._await_close()
        elif exchange.keyword == "QUIT":
            self._ended = "dropped"  # it was refused, and the session goes on
        return exchange

    def _timeout(self, sent: bytes, kind: Kind) -> float:
        timeouts = self._target.timeouts
        is_slow = kind is Kind.CONTINUATION or keyword(sent) in _SLOW
        return timeouts.login if is_slow else timeouts.reply

    def _await_close(self) -> None:
        sent_at = self._recorder.now()
        arrival = self._connection.until_closed(self._target.timeouts.reply)
        self._record(
            Exchange(
                Kind.CLOSE,
                partial=arrival.partial,
                left_out=arrival.left_out,
                end=arrival.end,
                sent_at=sent_at,
                answered_at=self._recorder.now(),
            )
        )
        self._drop()

    def silence(self, seconds: float) -> Exchange:
        """Wait with nothing outstanding; what came all the same, if anything did."""
        sent_at = self._recorder.now()
        arrival = self._connection.unasked(seconds)
        exchange = self._record(
            Exchange(
                Kind.SILENCE,
                partial=arrival.partial if arrival else b"",
                end=arrival.end if arrival else None,
                sent_at=sent_at,
                answered_at=self._recorder.now(),
                deliberate=self._is_provoked,
            )
        )
        if exchange.is_closed:
            self._drop()
        return exchange

    def await_close(self, timeout: float) -> Exchange:
        """Wait for the server to close the connection."""
        last = self._recorder.transcript[-1]
        if not self.is_open and last.session == self.name:
            return last
        sent_at = self._recorder.now()
        arrival = self._connection.until_closed(timeout)
        exchange = Exchange(
            Kind.EVENT,
            partial=arrival.partial,
            left_out=arrival.left_out,
            end=arrival.end,
            sent_at=sent_at,
            answered_at=self._recorder.now(),
            session=self.name,
        )
        self._recorder.transcript.append(exchange)
        if exchange.is_closed:
            self._drop()
        return exchange

    def look(self, within: float = 0.0, *, leaving: bool = False) -> None:
        """Record what has arrived, or arrives within the time, although nothing was outstanding.

        To who is leaving, a close behind a refusal may come in time or too late, so it is no
        evidence.
        """
        if self._outstanding or not self.is_open:
            return
        arrival = self._connection.unasked(max(within, self._patience))
        if arrival is None:
            return
        last = self.history.last
        is_by_chance = leaving and not arrival.partial and last is not None and last.is_err
        now = self._recorder.now()
        exchange = self._record(
            Exchange(
                Kind.UNASKED,
                partial=arrival.partial,
                left_out=arrival.left_out,
                end=arrival.end,
                sent_at=now,
                answered_at=now,
                deliberate=self._is_provoked or is_by_chance,
            )
        )
        if exchange.is_closed:
            self._drop()

    @property
    def _is_provoked(self) -> bool:
        """Something was sent that may bring about octets of its own, or a close."""
        return bool(self._outstanding) or _may_be_cut(self._unfinished)

    def _record(self, exchange: Exchange) -> Exchange:
        exchange = replace(exchange, session=self.name, secure=self._connection.is_secure)
        before = self.history
        self.history = self._recorder.record(exchange, before)
        if self._logins is not None:
            self._note_login(self._logins, before)
        return exchange

    def _note_login(self, logins: Logins, before: History) -> None:
        """Keep when the account was logged in, and what CAPA says of the time until the next."""
        now, user = self.history, self._comes_as
        is_in = now.state is State.TRANSACTION
        if is_in and before.state is not now.state and user is not None:
            logins.succeeded(user)
        if now.lists is not before.lists and now.capabilities is not None:
            logins.announced(now.capabilities, user if is_in else None)

    # --- Logging in ---

    def log_in(self, account: Account, *, use_apop: bool = False) -> None:
        """Bring the session to the TRANSACTION state; SessionRefused where it fails."""
        self.account, self._comes_as = account, account.user
        found = len(self._recorder.findings)
        if use_apop:
            replies = [self.exchange(f"APOP {account.user} {self.apop_digest(account.password)}")]
        else:
            replies = [self.exchange(f"USER {account.user}")]
            if replies[0].is_ok:
                replies.append(self.exchange(f"PASS {account.password}"))
        if replies[-1].is_ok:
            return
        if replies[-1].is_closed:
            # In preparation a drop is first a limit of the target.
            self._recorder.forget("rfc1939-3-stays-open", found)
        raise refusal(replies[-1])

    # --- Ending ---

    def facts(self) -> SessionFacts:
        """What this session shows for the judgement over several sessions."""
        history = self.history
        ids = history.unique_ids if "UIDL" in history.first_counts else None
        few = len(history.unique_ids) <= _MAX_FACTS
        return SessionFacts(
            account=f"{self.account.user} at {self._target.address}" if self.account else None,
            filling=self._filling_name,
            opened=self._opened,
            closed=time.time(),
            timestamp=self.timestamp.decode("latin-1") if self.timestamp else None,
            counts=dict(history.first_counts),
            unique_ids=(
                {number: uid.decode("latin-1") for number, uid in ids.items()}
                if ids is not None and few
                else None
            ),
            sizes=dict(history.sizes) if len(history.sizes) <= _MAX_FACTS else {},
            digests={
                number: sha256(content.body_digest).hexdigest()[:16]
                for number, content in history.contents.items()
            },
            marked=tuple(sorted(history.marked)),
            ended=self._ended,
            expires=_expires(history.capabilities or {}),
            keeps=(history.capabilities or {}).get("EXPIRE", ())[:1] == ("NEVER",),
            # A reply may have been taken for that to another command.
            may_change=history.filling.may_change or history.is_out_of_step,
            logged_in=history.state is State.TRANSACTION,
            locked_out=self._locked_out,
            challenges=history.challenges[:_MAX_FACTS],
        )

    def expect_end(self) -> None:
        """The server is about to be stopped, so that the connection may end at any time."""
        self.history = replace(self.history, is_ending=True)

    def leave_maildrop(self) -> None:
        """The login that follows may open another maildrop than that of the account."""
        self.account = None
        self._comes_as = ""
        self._filling_name = ""
        self._may_delete = False
        self.history = replace(self.history, filling=Filling(may_change=True))

    def expect_change(self) -> None:
        """Mail may come or go from now on without this session's doing."""
        self.history = replace(self.history, filling=self.history.filling.changing)

    def quit(self) -> None:
        """End the session politely if it is still in step, and QUIT does no harm."""
        is_in_step = not self._outstanding and not self._unfinished and not self.begins_tls
        self.look()
        if self.is_open and is_in_step and self.may_quit:
            self.exchange("QUIT")
        self.close()

    def close(self) -> None:
        """End the connection from our side, without QUIT."""
        self.look(leaving=True)
        if self.is_open:
            self._is_left = True
            self._connection.close()
        self._drop()

    def end_sending(self) -> None:
        """End our direction of the connection, without QUIT, and go on to read."""
        self.look(leaving=True)
        if self.is_open:
            self._is_left = True
            self._connection.end_sending()
            self.expect_end()  # nothing can be asked any more

    def reset(self, *, at_once: bool = False) -> None:
        """Break the connection from our side (RST); `at_once`: whatever has come meanwhile."""
        if not at_once:
            self.look(leaving=True)
        if self.is_open:
            self._is_left = True
            self._connection.reset()
        self._drop()

    def _drop(self) -> None:
        if self.is_open:
            self.is_open = False
            self._connection.close()
        if not self._facts_taken and self.greeting is not None:
            self._facts_taken = True
            self._recorder.facts.append(self.facts())


def _expires(capabilities: Mapping[str, tuple[str, ...]]) -> bool:
    """Retrieved messages may go at QUIT, by an announced policy (RFC 2449, section 6.7)."""
    return capabilities.get("EXPIRE", ("NEVER",))[:1] != ("NEVER",)


_CONTROL = re.compile(rb"[\x00-\x1f]")


def _may_be_cut(line: bytes) -> bool:
    """A server may take this for several commands, or for one before it has an end."""
    unended = line.rstrip(b"\r\n")
    return len(unended) + 2 > MAX_COMMAND or _CONTROL.search(unended) is not None


def _read_as(line: bytes) -> bytes:
    """In capitals, where a server may find a keyword: anywhere, if it may cut the line."""
    return line.upper() if _may_be_cut(line) else keyword(line).encode("latin-1")


def _reads(seen: bytes) -> bool:
    """A command, as `_read_as` gives it, that may send a message, or a part of one."""
    return any(word in seen for word in (b"RETR", b"TOP"))


def problem_of_line(line: bytes) -> str:
    """Why no client may send this line, '' if it may (RFC 1939, section 3)."""
    if not line.endswith(b"\r\n"):
        return "it does not end with CRLF"
    if len(line) > MAX_COMMAND:
        return f"{len(line)} octets are more than {MAX_COMMAND}"
    text = line[:-2]
    if keyword(line) == "AUTH" and _has_line_end(text.rpartition(b" ")[2]):
        return "it has a line end in its base64"
    if not text.strip():
        return "it has no keyword"
    if not text.isascii():
        if keyword(line) not in _MAY_BE_UTF8:
            return "it has octets outside of ASCII"
        if not _is_utf8(text):
            return "it is not UTF-8"
    if _CONTROL.search(text) or b"\x7f" in text:
        return "it has control characters"
    return ""


# RFC 6856, section 2.2.
_MAY_BE_UTF8 = ("USER", "PASS", "APOP")


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True


_ANSWER = re.compile(BASE64 + rb"|\*")


def problem_of_answer(line: bytes) -> str:
    """Why no client may answer a challenge so, '' if it may (RFC 5034, section 4)."""
    if not line.endswith(b"\r\n"):
        return "it does not end with CRLF"
    if _ANSWER.fullmatch(line[:-2]) is None:
        return "it is neither base64 nor '*'"
    return "it has a line end in its base64" if _has_line_end(line[:-2]) else ""


def _has_line_end(text: bytes) -> bool:
    """A server may take what it decodes for several lines; no name or password has one."""
    octets = decoded(text)
    return octets is not None and (b"\r" in octets or b"\n" in octets)


def apop_digest(timestamp: bytes, secret: str) -> str:
    """The digest that APOP gives (RFC 1939, section 7)."""
    return md5(timestamp + secret.encode(), usedforsecurity=False).hexdigest()


_ABOUT_ENCRYPTION = (b"SSL", b"TLS", b"ENCRYPT", b"SECURE", b"PLAINTEXT", b"CLEARTEXT")


def refusal(exchange: Exchange) -> SessionRefused:
    """Why a login did not succeed, and whether it may succeed later."""
    if exchange.reply is None:
        end = exchange.end.value if exchange.end else "no reply"
        return SessionRefused(
            f"no reply to {exchange.keyword}: {end}",
            is_limit=True,
            timed_out=exchange.end is End.TIMEOUT,
            is_lost=True,
        )
    text = exchange.reply.text.upper()
    locked = text.startswith(b"[IN-USE]") or b"LOCK" in text
    later = locked or says_later(exchange)
    words = "is refused for now" if later else "is refused"
    return SessionRefused(
        f"the login ({exchange.keyword}) {words}",
        is_limit=later,
        is_locked=locked,
        wants_tls=any(word in text for word in _ABOUT_ENCRYPTION),
    )


def open_session(
    target: Target,
    recorder: Recorder,
    transport: Transport = Transport.PLAIN,
    *,
    name: str = "first",
    account: Account | None = None,
    filling: Filling | None = None,
    filling_name: str = "",
    may_delete: bool = False,
    source: str | None = None,
    patience: float = 0.0,
    capabilities: Mapping[str, tuple[str, ...]] | None = None,
    logins: Logins | None = None,
) -> Session:
    """A new session in the AUTHORIZATION state; SessionRefused where there is none.

    Where the target wants time between two logins, `logins` has when this account may come.
    """
    address = target.address_for(transport)
    # Not on a connection, on which the server does not wait as long for the name.
    _await_turn(logins, account.user if account is not None else None)
    connection = _connected(address, target, source)
    session = Session(
        connection,
        target,
        recorder,
        name=name,
        account=account,
        filling=filling,
        filling_name=filling_name,
        may_delete=may_delete,
        patience=patience,
        capabilities=capabilities,
        host=address.host,
        logins=logins,
    )
    try:
        if transport is Transport.TLS:
            session.secure()
        session.read_greeting()
        if transport is Transport.STLS:
            session.start_tls()
    except ConnectionFailed as error:
        session.close()
        raise SessionRefused(str(error), is_limit=False) from error
    except SessionRefused:
        session.close()
        raise
    return session


def _await_turn(logins: Logins | None, user: str | None) -> None:
    """Wait until an account may log in; TooEarly where that takes too long."""
    if logins is None or user is None:
        return
    missing = logins.missing(user)
    if missing > MAX_LOGIN_DELAY + logins.grace:
        raise TooEarly(missing)
    if missing:
        logins.stopped.wait(missing)


def connected(
    target: Target,
    recorder: Recorder,
    transport: Transport = Transport.PLAIN,
    *,
    name: str = "first",
    source: str | None = None,
) -> Session:
    """A connection to the port for a transport, of which nothing was read yet."""
    address = target.address_for(transport)
    connection = _connected(address, target, source)
    return Session(connection, target, recorder, name=name, host=address.host)


def _connected(address: Address, target: Target, source: str | None) -> Connection:
    try:
        return connect(address, target.timeouts.connect, source)
    except ConnectionFailed as error:
        raise SessionRefused(str(error), is_limit=True, is_unserved=True) from error
