"""Steps against the target: sends them, listens, and holds the model beside what comes."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from functools import cache, cached_property, partial

from pop3spec.authentication import authenticate
from pop3spec.fixtures import Maildrop, blocked
from pop3spec.fuzzing.process import watched
from pop3spec.fuzzing.steps import Accusation, Act, Conversation, Step
from pop3spec.maildrop import DoorError, StoreLockedError
from pop3spec.maildrop.journal import own_part
from pop3spec.model import Answer, Disagreement, Ending, MaildropModel, SessionModel
from pop3spec.protocol.commands import LOGIN, State, keyword, message_number
from pop3spec.recorder import Recorder
from pop3spec.refusals import SessionRefused, refusal
from pop3spec.rulebook.checks import FRAMING_RULES
from pop3spec.rulebook.history import may_be_parting, says_later
from pop3spec.rulebook.judgement import Broken
from pop3spec.rulebook.over_sessions import judge_sessions
from pop3spec.run import Run
from pop3spec.sasl import Identity, begin
from pop3spec.session import Session
from pop3spec.stock import message
from pop3spec.target import Account, Transport
from pop3spec.transcript import Exchange

SERVES_NEXT = "robust-serves-next-client"
NO_LEAK = "robust-no-leak"
# What stands in every message of an account, and in nothing else.
_MARK = b"This is fuzzed-%b-"
# Characters of a secret that no reply has by chance.
_TELLING = 8
LOCK_OF_QUIT = "rfc1939-6-lock-released"
_RELEASED = {
    "QUIT": LOCK_OF_QUIT,
    "break": "practice-lock-released-after-break",
    "refusal": "rfc1939-4-lock-released",
}
# What a refusal of right credentials breaks, by the method.
_LOGINS = {"USER": "rfc1939-7-user-pass", "APOP": "rfc1939-7-apop"}
# In the order in which they are drawn; those that want more than a password are left out.
_MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
# Wrong logins to an account, where a server may make others wait for them.
_FEW = 3
# Seconds between looks at a lock, or at a store, that a server may be slow with.
QUICK = (0.01, 0.04, 0.15)
HASTY = (*QUICK, 0.5, 1.0)
PATIENT = (*QUICK, 0.3, 1.0, 2.0, 2.0)
# Messages of one conversation, those that arrive in it included.
_MOST_LETTERS = 64
# Seconds in which a server near by notices that a client is gone.
_MOMENT = 0.05
# Seconds in which a server closes, or does not, when we have sent all that we will.
_BOUND = 1.0
# Octets that a server may answer to garbage with: a refusal for each line of it, and more.
_MOST_ANSWERED = 1 << 20


def letters(number: int, maildrop: int = 0) -> list[bytes]:
    """So many messages, all different from each other and from those of other maildrops."""
    return [letter(place, maildrop) for place in range(number)]


def letter(key: int, maildrop: int = 0) -> bytes:
    """The message with this key: subject, body and size are its own."""
    name = f"fuzzed-{'abcdefgh'[maildrop]}-{key + 1}"
    lines = [f"This is {name}.".encode(), b".", b"." * (key + 2), b"=" * (7 * key + maildrop)]
    return message(name, [*lines, *[b"line %d" % n for n in range(key)]])


@cache
def _keys(maildrop: int) -> dict[bytes, int]:
    """The part of each message that servers keep -> its key."""
    return {own_part(letter(key, maildrop)): key for key in range(_MOST_LETTERS)}


@dataclass(eq=False)
class _Side:
    """One session of ours with its model."""

    session: Session
    model: SessionModel
    maildrop: int
    is_leaving: bool = False
    is_disturbed: bool = False  # somebody else changed its maildrop
    has_spoken: bool = False  # behind its login


@dataclass(eq=False)
class Play:
    """One conversation with the target, from a fresh filling on.

    `ignored` are rules that do not end it, `locked` users whose maildrop nobody can open. One that
    `stays_outside` logs in to no account. `has_room`: a neighbour is not dropped for want of room.
    `accusations` has what was broken, `played` the steps so far. With a delay for each, what a
    server may be slow with is looked at again.
    """

    run: Run
    maildrops: Sequence[Maildrop]
    conversation: Conversation
    ignored: Set[str] = frozenset()
    delays: Sequence[float] = QUICK
    stays_outside: bool = False
    has_room: bool = True
    recorder: Recorder = field(default_factory=Recorder)
    accusations: list[Accusation] = field(default_factory=list)
    played: list[Step] = field(default_factory=list)
    is_over: bool = False
    _is_repeated: bool = False
    _sides: dict[int, _Side] = field(default_factory=dict)
    locked: set[str] = field(default_factory=set)
    _opened: dict[int, int] = field(default_factory=dict)
    _left: dict[int, str] = field(default_factory=dict)
    _delivered: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        number, transport = self.conversation.messages, self.transport
        self._process = watched(self.run.target.pid_file)
        self._drops = [
            Maildrop(self.run, each.mailbox, self.recorder, transport=transport)
            for each in self.maildrops[: self.conversation.maildrops]
        ]
        self.models = []
        for place, drop in enumerate(self._drops):
            if self.has_door:
                drop.fill(letters(number, place))
            self.models.append(MaildropModel(set(range(number))))
            self._delivered[place] = number

    @cached_property
    def transport(self) -> Transport:
        """How the sessions are opened."""
        observed = self.run.observed
        usual = self.maildrops[0].transport or observed.transport
        if usual is Transport.PLAIN and self.conversation.in_tls:
            if self.run.target.tls_address is not None:
                return Transport.TLS
            if "STLS" in observed.features:
                return Transport.STLS
        return usual

    @property
    def has_door(self) -> bool:
        """The maildrops can be filled."""
        return self.run.door is not None and not self.run.observed.door_problem

    # --- What a plan may look at ---

    def model_of(self, session: int) -> SessionModel | None:
        """The model of an open session, None where there is none."""
        side = self._sides.get(session)
        return side.model if side is not None and side.session.is_open else None

    def is_fresh(self, session: int) -> bool:
        """Logged in, and nothing was said since: a server may not have looked at the mail yet."""
        side = self._sides.get(session)
        if side is None or side.has_spoken:
            return False
        return side.model.state is State.TRANSACTION

    @property
    def usual_method(self) -> bytes:
        """The login of the run."""
        return b"APOP" if self.run.observed.use_apop else b"USER"

    @cached_property
    def methods(self) -> tuple[bytes, ...]:
        """The logins that the target announces, and has the secret for."""
        layer = self.transport
        features = self.run.observed.features_on(layer)
        named = self._drops[0].mailbox.account.mechanisms
        is_clear = layer is Transport.PLAIN
        if is_clear and not self.run.target.allow_cleartext:
            return (self.usual_method,)
        mechanisms = self.run.observed.mechanisms_on(layer) or ()
        usable = [each for each in _MECHANISMS if each in mechanisms and each in named]
        words = [word for word in ("USER", "APOP") if word in features]
        return tuple(each.encode() for each in (*words, *usable)) or (self.usual_method,)

    @property
    def may_guess(self) -> bool:
        """A login with a wrong password is permitted, and makes nobody wait for long."""
        most = self.run.target.max_failed_logins
        if self.run.settings.target is None:
            return True
        return self._drops[0].mailbox.failed_logins < min(_FEW if most is None else most, _FEW)

    # --- Steps ---

    def play(self, steps: Sequence[Step]) -> None:
        """Do these steps, and what belongs to the end."""
        self._is_repeated = True
        try:
            for step in steps:
                self.do(step)
            self.finish()
        finally:
            self.close()

    def close(self) -> None:
        """Close every connection."""
        for drop in self._drops:
            drop.close()

    def do(self, step: Step) -> None:
        """Do one step, unless the conversation is over."""
        if self.is_over:
            return
        self.played.append(step)
        found, side = len(self.recorder.findings), self._sides.get(step.session)
        _DOES[step.act](self, step)
        if side is not None and self._gave_up(side):
            # No RFC says what becomes of a session whose mail somebody else takes away.
            del self.recorder.findings[found:]
            self.accusations = [
                each for each in self.accusations if each.step != len(self.played) - 1
            ]
            self.is_over = True
            return
        self._take_findings(found, len(self.played) - 1)

    def _gave_up(self, side: _Side) -> bool:
        """The server closed a session whose maildrop was changed behind its back."""
        if not side.is_disturbed:
            return False
        own = [each for each in self.recorder.transcript if each.session == side.session.name]
        return any(each.is_closed and each.reply is None for each in own[-2:])

    def _disturb(self, place: int, but: _Side | None = None) -> None:
        for side in self._sides.values():
            if side.maildrop == place and side is not but:
                side.is_disturbed = True

    def _take_findings(self, since: int, step: int) -> None:
        for finding in self.recorder.findings[since:]:
            # One cause, one accusation: what the model makes of the same step comes of it.
            told = [each for each in self.accusations if each.step == step and each.wanted]
            self.accusations = [each for each in self.accusations if each not in told]
            self.accusations.append(Accusation(finding.rule, finding.got, step))
        rules = {each.rule for each in self.accusations if each.step == step}
        side = self._sides.get(self.played[step].session)
        if rules and side is not None:
            side.model.is_unsure = True  # what follows may come of it
        if rules - self.ignored or rules & FRAMING_RULES:
            self.is_over = True

    def _accuse(self, problem: Disagreement | None, step: int | None = None) -> None:
        if problem is not None:
            place = len(self.played) - 1 if step is None else step
            self.accusations.append(Accusation(problem.rule, problem.got, place, problem))

    def _connect(self, step: Step) -> None:
        drop = self._drops[step.maildrop]
        self._end(step.session)
        try:
            session = self._soon(partial(drop.greeted, f"session-{step.session + 1}"))
        except SessionRefused as error:
            self._unserved(error)
            return
        model = SessionModel(
            self.models[step.maildrop],
            self.run.observed.features,
            expires=bool(self.run.expire - {"NEVER"}),
        )
        self._opened[step.session] = step.maildrop
        self._sides[step.session] = _Side(session, model, step.maildrop)

    def _unserved(self, error: SessionRefused) -> None:
        """There is no session: a fault of the target, or a limit that it has."""
        if error.is_unserved and self.run.target.address.is_loopback and len(self.played) > 1:
            self.accusations.append(Accusation(SERVES_NEXT, str(error), len(self.played) - 1))
            self.is_over = True
        else:
            blocked(error)

    def _soon(self, attempt: Callable[[], Session]) -> Session:
        for delay in self.delays:
            try:
                return attempt()
            except SessionRefused as error:
                if error.timed_out or not error.is_limit:
                    raise
            if self.run.judge.stopped.wait(delay):
                blocked("the run was interrupted")
        return attempt()

    def _log_in(self, step: Step) -> None:
        side = self._sides.get(step.session)
        if side is None or not side.session.is_open or side.model.state is not State.AUTHORIZATION:
            return
        method = step.octets.decode()
        drop = self._drops[side.maildrop]
        if method == "wrong":
            drop.refuse(side.session)
            self._left[side.maildrop] = "refusal"
            return
        is_alone = not side.model.maildrop.sessions
        for delay in (*(self.delays if is_alone else ()), None):
            try:
                self._enter(side.session, drop.mailbox.account, method)
                break
            except SessionRefused as error:
                if delay is not None and not error.timed_out:
                    self.run.judge.stopped.wait(delay)
                    if not side.session.is_open:
                        self._connect(Step(Act.CONNECT, step.session, maildrop=side.maildrop))
                        if self.is_over:
                            return
                        side = self._sides[step.session]
                    continue
                side.session.close()
                if is_alone:
                    self._refused(error, method, side.maildrop)
                return
        if any(
            each.maildrop == side.maildrop and each.model.state is State.TRANSACTION
            for each in self._sides.values()
        ):
            for each in (*self._sides.values(), side):
                if each.maildrop == side.maildrop:
                    each.session.expect_change()
        side.model.logged_in()
        # Who was in it before may have left it only now.
        self._look_for_missing(side.maildrop)

    def _enter(self, session: Session, account: Account, method: str) -> None:
        if method in ("USER", "APOP"):
            session.log_in(account, use_apop=method == "APOP")
            return
        address = self.run.target.address
        identity = Identity(
            account.user,
            account.password,
            token=account.token,
            host=address.host,
            port=address.port,
            bindings=session.bindings,
        )
        session.account = account
        client = begin(method, identity)
        ended = authenticate(session, self.recorder, method, client)
        if not ended.is_ok:
            raise refusal(ended)

    def _refused(self, error: SessionRefused, method: str, maildrop: int) -> None:
        left = self._left.get(maildrop)
        if error.is_locked:
            self.locked.add(self._drops[maildrop].mailbox.account.user)
        if error.timed_out or error.wants_tls or left is None:
            blocked(error)
        if error.is_locked:
            self._accuse(Disagreement(_RELEASED[left], f"{error}: the maildrop is still locked"))
            self.is_over = True
        elif error.is_limit:
            blocked(error)
        elif method in _LOGINS:
            self._accuse(Disagreement(_LOGINS[method], str(error)))

    def _say(self, step: Step) -> None:
        side = self._sides.get(step.session)
        if side is None or not side.session.is_open or side.is_leaving:
            return
        side.has_spoken = side.has_spoken or side.model.state is State.TRANSACTION
        side.session.send_octets(step.octets, step.pieces, apart=0.002)
        for line in step.octets.split(b"\n")[:-1]:
            if not side.session.is_open or not side.session.is_waiting:
                break
            self._listen(side, line + b"\n")
        if not side.session.is_open:
            self._end(step.session)

    def _listen(self, side: _Side, line: bytes) -> None:
        before = side.session.history
        exchange = side.session.receive()
        if keyword(line) == "QUIT" and side.model.state is not State.AUTHORIZATION:
            # A refusal without marks is no end; what was asked for may be done all the same.
            self._quit(side, exchange)
        answer = _answer(exchange)
        if answer is None or before.illegal or before.sasl is not None:
            return
        is_clean = not exchange.deliberate
        prediction = side.model.predict(line)
        is_parting = may_be_parting(exchange, before)
        is_told = is_clean and not is_parting and not says_later(exchange)
        if is_told and not prediction.allows(answer):
            status = exchange.reply.status_line if exchange.reply is not None else b""
            wanted = next(iter(prediction.allowed))
            got = f"{status.rstrip()[:60]!r} where the model has {wanted.value!r}"
            self._accuse(Disagreement(prediction.rule, got, wanted))
        side.model.hear(line, answer)
        if answer is Answer.OK and side.model.state is State.TRANSACTION:
            self._compare(side, exchange)

    def _compare(self, side: _Side, exchange: Exchange) -> None:
        """Hold what a positive reply tells of the maildrop against the model."""
        model = side.model
        if exchange.drop_listing is not None:
            self._accuse(model.told_count(exchange.drop_listing.count))
        elif exchange.keyword in ("LIST", "UIDL") and exchange.reply is not None:
            listed = exchange.scan_listings if exchange.keyword == "LIST" else None
            named = exchange.unique_id_listings if exchange.keyword == "UIDL" else None
            found = listed if listed is not None else named
            if found is not None and exchange.reply.is_multiline:
                numbers = [each.number for each in found]
                self._accuse(model.told_numbers(exchange.keyword, numbers))
            if named is not None:
                model.told_unique_ids({each.number: each.unique_id for each in named})
        elif exchange.keyword == "RETR" and exchange.reply is not None and self.has_door:
            number = message_number(exchange.arguments[0]) if exchange.arguments else None
            if number is not None and exchange.reply.is_multiline:
                part = own_part(exchange.reply.content)
                self._accuse(model.retrieved(number, _keys(side.maildrop).get(part)))

    def _ask(self, step: Step) -> None:
        side = self._sides.get(step.session)
        if side is None or not side.session.is_open or not self.has_room:
            return
        found = len(self.recorder.findings)
        side.session.send_octets(step.octets)
        exchange = side.session.receive()
        if exchange.reply is None and not exchange.partial:
            # One cause, one accusation: what others did.
            del self.recorder.findings[found:]
            how = "a close" if exchange.is_closed else "silence"
            got = f"{how} in answer to NOOP in a session that was open all the while"
            self._accuse(Disagreement(SERVES_NEXT, got))
            self.is_over = True

    def _quit(self, side: _Side, exchange: Exchange) -> None:
        if exchange.is_err and side.session.is_open:
            return
        side.model.ended(Ending.QUIT if exchange.is_ok else Ending.UNSURE)
        self._disturb(side.maildrop, side)
        self._left[side.maildrop] = "QUIT" if exchange.is_ok else "break"
        self._look_for_missing(side.maildrop)

    def _pour(self, step: Step) -> None:
        side = self._sides.get(step.session)
        if side is None or not side.session.is_open:
            return
        session = side.session
        bound = min(_BOUND, self.run.target.timeouts.reply)
        side.is_leaving = True
        came = session.pour(step.octets, f"{len(step.octets)} octets", bound)
        if len(came.partial) > _MOST_ANSWERED:
            got = f"more than {_MOST_ANSWERED} octets in answer to {len(step.octets)}"
            self.accusations.append(Accusation(SERVES_NEXT, got, len(self.played) - 1))
        self._end(step.session)

    def _close(self, step: Step) -> None:
        self._end(step.session)

    def _reset(self, step: Step) -> None:
        side = self._sides.get(step.session)
        if side is not None and side.session.is_open:
            side.session.reset()
        self._end(step.session)

    def _end(self, number: int) -> None:
        """A session is over, in whatever way."""
        side = self._sides.pop(number, None)
        if side is None:
            return
        is_in = side.model.state is State.TRANSACTION
        side.session.close()
        if is_in:
            asked = side.session.history.quit or side.session.may_update
            side.model.ended(Ending.UNSURE if asked else Ending.BROKEN)
            self._left[side.maildrop] = "break"
            self._look_for_missing(side.maildrop)

    def _look_for_missing(self, place: int) -> None:
        """What is gone is gone at once; what has to go may take a moment."""
        if not self.has_door:
            return
        for delay in (*self.delays[:2], None):
            stored = self._stored(place)
            problem = None if stored is None else self.models[place].missing(stored)
            if problem is None or delay is None:
                break
            # A store in which a server renames a file just now does not show it.
            self.run.judge.stopped.wait(delay)
        self._accuse(problem)

    def _stored(self, place: int) -> list[int] | None:
        """The messages of ours that are in the store; None while a session keeps us out of it."""
        mailbox = self._drops[place].mailbox
        if self.run.door is None or self._is_shut(place):
            return None
        try:
            contents = self.run.door.contents(mailbox.account.user)
        except DoorError as error:
            if isinstance(error, StoreLockedError) and self.models[place].sessions:
                mailbox.keeps_door_out = True
                return None
            blocked(error)
        found = [_keys(place).get(own_part(each)) for each in contents]
        return [key for key in found if key is not None]

    def _is_shut(self, place: int) -> bool:
        """The store is locked, by a session that is open."""
        return self._drops[place].mailbox.keeps_door_out and bool(self.models[place].sessions)

    def _deliver(self, step: Step) -> None:
        if not self.has_door or self._is_shut(step.maildrop):
            return
        key = self._delivered[step.maildrop]
        self._delivered[step.maildrop] += 1
        drop = self._drops[step.maildrop]
        drop.deliver(letter(key, step.maildrop))
        if self.run.door is not None and self.run.door.name.startswith("mbox:"):
            self._disturb(step.maildrop)  # the one file of the server's session is another one
        self.models[step.maildrop].deliver(key)

    def _empty(self, step: Step) -> None:
        if not self.has_door or self.run.door is None or self._is_shut(step.maildrop):
            return
        drop = self._drops[step.maildrop]
        try:
            self.run.door.clear(drop.mailbox.account.user)
        except DoorError as error:
            blocked(error)
        drop.mailbox.filling += 1
        for side in self._sides.values():
            if side.maildrop == step.maildrop:
                side.session.expect_change()
        self._disturb(step.maildrop)
        self.models[step.maildrop].empty()

    # --- The end ---

    def finish(self) -> None:
        """End what is open, look into the stores, and at all sessions together."""
        for number in sorted(self._sides):
            self._end(number)
        known = {each.rule for each in self.accusations}
        for judged in judge_sessions(self.recorder.facts):
            self.recorder.exercised.add(judged.rule)
            if isinstance(judged.judgement, Broken) and judged.rule not in known:
                self.accusations.append(Accusation(judged.rule, judged.judgement.got))
        if self._process.has_ended:
            self.accusations.append(Accusation(SERVES_NEXT, "the end of the server's process"))
        leaked = self._leaked()
        if leaked:
            self.accusations.append(Accusation(NO_LEAK, leaked))
        if not self.accusations and self.has_door:
            for place in range(len(self._drops)):
                self._accuse(self._store_problem(place), -1)

    def _leaked(self) -> str:
        """What a reply has of another account, in words; '' where none has anything."""
        own = {f"session-{number + 1}": place for number, place in self._opened.items()}
        logged_in: set[str] = set()
        for exchange in self.recorder.transcript:
            octets = exchange.partial if exchange.reply is None else exchange.reply.wire
            place = own.get(exchange.session)
            marks = [
                (other, _MARK % b"abcdefgh"[other : other + 1])
                for other in range(len(self._drops))
                if other != place or exchange.session not in logged_in
            ]
            if exchange.is_ok and exchange.keyword in LOGIN:
                logged_in.add(exchange.session)
            for other, mark in marks:
                if mark in octets:
                    return f"mail of account {other + 1} in a session that is not of that account"
            if any(secret in octets for secret in self._secrets):
                return "the secret of an account in a reply"
        return ""

    @cached_property
    def _secrets(self) -> list[bytes]:
        """Those that are too long to stand in a reply by chance."""
        accounts = (*self.run.target.accounts, *self.run.target.sasl_accounts)
        words = {word for each in accounts for word in (each.password, each.token)}
        return [word.encode() for word in words if len(word) >= _TELLING]

    def _store_problem(self, place: int) -> Disagreement | None:
        model = self.models[place]
        if not model.was_opened:
            return None
        if self._is_repeated and self._left.get(place) == "break":
            # What a server does behind a broken session no session of ours waits for any more.
            self.run.judge.stopped.wait(_MOMENT)
        for delay in (*self.delays, None):
            stored = self._stored(place)
            problem = None if stored is None else model.problem(stored)
            if problem is None or delay is None:
                return problem
            self.run.judge.stopped.wait(delay)
        return None


def _answer(exchange: Exchange) -> Answer | None:
    if exchange.is_ok:
        return Answer.OK
    if exchange.is_err:
        return Answer.ERR
    return Answer.CHALLENGE if exchange.continues_sasl else None


_DOES: dict[Act, Callable[[Play, Step], None]] = {
    Act.CONNECT: Play._connect,
    Act.LOG_IN: Play._log_in,
    Act.SAY: Play._say,
    Act.ASK: Play._ask,
    Act.POUR: Play._pour,
    Act.CLOSE: Play._close,
    Act.RESET: Play._reset,
    Act.DELIVER: Play._deliver,
    Act.EMPTY: Play._empty,
}
