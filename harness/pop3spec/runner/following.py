"""The steps of a scenario: what is sent, and what comes back, held against what is expected."""

from collections.abc import Sequence, Set

from pop3spec.authentication import authenticate
from pop3spec.connection import CertificateRejected, ConnectionFailed
from pop3spec.expectations import Unmet, got_instead, unmet
from pop3spec.recorder import Recorder
from pop3spec.rulebook.judgement import may_close
from pop3spec.rulebook.observers import came_back
from pop3spec.runner.accusing import Accuser, shown_step
from pop3spec.runner.blocked import Blocked
from pop3spec.runner.case import Case
from pop3spec.runner.credentials import credentials, tells_password
from pop3spec.runner.filling import Filler
from pop3spec.runner.judge import Judge
from pop3spec.runner.sessions import Sessions
from pop3spec.runner.unjudged import (
    leave_drops_unjudged,
    leave_limits_unjudged,
    leave_mechanisms_unjudged,
    leave_the_end_unjudged,
)
from pop3spec.sasl import NOT_BY_NAME, Identity, begin, encoding
from pop3spec.scenario import Authenticate, ClientClose, Observe, Status, Step
from pop3spec.session import Session
from pop3spec.target import Transport
from pop3spec.template import fill
from pop3spec.transcript import End, Exchange, Kind

# Seconds within which a server that ends the session behind a refusal does so.
_ENDS_WITHIN = 0.05


