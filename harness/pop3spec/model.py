"""What a server may answer: a maildrop and its sessions, by RFC 1939 and its extensions.

The model predicts a set of replies for each command, and says where a reply, or what is in the
store behind a session, is none of them. Where an RFC leaves freedom, so does the model: it never
asks for more than the text does. It does no I/O, and knows messages by keys of its caller's.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from pop3spec.protocol.commands import COMMANDS, State, arguments, keyword, message_number


class Answer(Enum):
    """What a reply comes to."""

    OK = "+OK"
    ERR = "-ERR"
    CHALLENGE = "+"


class Ending(Enum):
    """How a session came to its end."""

    QUIT = "QUIT was answered with '+OK'"
    UNSURE = "QUIT was refused, or not answered"
    BROKEN = "no QUIT was sent"


@dataclass(frozen=True)
class Prediction:
    """The answers that a command may get, and the rule that any other one breaks."""

    allowed: frozenset[Answer]
    rule: str = ""

    def allows(self, answer: Answer) -> bool:
        """The answer is one of those."""
        return answer in self.allowed


ANYTHING = Prediction(frozenset(Answer))


def _only(answer: Answer, rule: str) -> Prediction:
    return Prediction(frozenset({answer}), rule)


@dataclass(frozen=True)
class Disagreement:
    """Server and model differ: the rule, what came, and what it had to be.

    `count` is the number of messages that STAT had to give, `numbers` are those that a listing
    had to have, `key` is the message that RETR had to send; None where it is not about that.
    `in_store`: it is seen at the door, and by the next session.
    """

    rule: str
    got: str
    answer: Answer = Answer.OK
    count: int | None = None
    numbers: tuple[int, ...] | None = None
    key: int | None = None
    in_store: bool = False


# Before the login none of these is answered '+OK' (RFC 1939, section 3).
_NEEDS_LOGIN = frozenset({"STAT", "LIST", "RETR", "DELE", "RSET", "TOP", "UIDL"})
# In the TRANSACTION state each of these is refused, by its rule.
_LOGS_IN: Mapping[str, str] = {
    "USER": "rfc1939-7-login-in-transaction",
    "PASS": "rfc1939-7-login-in-transaction",
    "APOP": "rfc1939-7-login-in-transaction",
    "AUTH": "rfc5034-4-auth-in-transaction",
    "STLS": "rfc2595-4-stls-in-transaction",
}
# What a refusal of a message that is there breaks.
_NAMES_MESSAGE: Mapping[str, str] = {
    "LIST": "rfc1939-5-list-argument",
    "RETR": "rfc1939-5-retr",
    "DELE": "rfc1939-5-dele",
    "TOP": "rfc1939-7-top",
    "UIDL": "rfc1939-7-uidl-argument",
}
_OF_ALL: Mapping[str, str] = {
    "STAT": "rfc1939-5-stat-drop-listing",
    "NOOP": "rfc1939-5-noop",
    "RSET": "rfc1939-5-rset",
    "LIST": "rfc1939-5-list-complete",
    "UIDL": "rfc1939-7-uidl-complete",
}
_OPTIONAL = frozenset({"TOP", "UIDL"})
# A line count that every server can hold (31 bits).
_MOST_LINES = (1 << 31) - 1
UNMARKED_STAY = "rfc1939-6-unmarked-stay"
NO_QUIT_NO_REMOVAL = "rfc1939-6-no-quit-no-removal"
_UNMARKS = "rfc1939-5-rset-unmarks"
UPDATE_REMOVES = "rfc1939-6-update-removes"


@dataclass(eq=False)
class MaildropModel:
    """What is in a maildrop: `certain` messages, and `doubtful` ones that may be gone.

    `gone` is how many of the doubtful are gone, at least and at most. `endangered` has the rule
    that is broken where a certain message is missing. `unique_ids` are known of messages.
    """

    certain: set[int]
    doubtful: set[int] = field(default_factory=set)
    gone: tuple[int, int] = (0, 0)
    removed: set[int] = field(default_factory=set)
    endangered: dict[int, str] = field(default_factory=dict)
    unique_ids: dict[int, bytes] = field(default_factory=dict)
    sessions: list["SessionModel"] = field(default_factory=list)
    was_opened: bool = False

    @property
    def counts(self) -> tuple[int, int]:
        """How many messages there are, at least and at most."""
        whole = len(self.certain) + len(self.doubtful)
        return whole - self.gone[1], whole - self.gone[0]

    def deliver(self, key: int) -> None:
        """A message arrives, whatever sessions are open."""
        self.certain.add(key)
        self.change()

    def empty(self) -> None:
        """Somebody removes everything behind the server's back."""
        self.removed |= self.certain | self.doubtful
        self.certain.clear()
        self.doubtful.clear()
        self.gone = (0, 0)
        self.change()

    def change(self, but: "SessionModel | None" = None) -> None:
        """From now on the other sessions may be shown what they were not shown before."""
        for session in self.sessions:
            if session is not but:
                session.is_changing = True

    def missing(self, found: Iterable[int]) -> Disagreement | None:
        """What is wrong where a message is not in the store any more that had to stay."""
        gone = sorted(self.certain - set(found))
        if not gone:
            return None
        rule = self.endangered.get(gone[0], UNMARKED_STAY)
        got = f"{len(gone)} messages gone that nobody removed"
        return Disagreement(rule, got, count=self.counts[0], in_store=True)

    def problem(self, found: Iterable[int]) -> Disagreement | None:
        """What is wrong with the messages that the store holds, None if nothing is."""
        counts = Counter(found)
        low, high = self.counts
        if problem := self.missing(counts):
            return problem
        back = sorted(self.removed & counts.keys())
        if back:
            got = f"{len(back)} messages still in the store that QUIT had to remove"
            return Disagreement(UPDATE_REMOVES, got, count=high, in_store=True)
        there = sum(counts[key] for key in self.certain | self.doubtful)
        if there > high:
            got = f"{there} messages in the store, where QUIT had to leave {high}"
            return Disagreement(UPDATE_REMOVES, got, count=high, in_store=True)
        if there < low:
            got = f"{there} messages in the store, where {low} had to stay"
            return Disagreement(UNMARKED_STAY, got, count=low, in_store=True)
        return None


