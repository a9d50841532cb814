"""A connection that judges itself: what scenarios, suites, fuzzing and load drive.

Every exchange is recorded and judged by the rulebook's checks, whoever drives
the session. Our own side is judged too: a line that no client may send has to
be sent as a deliberate one.
"""

import time
from collections.abc import Mapping
from dataclasses import replace

from pop3spec.client_lines import may_mean, problem_of_line
from pop3spec.connection import (
    MAX_REPLY,
    Arrival,
    Connection,
    ConnectionFailed,
    NoCommonVersion,
    TlsVersion,
    tls_context,
)
from pop3spec.harm import HarnessError, MailGuard
from pop3spec.login_delay import Logins, await_turn
from pop3spec.outstanding import Outstanding
from pop3spec.protocol.apop import apop_digest
from pop3spec.protocol.commands import LOGIN, State, is_multiline, keyword
from pop3spec.protocol.listings import timestamps
from pop3spec.recorder import Recorder
from pop3spec.refusals import SessionRefused, refusal
from pop3spec.rulebook.facts import facts_of
from pop3spec.rulebook.history import Filling, History
from pop3spec.rulebook.over_sessions import SessionFacts
from pop3spec.target import Account, Target, Tls
from pop3spec.transcript import End, Exchange, Kind, TlsParameters