class Follower:
    """Does what the steps of a scenario say, as far as what comes back lets it."""

    def __init__(
        self, judge: Judge, case: Case, recorder: Recorder, filler: Filler, sessions: Sessions
    ) -> None:
        self._judge = judge
        self._case = case
        self._recorder = recorder
        self._filler = filler
        self._sessions = sessions
        self._accuser = Accuser(case.scenario, recorder)
        # What is filled in, by name; replies add what steps save.
        self._values: dict[str, bytes] = {}
        if case.mailbox is not None and case.scenario.needs_account:
            self._values["user"] = case.mailbox.account.user.encode()
            self._values["password"] = case.mailbox.account.password.encode()

    def follow(self) -> None:
        """Do the steps, up to the first whose expectation is not met."""
        for step in self._case.scenario.steps:
            if self._judge.stopped.is_set():
                raise Blocked("the run was interrupted")
            if step.deliver:
                self._filler.deliver(step.deliver)
                self._sessions.expect_change()
                continue
            session = self._sessions.named(step.session)
            if not self._follow(step, session):
                return

    def _follow(self, step: Step, session: Session) -> bool:
        """Do one step; False if its expectation is not met, which ends the scenario."""
        if step.close is not None:
            session.reset() if step.close is ClientClose.RESET else session.close()
            return True
        if step.handshake is not None:
            is_due = session.begins_tls
            session.look()
            if not session.is_open and not is_due:
                return self._may_be_closed(step, session)
            return self._secure(step, session)
        begun, found = len(self._recorder.transcript), len(self._recorder.findings)
        if not step.waits:
            session.look(_ENDS_WITHIN if _may_hide_an_end(step, session) else 0.0)
            if not session.is_open:
                self._leave_drops_unjudged(session, found)
                # Closed before the command or instead of its reply: the same to who allows it.
                return self._may_be_closed(step, session)
            if step.authenticate is None:
                self._send(step, session)
        was_out_of_step = session.history.is_out_of_step
        problem = self._await(step, session)
        if step.observe is not None:
            self._observe(step.observe, self._recorder.transcript[begun:])
        leave_the_end_unjudged(session)
        if problem is not None or len(self._recorder.findings) > found:
            self._leave_drops_unjudged(session, found)
        if problem is None:
            return True
        if not was_out_of_step:  # else what came may be the reply to another command
            self._accuser.blame(step, problem, begun)
        return False

    def _leave_drops_unjudged(self, session: Session, found: int) -> None:
        is_beside = self._sessions.any_open_beside(session)
        leave_drops_unjudged(session, self._recorder, found, is_beside=is_beside)

    def _may_be_closed(self, step: Step, session: Session) -> bool:
        """The step wants no more than the close; False where a rule was broken by it."""
        allowed = may_close(session.history)
        if allowed and step.expect is not None and step.expect.may_close:
            self._accuser.exercise(step)
            return True
        if allowed:
            raise Blocked(f"the server closed the connection, as it may, before {shown_step(step)}")
        if not self._recorder.findings:
            raise Blocked(f"the session is closed before {shown_step(step)}")
        return False

    def _observe(self, observation: Observe, exchanges: Sequence[Exchange]) -> None:
        came = ", ".join(came_back(each) for each in exchanges if each.kind is not Kind.EVENT)
        way = f"{observation.of}: " if observation.of else ""
        self._recorder.observe(observation.id, f"{way}{came}")

    # --- What is done ---

    def _secure(self, step: Step, session: Session) -> bool:
        """Begin with TLS; False where it fails, which is what the step is about."""
        self._accuser.exercise(step)
        if not session.is_open:
            self._accuser.accuse(step, Unmet("a TLS handshake", "a close behind the +OK to STLS"))
            return False
        try:
            session.secure()
        except CertificateRejected as error:
            raise Blocked(str(error)) from error
        except ConnectionFailed as error:
            problem = Unmet("a TLS handshake", str(error))
            self._accuser.blame(step, problem, len(self._recorder.transcript) - 1)
            return False
        session.look_for_another_greeting()
        return True

    def _send(self, step: Step, session: Session) -> None:
        sent = step.send or step.send_bytes
        if sent is None:
            return
        values = self._values | self._credentials(session) if sent.names else self._values
        self._check_sent(sent.names, session)
        end = b"\r\n" if step.send is not None else b""
        session.send_octets(fill(sent, values) + end, step.split)

    def _check_sent(self, names: Set[str], session: Session) -> None:
        """Blocked where a password may not be told, or the wrong digest would be right."""
        is_clear = self._case.transport is Transport.PLAIN
        may_tell = self._judge.target.allow_cleartext or not is_clear
        if not may_tell and tells_password(names, session.timestamp):
            raise Blocked(
                "the password would go over an unencrypted connection;"
                " permit it with --allow-cleartext, or use TLS"
            )
        first = self._sessions.first
        if "apop-of-first-session" in names and session.timestamp == first.timestamp:
            raise Blocked("two greetings have one timestamp, so that one digest is right for both")

    def _credentials(self, session: Session) -> dict[str, bytes]:
        mailbox = self._case.mailbox
        if mailbox is None:
            return {}
        first = self._sessions.first
        return credentials(
            self._judge.target,
            mailbox.account,
            session.timestamp or b"",
            first.timestamp or b"",
        )

    def _authenticate(self, login: Authenticate, session: Session) -> Exchange:
        """Log in by SASL; the last exchange of it."""
        # Without an account there is neither, nor has the mechanism a use for it.
        values = {"password": b"", "token": b""} | self._values | self._credentials(session)
        user, password, authzid, token = (fill(each, values).decode() for each in login.templates)
        if login.mechanism in NOT_BY_NAME:
            session.leave_maildrop()
        address = self._judge.target.address_for(self._case.transport)
        identity = Identity(
            user,
            password,
            authzid,
            token,
            host=address.host,
            port=address.port,
            bindings=session.bindings,
        )
        return authenticate(
            session,
            self._recorder,
            login.mechanism,
            begin(login.mechanism, identity, login.twist),
            initial_response=login.initial_response,
            encode=encoding(login.twist),
            is_right=login.is_right,
        )

    # --- What comes back ---

    def _await(self, step: Step, session: Session) -> Unmet | None:
        expect = step.expect
        if expect is None:
            self._take_what_comes(step, session)
            return None
        if expect.silence is not None:
            self._accuser.exercise(step)
            return _unmet_silence(session, expect.silence)
        if expect.status is None and expect.closed:
            self._accuser.exercise(step)
            return self._unmet_close(session)
        before = session.history
        exchange = self._last_of(step, session)
        if exchange.reply is None and exchange.is_closed:
            if expect.may_close:
                self._accuser.exercise(step)
                return None
            if may_close(before) and not exchange.partial:
                raise Blocked("the server closed the connection, as it may, instead of a reply")
        if expect.status is Status.OK and exchange.is_err:
            leave_limits_unjudged(step, exchange, before)
            leave_mechanisms_unjudged(step, self._case.mailbox, self._recorder)
        if exchange.is_ok and expect.status is Status.ERR and expect.is_about_code:
            raise Blocked("what has to be refused is not, so that the refusal cannot be judged")
        self._accuser.exercise(step)
        door = self._judge.door
        adds_headers = door is not None and door.adds_headers
        problem = unmet(expect, exchange, self._values, step.save, adds_headers=adds_headers)
        if problem is not None and expect.code is not None and exchange.is_err:
            leave_limits_unjudged(step, exchange, before)
        if problem is None and expect.closed:
            return self._unmet_close(session)
        return problem

    def _take_what_comes(self, step: Step, session: Session) -> None:
        if step.authenticate is not None:
            self._authenticate(step.authenticate, session)
        while session.is_waiting:
            session.receive()

    def _last_of(self, step: Step, session: Session) -> Exchange:
        """The reply to a step; of a login by SASL the last one."""
        if step.authenticate is None:
            return session.receive()
        return self._authenticate(step.authenticate, session)

    def _unmet_close(self, session: Session) -> Unmet | None:
        if not session.is_open and session.history.quit:
            return None  # the close behind QUIT has a rule of its own
        exchange = session.await_close(self._judge.target.timeouts.reply)
        if exchange.is_closed:
            return None
        if exchange.end is End.TIMEOUT:
            return Unmet("the close of the connection", "a connection that is still open")
        return Unmet("the close of the connection", got_instead(exchange))


def _unmet_silence(session: Session, seconds: float) -> Unmet | None:
    before = session.history
    exchange = session.silence(seconds)
    closed_rightly = exchange.is_closed and may_close(before)
    if not exchange.partial and (exchange.end is None or closed_rightly):
        return None
    return Unmet(f"nothing for {seconds:g} s", got_instead(exchange))


def _may_hide_an_end(step: Step, session: Session) -> bool:
    """An end that follows the last refusal would pass for one that this step allows."""
    last = session.history.last
    allows = step.expect is not None and step.expect.may_close
    return allows and last is not None and last.is_err