@dataclass(eq=False)
class SessionModel:
    """One session as its replies have shown it, on a maildrop that it may open.

    `offers` are the optional commands that the server announces. With `expires` it may remove
    what was retrieved (RFC 2449, section 6.7).
    """

    maildrop: MaildropModel
    offers: frozenset[str] = frozenset()
    expires: bool = False
    state: State = State.AUTHORIZATION
    # At the login: how many messages, at least and at most, and which.
    bounds: tuple[int, int] = (0, 0)
    view: frozenset[int] = frozenset()
    count: int | None = None  # as the first listing told it
    marked: set[int] = field(default_factory=set)
    unmarked: set[int] = field(default_factory=set)  # marked once, then unmarked by RSET
    is_first: bool = True  # none was on the maildrop before, so that the filling is its content
    has_agreed: bool = False  # a listing showed what had to be there at the opening
    is_changing: bool = False  # mail may come and go without this session's doing
    is_unsure: bool = False  # a command did nobody knows what
    keys: dict[int, int] = field(default_factory=dict)  # number -> message, as RETR sent it
    believed: set[int] = field(default_factory=set)  # numbers that a unique-id tells alone
    unique_ids: dict[int, bytes] = field(default_factory=dict)

    def logged_in(self) -> None:
        """A login was answered with '+OK': the maildrop is open, and nothing is marked."""
        self.state = State.TRANSACTION
        self.bounds = self.maildrop.counts
        self.view = frozenset(self.maildrop.certain | self.maildrop.doubtful)
        self.is_first = not self.maildrop.was_opened
        low, high = self.bounds
        self.count = low if low == high else None
        if self.maildrop.sessions:
            self.is_changing = True
            self.maildrop.change()
        self.maildrop.sessions.append(self)
        self.maildrop.was_opened = True

    @property
    def is_known(self) -> bool:
        """It is known which messages have to be there."""
        is_told = self.is_first or self.has_agreed
        return self.count is not None and is_told and not (self.is_changing or self.is_unsure)

    @property
    def present(self) -> tuple[int, ...]:
        """The numbers that are not marked; none where the count is not known."""
        return tuple(n for n in range(1, (self.count or 0) + 1) if n not in self.marked)

    # --- What may be answered ---

    def predict(self, line: bytes) -> Prediction:
        """What a command line may be answered with now."""
        word = keyword(line)
        if line.startswith((b" ", b"\t")) or word not in COMMANDS:
            return ANYTHING
        given = tuple(each for each in arguments(line) if each)
        if self.state is State.AUTHORIZATION:
            return self._before_login(word, given)
        if word in _LOGS_IN:
            return _only(Answer.ERR, _LOGS_IN[word])
        if word in _OPTIONAL and word not in self.offers:
            return ANYTHING
        if given and word in _NAMES_MESSAGE:
            return self._of_message(word, line, given)
        if given or line.rstrip(b"\r\n").upper() != word.encode():
            return ANYTHING
        if word == "QUIT":
            may_fail = self.marked or self.is_unsure
            allowed = frozenset({Answer.OK, Answer.ERR}) if may_fail else frozenset({Answer.OK})
            return Prediction(allowed, "rfc1939-6-quit")
        if word in _OF_ALL and not (self.is_changing and word in ("LIST", "UIDL")):
            return _only(Answer.OK, _OF_ALL[word])
        if word in _NAMES_MESSAGE:
            return ANYTHING if word in ("LIST", "UIDL") else _only(Answer.ERR, _MISSING)
        return ANYTHING

    def _before_login(self, word: str, given: tuple[bytes, ...]) -> Prediction:
        if word in _NEEDS_LOGIN:
            return _only(Answer.ERR, "rfc1939-3-wrong-state")
        if word == "NOOP":
            return _only(Answer.ERR, "rfc1939-5-noop-state")
        if word == "QUIT" and not given:
            return _only(Answer.OK, "rfc1939-4-quit")
        return ANYTHING

    def _of_message(self, word: str, line: bytes, given: tuple[bytes, ...]) -> Prediction:
        number = plain_number(given[0])
        most = 2 if word == "TOP" else 1
        if number is None or len(given) != most or b"  " in line or line[-3:-2] in b" \t":
            return ANYTHING  # what is malformed is for the rules alone
        if word == "TOP":
            lines = plain_number(given[1])
            if lines is None or lines > _MOST_LINES:
                return ANYTHING
        if number in self.marked:
            return _only(Answer.ERR, "rfc1939-5-dele-marked")
        if not self.is_known or self.count is None:
            return ANYTHING
        if not 1 <= number <= self.count:
            return _only(Answer.ERR, "rfc1939-5-no-such-message")
        return _only(Answer.OK, _UNMARKS if number in self.unmarked else _NAMES_MESSAGE[word])

    # --- What was answered ---

    def hear(self, line: bytes, answer: Answer) -> None:
        """Take the answer to a command that marks, unmarks, or does nobody knows what."""
        word = keyword(line)
        given = tuple(each for each in arguments(line) if each)
        if answer is not Answer.OK or self.state is not State.TRANSACTION:
            return
        if word == "RSET":
            self.unmarked |= self.marked
            self.marked.clear()
        elif word == "DELE":
            number = message_number(given[0]) if len(given) == 1 else None
            if number is None or (self.is_known and number not in self.present):
                self.is_unsure = True
            else:
                self.marked.add(number)
        elif word not in COMMANDS or COMMANDS[word].names_message is False:
            # An extension may do anything to the maildrop.
            self.is_unsure = self.is_unsure or word not in (*_OF_ALL, "CAPA", "LANG", "QUIT")

    def told_count(self, count: int) -> Disagreement | None:
        """Take the count that STAT gave; what is wrong with it."""
        if self.is_changing or self.is_unsure:
            return None
        low, high = self.bounds if self.count is None else (self.count, self.count)
        before = count + len(self.marked)
        if low <= before <= high:
            self.count, self.has_agreed = before, True
            return None
        return self._count_problem(count, (low if before < low else high) - len(self.marked))

    def _opening_problem(self, count: int, wanted: int) -> Disagreement:
        """A session shows from the beginning what another one should not have left."""
        fewer = set(self.maildrop.endangered.values()) or {UNMARKED_STAY}
        # With a session of either kind behind it, nobody knows which one it was.
        rule = UPDATE_REMOVES if count > wanted else max(fewer)
        got = f"a count of {count} in the next session, where {wanted} had to be left"
        return Disagreement(rule, got, count=wanted, in_store=True)

    def _count_problem(self, count: int, wanted: int) -> Disagreement | None:
        got = f"a count of {count}"
        if self.unmarked:
            return Disagreement(_UNMARKS, f"{got} behind RSET", count=wanted)
        if not (self.is_first or self.has_agreed):
            return None  # which of two rules it is tells the listing
        if self.marked:
            got += f" with {len(self.marked)} of {(self.count or 0)} messages marked"
            return Disagreement("rfc1939-5-stat-without-marked", got, count=wanted)
        return Disagreement("rfc1939-5-stat-count", f"{got} of {wanted} messages", count=wanted)

    def told_numbers(self, word: str, numbers: Collection[int]) -> Disagreement | None:
        """Take the numbers that LIST or UIDL listed; what is wrong with them."""
        if self.is_changing or self.is_unsure:
            return None
        if self.count is None:
            low, high = self.bounds
            if not self.marked and low <= len(numbers) <= high:
                self.count = len(numbers)
            else:
                return None
        wanted, listed = set(self.present), set(numbers)
        if wanted == listed:
            self.has_agreed = True
            return None
        if not (self.is_first or self.has_agreed or self.marked) and len(wanted) != len(listed):
            return self._opening_problem(len(listed), len(wanted))
        shown = ", ".join(map(str, sorted(listed)[:8])) or "none"
        got = f"a listing of {len(listed)} messages ({shown}) of {len(wanted)}"
        rule = "rfc1939-5-list-complete" if word == "LIST" else "rfc1939-7-uidl-complete"
        if listed & self.marked:
            rule = {
                "LIST": "rfc1939-5-list-without-marked",
                "UIDL": "rfc1939-7-uidl-without-marked",
            }[word]
            got = f"message {min(listed & self.marked)} listed, which is marked"
        elif (wanted - listed) & self.unmarked:
            rule = _UNMARKS
        elif not wanted - listed:
            if not (self.is_first or self.has_agreed):
                return self._opening_problem(len(listed | self.marked), len(wanted | self.marked))
            rule = "rfc1939-4-message-numbers"
        return Disagreement(rule, got, numbers=tuple(sorted(wanted)))

    def told_unique_ids(self, listed: Mapping[int, bytes]) -> None:
        """Take unique-ids by number; a message that went by one in a session is known by it."""
        for number, unique_id in listed.items():
            self.unique_ids[number] = unique_id
            self._know_unique_id(number)
            for key in self.view if number not in self.keys else ():
                if self.maildrop.unique_ids.get(key) == unique_id:
                    self.keys[number] = key
                    self.believed.add(number)

    def retrieved(self, number: int, key: int | None) -> Disagreement | None:
        """Take which message RETR sent for a number, None for one that is none of ours."""
        known = self.keys.get(number)
        is_believed = number in self.believed
        self.believed.discard(number)
        if is_believed and key is not None and known != key:
            self.keys[number] = key
            got = f"the unique-id of message {number} was that of another message before"
            return Disagreement("rfc1939-7-uidl-persistent", got, key=key)
        if known is None and key is not None and key in self.view:
            taken = [n for n, other in self.keys.items() if other == key and n != number]
            if not taken:
                self.keys[number] = key
                self._know_unique_id(number)
                return None
        if known == key and key is not None:
            return None
        if self.is_changing and known is None:
            return None
        if key in self.maildrop.removed:
            got = f"a text for message {number} that QUIT had to remove"
            return Disagreement(UPDATE_REMOVES, got)
        if key is None:
            got = f"a text for message {number} that no message of the maildrop has"
        else:
            got = f"the text of another message for message {number}"
        return Disagreement("rfc1939-5-retr", got, key=known)

    def _know_unique_id(self, number: int) -> None:
        key, unique_id = self.keys.get(number), self.unique_ids.get(number)
        if key is not None and unique_id is not None:
            self.maildrop.unique_ids.setdefault(key, unique_id)

    # --- The end ---

    def ended(self, how: Ending) -> None:
        """The session is over: what has to be in the maildrop from now on."""
        if self.state is not State.TRANSACTION:
            return
        self.state = State.UPDATE
        drop = self.maildrop
        drop.sessions.remove(self)
        if how is Ending.BROKEN:
            for key in self.view & drop.certain:
                drop.endangered[key] = NO_QUIT_NO_REMOVAL
            return
        if drop.sessions and (self.marked or self.expires or self.is_unsure):
            drop.change()
        # What arrived meanwhile may have been shown, and marked.
        seen = self.view | drop.certain | drop.doubtful if self.is_changing else self.view
        if self.is_unsure or self.expires:
            self._leave_open(seen, (0, len(seen & (drop.certain | drop.doubtful))))
            return
        known = {self.keys[number] for number in self.marked if number in self.keys}
        unknown = len(self.marked) - len(known)
        if how is Ending.UNSURE:
            candidates = known if not unknown else seen
            self._leave_open(candidates, (0, len(self.marked)))
            return
        for key in known & drop.doubtful:
            drop.doubtful.discard(key)
            low, high = drop.gone
            drop.gone = (max(0, low - 1), min(high, len(drop.doubtful)))
        drop.certain -= known
        drop.removed |= known
        if unknown:
            least = 0 if self.is_changing else unknown
            self._leave_open(seen - set(self.keys.values()), (least, unknown))
        for key in self.view & drop.certain:
            drop.endangered[key] = UNMARKED_STAY

    def _leave_open(self, candidates: Collection[int], gone: tuple[int, int]) -> None:
        drop = self.maildrop
        moved = set(candidates) & drop.certain
        drop.certain -= moved
        drop.doubtful |= moved
        low, high = drop.gone
        most = len(drop.doubtful)
        drop.gone = (min(low + gone[0], most), min(high + gone[1], most))


_MISSING = "rfc1939-3-missing-argument"


def plain_number(argument: bytes) -> int | None:
    """The number that an argument is as the RFC writes it; None with a zero before it."""
    if argument.startswith(b"0") and argument != b"0":
        return None
    return message_number(argument)