# Replies that may take longer: a login (locks, penalties) and UPDATE.
_SLOW = LOGIN | {"QUIT"}
# Commands that no server has to take before the time between two logins is over.
_OF_A_LOGIN = LOGIN | {"USER"}
# Lists of what a server has, and the octets that one may have; no maildrop makes them longer.
_SHORT_LISTS = frozenset({"CAPA", "AUTH", "LANG"})
MAX_LIST = 256 * 1024
# Seconds after a handshake in which a server says what it says unasked.
_GREETS_AGAIN = 0.03
# Seconds between two pieces of a command that is sent in several.
_BETWEEN_PIECES = 0.02
# Seconds in which a server that has answered a piece answers the last one as well.
_ANSWERS_AGAIN = 0.05


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
        self._outstanding = Outstanding()
        self._filling_name = filling_name
        self._guard = MailGuard(may_delete=may_delete)
        self._locked_out = False
        self._answers_pieces = False  # something came before the last piece was sent
        self._patience = patience
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
        exchange = self._record(self._came(Kind.GREETING, arrival, sent_at))
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

    @property
    def bindings(self) -> Mapping[str, bytes]:
        """What binds a SASL exchange to this connection, by type; empty without TLS."""
        return self._connection.bindings()

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
        exchange = self._marked(self._came(Kind.EVENT, arrival, sent_at))
        self._recorder.transcript.append(exchange)
        if exchange.is_closed:
            self._drop()
        return arrival

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
        commands = self._outstanding.commands_in(octets)
        self._guard.check(commands, self._outstanding.sent)
        is_login = any(keyword(line) in _OF_A_LOGIN for line in commands)
        if is_login and self.history.state is State.AUTHORIZATION:
            await_turn(self._logins, self._comes_as)
        self._outstanding.add(octets, self._recorder.now())
        # From QUIT on the server may update the maildrop, answered or not; and a
        # server may take the end of the stream for the end of the line.
        if any(may_mean(line, b"QUIT") for line in commands):
            self._ended = "quit unanswered"
        begin = 0
        for offset in (*pieces, len(octets)):
            if begin:
                # Apart on the wire, and time for a server that answers a piece.
                self._answers_pieces |= self._connection.listen(apart)
            self._connection.send(octets[begin:offset], self._target.timeouts.reply)
            begin = offset

    @property
    def may_quit(self) -> bool:
        """QUIT cannot make anything of others go."""
        return self._guard.may_quit(self._outstanding.sent)

    @property
    def may_update(self) -> bool:
        """QUIT was sent, so that the server may have gone into the UPDATE state."""
        return self._ended != "dropped"

    @property
    def is_waiting(self) -> bool:
        """A command has no reply yet."""
        return bool(self._outstanding)

    def receive(self, timeout: float | None = None) -> Exchange:
        """Wait for the reply to the oldest command that has none."""
        asked = self._outstanding.oldest()
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
        if kind is Kind.COMMAND and not exchange.is_err:
            self._guard.accepted(sent)
        self._outstanding.replied(exchange)
        if exchange.is_closed:
            self._drop()
        elif exchange.end is None and exchange.keyword == "QUIT":
            self._told_of_quit(exchange)
        elif self._answers_pieces and not self._outstanding:
            # The reply to the last piece must not pass for that to the next command.
            self._answers_pieces = False
            self.look(_ANSWERS_AGAIN)
        return exchange

    def _told_of_quit(self, exchange: Exchange) -> None:
        if self.history.quit:
            self._ended = "quit" if exchange.is_ok else "quit refused"
            self._await_close()
        else:
            self._ended = "dropped"  # it was refused, and the session goes on

    def _timeout(self, sent: bytes, kind: Kind) -> float:
        timeouts = self._target.timeouts
        is_slow = kind is Kind.CONTINUATION or keyword(sent) in _SLOW
        return timeouts.login if is_slow else timeouts.reply

    def _await_close(self) -> None:
        sent_at = self._recorder.now()
        arrival = self._connection.until_closed(self._target.timeouts.reply)
        self._record(self._came(Kind.CLOSE, arrival, sent_at))
        self._drop()

    def silence(self, seconds: float) -> Exchange:
        """Wait with nothing outstanding; what came all the same, if anything did."""
        sent_at = self._recorder.now()
        arrival = self._connection.unasked(seconds) or Arrival()
        came = self._came(Kind.SILENCE, arrival, sent_at)
        exchange = self._record(replace(came, deliberate=self._outstanding.may_be_answered))
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
        exchange = self._marked(self._came(Kind.EVENT, arrival, sent_at))
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
                deliberate=self._outstanding.may_be_answered or is_by_chance,
            )
        )
        if exchange.is_closed:
            self._drop()

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

    def leave_maildrop(self) -> None:
        """The login that follows may open another maildrop than that of the account."""
        self.account = None
        self._comes_as = ""
        self._filling_name = ""
        self._guard.forbid()
        self.history = replace(self.history, filling=Filling(may_change=True))

    def _note_login(self, before: History) -> None:
        """Keep when the account was logged in, and what CAPA says of the time until the next."""
        if self._logins is None:
            return
        now, user = self.history, self._comes_as
        is_in = now.state is State.TRANSACTION
        if is_in and before.state is not now.state and user is not None:
            self._logins.succeeded(user)
        if now.lists is not before.lists and now.capabilities is not None:
            self._logins.announced(now.capabilities, user if is_in else None)

    # --- What may come without our doing ---

    def expect_anything(self) -> None:
        """What was sent need not have replies, and what comes is no evidence by itself."""
        self._outstanding.forget()
        # Among it may have been USER.
        self.history = replace(self.history, illegal=True, user_accepted=True, user_was_last=True)

    def expect_end(self) -> None:
        """The server is about to be stopped, so that the connection may end at any time."""
        self.history = replace(self.history, is_ending=True)

    def expect_change(self) -> None:
        """Mail may come or go from now on without this session's doing."""
        self.history = replace(self.history, filling=self.history.filling.changing)

    # --- Ending ---

    def quit(self) -> None:
        """End the session politely if it is still in step, and QUIT does no harm."""
        is_amid = self.is_waiting or self._outstanding.is_unfinished or self.begins_tls
        self.look()
        if self.is_open and not is_amid and self.may_quit:
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
            self._recorder.facts.append(self._facts())

    # --- What is written down ---

    def _came(self, kind: Kind, arrival: Arrival, sent_at: float) -> Exchange:
        return Exchange(
            kind,
            reply=arrival.reply,
            partial=arrival.partial,
            left_out=arrival.left_out,
            end=arrival.end,
            sent_at=sent_at,
            answered_at=self._recorder.now(),
        )

    def _marked(self, exchange: Exchange) -> Exchange:
        return replace(exchange, session=self.name, secure=self._connection.is_secure)

    def _record(self, exchange: Exchange) -> Exchange:
        exchange, before = self._marked(exchange), self.history
        self.history = self._recorder.record(exchange, before)
        self._note_login(before)
        return exchange

    def _facts(self) -> SessionFacts:
        return facts_of(
            self.history,
            account=f"{self.account.user} at {self._target.address}" if self.account else None,
            filling=self._filling_name,
            opened=self._opened,
            closed=time.time(),
            timestamp=self.timestamp,
            ended=self._ended,
            locked_out=self._locked_out,
        )
