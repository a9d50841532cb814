"""Scenario, Step, Expect: what a scenario file says, checked and resolved.

The Written… classes are the grammar of a file, one field a key; the schema for
editors is made from them. `load_scenarios` resolves examples, messages and
places to fill in, and refuses what cannot be run or could do harm. Nothing here
knows of targets or sockets.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pop3spec.protocol.commands import State
from pop3spec.sasl import BEARER, MECHANISMS, TWISTS
from pop3spec.stock import STOCK
from pop3spec.target import Transport
from pop3spec.template import Base64, encoded, template
from pop3spec.template import Template as Template
from pop3spec.template import fill as fill
from pop3spec.template import match_text as match_text
from pop3spec.yamlfile import (
    Duration,
    Location,
    ReadAs,
    YamlError,
    did_you_mean,
    json_schema,
    key,
    load_text,
    locate,
    matching,
    one_of,
    quoted,
    read_text,
)

ScenarioError = YamlError

# Names that are filled in without having been saved.
# Right credentials, and wrong ones that are close to them.
BUILT_IN = frozenset(
    (
        *("user", "user-other-case", "password", "password-beginning", "password-other-case"),
        *("password-of-another", "apop", "apop-beginning", "apop-empty-secret"),
        *("apop-upper-case", "apop-shortened", "apop-without-timestamp"),
        *("apop-of-first-session", "apop-of-another", "token", "user-of-another"),
    )
)

# RFC 2449, section 4: octets of a command, its CRLF included.
MAX_COMMAND = 255

# --- What a file says ----------------------------------------------------------


class Status(Enum):
    """A status indicator, or either of the two that end a reply."""

    OK = "+OK"
    ERR = "-ERR"
    CHALLENGE = "+"
    REPLY = "reply"


class ClientClose(Enum):
    """How the client closes its side."""

    FIN = "fin"
    RESET = "reset"


class ShortExpect(Enum):
    """An `expect` that is one word."""

    OK = "+OK"
    ERR = "-ERR"
    REPLY = "reply"
    CLOSED = "closed"
    REPLY_OR_CLOSED = "reply-or-closed"


class Closes(Enum):
    """Whether the server closes the connection."""

    NO = "no"
    YES = "yes"
    MAYBE = "maybe"


class Handshake(Enum):
    """What the client does on a connection that is in the clear."""

    TLS = "tls"


class YesNo(Enum):
    """A choice."""

    YES = "yes"
    NO = "no"


_WORD = r"[a-z0-9]+(?:-[a-z0-9]+)*"
Slug = Annotated[str, matching(_WORD, "lower-case words and digits with hyphens")]
Feature = Annotated[
    str,
    matching(
        rf"[A-Z0-9](?:[A-Z0-9 ._+-]|\{{{_WORD}\}})*",
        "a feature in capitals, as in UIDL or SASL PLAIN",
    ),
]
Filled = Annotated[str, matching(rf"[0-9]{{1,18}}|\{{{_WORD}\}}", "a whole number or {name}")]
StartState = Annotated[
    State, one_of({state.value: state for state in (State.AUTHORIZATION, State.TRANSACTION)})
]
_CHOICES = one_of(
    {"yes": YesNo.YES, "no": YesNo.NO, "true": YesNo.YES, "false": YesNo.NO},
)
_CLOSES = one_of(
    {
        "yes": Closes.YES,
        "no": Closes.NO,
        "maybe": Closes.MAYBE,
        "true": Closes.YES,
        "false": Closes.NO,
    }
)
# An editor may take yes and no for truth values.
_CHOICES_SCHEMA = {"enum": [*_CHOICES.schema["enum"], True, False]}
_CLOSES_SCHEMA = {"enum": [*_CLOSES.schema["enum"], True, False]}
Choice = Annotated[YesNo, ReadAs(_CHOICES.read, _CHOICES.words, _CHOICES_SCHEMA)]
Closing = Annotated[Closes, ReadAs(_CLOSES.read, _CLOSES.words, _CLOSES_SCHEMA)]


@dataclass(frozen=True)
class WrittenExpect:
    """What must come back; what is not written is left to the rulebook."""

    noun: ClassVar[str] = "an expect"

    status: Status | None = field(
        default=None,
        metadata=key("The status indicator; + is a SASL challenge, reply is +OK or -ERR."),
    )
    text: str | None = field(
        default=None,
        metadata=key(
            "The whole text behind the status indicator. {name} captures a run of non-blank "
            "characters if the step saves it, else it is the saved value."
        ),
    )
    lines: str | None = field(
        default=None, metadata=key("All lines of the multi-line reply, unstuffed.")
    )
    contains_lines: str | None = field(
        default=None, metadata=key("A run of consecutive lines of the reply, unstuffed.")
    )
    octets: Filled | None = field(
        default=None,
        metadata=key("The octets of the multi-line reply after unstuffing, a number or {name}."),
    )
    message: str | None = field(
        default=None,
        metadata=key("The multi-line reply is this message: a stock name, or the text itself."),
    )
    code: str | None = field(default=None, metadata=key("The response code, as in IN-USE."))
    without_code: str | None = field(
        default=None, metadata=key("A response code that the reply must not have.")
    )
    closed: Closing = field(
        default=Closes.NO,
        metadata=key(
            "yes: the server closes, after the reply if there is a status. "
            "maybe: it gives the reply, or closes instead."
        ),
    )
    silence: Duration | None = field(
        default=None, metadata=key("Nothing comes for this long, as in 300ms or 2s.")
    )
    rule: str | None = field(
        default=None,
        metadata=key("The rule that is broken if this is not met; else the scenario's first."),
    )


@dataclass(frozen=True)
class WrittenObserve:
    """What is told by the reply, where the RFCs leave freedom."""

    noun: ClassVar[str] = "an observe"

    id: Slug = field(metadata=key("The observation, see `pop3spec rules`."))
    of: str = field(default="", metadata=key("Which of several ways this step tries."))


@dataclass(frozen=True)
class WrittenAuthenticate:
    """A login by SASL, from AUTH to the last reply."""

    noun: ClassVar[str] = "an authenticate"

    mechanism: str = field(metadata=key("The mechanism, as in SCRAM-SHA-256."))
    initial_response: Choice = field(
        default=YesNo.YES,
        metadata=key("no: the client's first message waits for the empty challenge."),
    )
    user: str = field(default="{user}", metadata=key("The name; {user} where it is left out."))
    password: str = field(
        default="{password}", metadata=key("The password; {password} where it is left out.")
    )
    authzid: str = field(default="", metadata=key("The authorization identity; left out: none."))
    token: str = field(default="{token}", metadata=key("The token of OAUTHBEARER and XOAUTH2."))
    twist: str | None = field(
        default=None, metadata=key("What the client does wrong on purpose, as in wrong-proof.")
    )


@dataclass(frozen=True)
class WrittenStep:
    """One thing that the client does, and what must come back."""

    noun: ClassVar[str] = "a step"

    where: Location
    session: Slug = field(
        default="first",
        metadata=key("The session; a new name opens a new one, brought to the same state."),
    )
    send: str | None = field(
        default=None,
        metadata=key(
            "One legal command; CRLF is added. {user}, {password}, {apop}, {b64:…} and saved "
            "values {name} are filled in; {{ is a brace."
        ),
    )
    send_bytes: str | None = field(
        default=None,
        metadata=key("What no client may send, one character an octet; nothing is added."),
    )
    split: tuple[int, ...] = field(
        default=(), metadata=key("Octet offsets at which the write is cut into segments.")
    )
    authenticate: str | WrittenAuthenticate | None = field(
        default=None,
        metadata=key("A login by this SASL mechanism; what must come back is its last reply."),
    )
    handshake: Handshake | None = field(
        default=None, metadata=key("The client begins with TLS, behind STLS.")
    )
    close: ClientClose | None = field(
        default=None, metadata=key("The client closes its side of the session.")
    )
    deliver: tuple[str, ...] | None = field(
        default=None, metadata=key("Messages that come into the maildrop now.")
    )
    expect: ShortExpect | WrittenExpect | None = field(
        default=None, metadata=key("What must come back; absent: one reply, judged by the rules.")
    )
    save: tuple[Slug, ...] = field(
        default=(), metadata=key("Names in text or octets whose values are kept.")
    )
    observe: Slug | WrittenObserve | None = field(
        default=None,
        metadata=key("The observation that is told by what comes back; nothing is judged by it."),
    )


@dataclass(frozen=True)
class WrittenScenario:
    """One test of the target."""

    noun: ClassVar[str] = "a scenario"

    where: Location
    id: Slug = field(metadata=key("Lower-case words with hyphens; stays for ever."))
    title: str = field(metadata=key("The behaviour, in the present tense."))
    rules: tuple[str, ...] = field(metadata=key("The ids of the rules that it is about."))
    state: StartState = field(
        metadata=key("The state into which each session is brought before its first step.")
    )
    steps: tuple[WrittenStep, ...] = field(metadata=key("What the client does, in order."))
    transport: Transport | None = field(
        default=None,
        metadata=key("Every session is opened so: plain, stls or tls; absent: as the run has it."),
    )
    encrypted: Choice = field(
        default=YesNo.NO,
        metadata=key("yes: inside TLS, by STLS or on its own port where the run is in the clear."),
    )
    requires: tuple[Feature, ...] = field(
        default=(), metadata=key("Features that the target has to offer, as in UIDL.")
    )
    maildrop: tuple[str, ...] | None = field(
        default=None,
        metadata=key(
            "The filling: stock names, or messages as texts. "
            "Absent: any content will do; []: an empty maildrop."
        ),
    )
    failed_logins: int = field(
        default=0, metadata=key("How many deliberate wrong logins it makes with an account.")
    )
    note: str = field(
        default="", metadata=key("Why it is tried: the faults of servers that it is made for.")
    )
    examples: tuple[dict[str, str], ...] | None = field(
        default=None,
        metadata=key("One scenario for each: its id is added, {name} stands for its value."),
    )


@dataclass(frozen=True)
class WrittenFile:
    """Scenarios on one topic."""

    noun: ClassVar[str] = "a scenario file"

    about: str = field(metadata=key("The topic and its clause, as in 'RETR (RFC 1939, ...)'."))
    scenarios: tuple[WrittenScenario, ...] = field(
        metadata=key("The tests, independent of each other.")
    )
    topic: Slug | None = field(
        default=None, metadata=key("One word, a marker of pytest, as in framing or login.")
    )


# --- What the runner gets -------------------------------------------------------


@dataclass(frozen=True)
class Message:
    """A message: octets with CRLF line ends, and its name if it is a stock message."""

    name: str | None
    octets: bytes


@dataclass(frozen=True)
class Expect:
    """What must come back. `may_close`: a close instead of the reply will do."""

    status: Status | None = None
    text: Template | None = None
    lines: tuple[bytes, ...] | None = None
    contains_lines: tuple[bytes, ...] | None = None
    octets: Template | None = None
    message: Message | None = None
    code: str | None = None
    without_code: str | None = None
    closed: bool = False
    may_close: bool = False
    silence: float | None = None  # seconds
    rule: str | None = None

    @property
    def is_about_code(self) -> bool:
        """It is about the response code of a reply."""
        return self.code is not None or self.without_code is not None


@dataclass(frozen=True)
class Authenticate:
    """A login by SASL; the templates hold names and secrets."""

    mechanism: str
    initial_response: bool
    user: Template
    password: Template
    authzid: Template
    token: Template
    twist: str | None = None

    @property
    def templates(self) -> tuple[Template, ...]:
        """What is filled in before anything is said."""
        return (self.user, self.password, self.authzid, self.token)

    @property
    def names(self) -> frozenset[str]:
        """The names whose values the mechanism makes use of."""
        unused = self.password if self.mechanism in BEARER else self.token
        used = (part for part in self.templates if part is not unused)
        return frozenset(name for part in used for name in part.names)

    @property
    def is_right(self) -> bool:
        """The credentials are the account's, and nothing is done wrong."""
        return self.twist is None and (str(self.user), str(self.password), str(self.token)) == (
            "{user}",
            "{password}",
            "{token}",
        )


@dataclass(frozen=True)
class Observe:
    """The observation that a step makes, and which of several ways it tries."""

    id: str
    of: str = ""


@dataclass(frozen=True)
class Step:
    """One thing that the client does, and what must come back."""

    where: Location
    session: str = "first"
    send: Template | None = None
    send_bytes: Template | None = None
    split: tuple[int, ...] = ()
    close: ClientClose | None = None
    deliver: tuple[Message, ...] = ()
    expect: Expect | None = None
    save: tuple[str, ...] = ()
    observe: Observe | None = None
    authenticate: Authenticate | None = None
    handshake: Handshake | None = None

    @property
    def waits(self) -> bool:
        """Nothing is sent."""
        return self.send is None and self.send_bytes is None and self.authenticate is None


@dataclass(frozen=True)
class Scenario:
    """One test of the target; `id` holds the example's id behind its own."""

    id: str
    title: str
    rules: tuple[str, ...]
    state: State
    requires: tuple[str, ...]
    maildrop: tuple[Message, ...] | None
    failed_logins: int
    steps: tuple[Step, ...]
    where: Location
    topic: str
    note: str = ""
    transport: Transport | None = None
    encrypted: bool = False

    @property
    def needs_account(self) -> bool:
        """A mailbox is needed: to log in, to name it, or to fill it."""
        if self.state is State.TRANSACTION or self.maildrop is not None:
            return True
        if any(step.deliver for step in self.steps):
            return True
        return not self.names_sent.isdisjoint(BUILT_IN)

    @property
    def names_sent(self) -> frozenset[str]:
        """Every name that is filled in somewhere in what is sent."""
        sent = (part for step in self.steps for part in (step.send, step.send_bytes))
        names = {name for part in sent if part is not None for name in part.names}
        for step in self.steps:
            if step.authenticate is not None:
                names |= step.authenticate.names
        return frozenset(names)

    @property
    def longest_wait(self) -> float:
        """The seconds of silence that it waits for on purpose."""
        expects = (step.expect for step in self.steps)
        return sum(expect.silence or 0.0 for expect in expects if expect is not None)


@dataclass(frozen=True)
class ScenarioFile:
    """The scenarios of one file, examples expanded."""

    path: Path
    about: str
    topic: str
    scenarios: tuple[Scenario, ...]


# --- From one to the other ------------------------------------------------------


class _Problem(Exception):
    """What is wrong, and the keys and indices that lead to it."""

    def __init__(self, text: str, *path: str | int) -> None:
        super().__init__(text)
        self.text = text
        self.path = path


def load_scenarios(
    path: Path,
    rule_ids: Collection[str] | None,
    file: str = "",
    observation_ids: Collection[str] | None = None,
) -> ScenarioFile:
    """The scenarios of a file; ScenarioError says where it is wrong, and the mend.

    Without `rule_ids` any rule is taken, without `observation_ids` any observation.
    `file` is how messages name the file.
    """
    name = file or str(path)
    text = read_text(path, name)
    written = load_text(text, name, WrittenFile)
    try:
        scenarios = tuple(_scenarios(written, rule_ids, observation_ids))
    except _Problem as problem:
        raise ScenarioError(locate(text, name, problem.path), problem.text) from None
    return ScenarioFile(path, written.about, written.topic or "", scenarios)


def _scenarios(
    written: WrittenFile,
    rule_ids: Collection[str] | None,
    observation_ids: Collection[str] | None,
) -> Iterator[Scenario]:
    taken: dict[str, Location] = {}
    topic = written.topic or ""
    if not written.scenarios:
        raise _Problem("a scenario file needs at least one scenario", "scenarios")
    for index, entry in enumerate(written.scenarios):
        expanded = entry
        try:
            for expanded in _expanded(entry):
                _check_rules(expanded, rule_ids)
                _check_observations(expanded, observation_ids)
                if expanded.id in taken:
                    line = taken[expanded.id].line
                    raise _Problem(f"the id {expanded.id!r} is taken in line {line}", "id")
                taken[expanded.id] = expanded.where
                yield _scenario(expanded, topic)
        except _Problem as problem:
            text = problem.text
            if expanded is not entry:
                text += f" (in {expanded.id!r})"
            raise _Problem(text, "scenarios", index, *problem.path) from None


def _check_rules(entry: WrittenScenario, rule_ids: Collection[str] | None) -> None:
    if not entry.rules:
        raise _Problem("a scenario is about at least one rule", "rules")
    if rule_ids is None:
        return
    for index, rule in enumerate(entry.rules):
        if rule not in rule_ids:
            mend = did_you_mean(rule, rule_ids)
            raise _Problem(f"unknown rule {quoted(rule)}{mend}", "rules", index)
    for index, step in enumerate(entry.steps):
        expect = step.expect
        if isinstance(expect, WrittenExpect) and expect.rule and expect.rule not in rule_ids:
            mend = did_you_mean(expect.rule, rule_ids)
            problem = f"unknown rule {quoted(expect.rule)}{mend}"
            raise _Problem(problem, "steps", index, "expect", "rule")


def _check_observations(entry: WrittenScenario, ids: Collection[str] | None) -> None:
    for index, step in enumerate(entry.steps):
        observation = _observe(step)
        if observation is None or ids is None or observation.id in ids:
            continue
        problem = f"unknown observation {quoted(observation.id)}{did_you_mean(observation.id, ids)}"
        raise _Problem(problem, "steps", index, "observe")


# --- Examples

_SLUG = re.compile(_WORD)


def _expanded(entry: WrittenScenario) -> list[WrittenScenario]:
    """One scenario for each example, its values put in."""
    if entry.examples is None:
        return [entry]
    _check_examples(entry.examples)
    return [_with_values(entry, example) for example in entry.examples]


def _check_examples(examples: Sequence[Mapping[str, str]]) -> None:
    if not examples:
        raise _Problem("examples need at least one: add it, or leave the key out", "examples")
    ids: set[str] = set()
    for index, example in enumerate(examples):
        if "id" not in example:
            raise _Problem("an example needs the key 'id'", "examples", index)
        slug = example["id"]
        if _SLUG.fullmatch(slug) is None:
            problem = f"{quoted(slug)} is not lower-case words and digits with hyphens"
            raise _Problem(problem, "examples", index, "id")
        if slug in ids:
            raise _Problem(f"the example id {slug!r} is taken", "examples", index, "id")
        ids.add(slug)
        for name in example:
            if name in BUILT_IN or _SLUG.fullmatch(name) is None:
                problem = f"no example value can be named {quoted(name)}: take another name"
                raise _Problem(problem, "examples", index, name)
        if example.keys() != examples[0].keys():
            names = sorted(example.keys() ^ examples[0].keys())
            problem = f"examples have the same names: {', '.join(names)} is not in each"
            raise _Problem(problem, "examples", index)


def _with_values(entry: WrittenScenario, example: Mapping[str, str]) -> WrittenScenario:
    # Nothing matches (?!), where there is no name but the id.
    names = "|".join(name for name in example if name != "id") or "(?!)"
    # Doubled braces are read first, so that {{name}} stays what it is.
    places = re.compile(rf"\{{\{{|\}}\}}|\{{({names})\}}")

    def put(text: str) -> str:
        return places.sub(lambda found: example[found[1]] if found[1] else found[0], text)

    return replace(
        entry,
        id=f"{entry.id}-{example['id']}",
        title=put(entry.title),
        rules=_put(entry.rules, put),
        maildrop=_put(entry.maildrop, put),
        steps=_put(entry.steps, put),
        requires=_put(entry.requires, put),
        note=put(entry.note),
    )


def _put(value: Any, put: Callable[[str], str]) -> Any:
    """The value with `put` applied to every text in it."""
    if isinstance(value, str):
        return put(value)
    if isinstance(value, tuple):
        return tuple(_put(item, put) for item in value)
    if isinstance(value, WrittenStep | WrittenExpect | WrittenObserve | WrittenAuthenticate):
        return replace(value, **{name: _put(part, put) for name, part in vars(value).items()})
    return value


# --- Scenarios


@dataclass
class _Told:
    """What the steps so far have told."""

    names: set[str]  # that can be filled in
    user: dict[str, bool]  # session -> its last USER named the account
    challenged: set[str]  # sessions in which a challenge is to be answered
    failed_logins: list[tuple[int, str]]  # step and key of each


def _scenario(entry: WrittenScenario, topic: str) -> Scenario:
    if not entry.steps:
        raise _Problem("a scenario needs at least one step", "steps")
    if entry.failed_logins < 0:
        raise _Problem("a number of failed logins is 0 or more", "failed-logins")
    told = _Told(set(BUILT_IN), {}, set(), [])
    steps = []
    for index, step in enumerate(entry.steps):
        try:
            steps.append(_step(step, index, told))
        except _Problem as problem:
            raise _Problem(problem.text, "steps", index, *problem.path) from None
    if len(told.failed_logins) > entry.failed_logins:
        index, word = told.failed_logins[entry.failed_logins]
        raise _Problem(
            "this is a failed login with an account's name: "
            f"say failed-logins: {len(told.failed_logins)}",
            "steps",
            index,
            word,
        )
    if entry.maildrop is None:
        _refuse_to_delete(entry)
    maildrop = None
    if entry.maildrop is not None:
        maildrop = _messages(entry.maildrop, "maildrop")
    return Scenario(
        id=entry.id,
        title=entry.title,
        rules=entry.rules,
        state=entry.state,
        requires=entry.requires,
        maildrop=maildrop,
        failed_logins=entry.failed_logins,
        steps=tuple(steps),
        where=entry.where,
        topic=topic,
        note=entry.note,
        transport=entry.transport,
        encrypted=entry.encrypted is YesNo.YES,
    )


_LOGIN = re.compile(r"(?i)PASS|APOP|AUTH")


def _refuse_to_delete(entry: WrittenScenario) -> None:
    """Without a filling of ours whatever DELE marks is somebody's mail."""
    for index, step in enumerate(entry.steps):
        for word, text in (("send", step.send), ("send-bytes", step.send_bytes)):
            if text is None or "dele" not in text.lower():
                continue
            if word == "send" and text[:4].lower() != "dele":
                continue
            if entry.state is State.TRANSACTION or _LOGIN.search(_sent(entry.steps)):
                problem = (
                    "deletes mail that the suite did not deliver: give the scenario a maildrop"
                )
                raise _Problem(problem, "steps", index, word)


def _sent(steps: Iterable[WrittenStep]) -> str:
    return "\n".join(f"{step.send or ''}\n{step.send_bytes or ''}" for step in steps)


def _messages(written: Iterable[str], under: str) -> tuple[Message, ...]:
    messages = []
    for index, text in enumerate(written):
        try:
            messages.append(_message(text))
        except ValueError as error:
            raise _Problem(str(error), under, index) from None
    return tuple(messages)


def _message(text: str) -> Message:
    stock = STOCK.get(text)
    if stock is not None:
        return Message(text, stock.octets)
    if "\n" in text:
        return Message(None, b"".join(line + b"\r\n" for line in _lines(text)))
    if _SLUG.fullmatch(text) is None:
        raise ValueError(f"{quoted(text)} is neither a stock message nor a text of lines")
    raise ValueError(f"unknown stock message {quoted(text)}{did_you_mean(text, STOCK)}")


def _lines(text: str) -> tuple[bytes, ...]:
    """The lines of a block text, without their ends."""
    lines = encoded(text.replace("\r\n", "\n"), "utf-8").split(b"\n")
    if not lines[-1]:
        lines.pop()
    return tuple(lines)


# --- Steps

_Read = TypeVar("_Read")


def _step(step: WrittenStep, index: int, told: _Told) -> Step:
    _check_shape(step)
    send = send_bytes = None
    if step.send is not None:
        send = _checked(("send",), _command, step.send, step.session in told.challenged)
        _check_names(send, told.names, "send")
        _note_logins(step.send, index, "send", step.session, told)
        _check_split(step.split, send, 2)
    elif step.send_bytes is not None:
        send_bytes = _checked(("send-bytes",), template, step.send_bytes, "latin-1")
        _check_names(send_bytes, told.names, "send-bytes")
        for line in step.send_bytes.split("\n"):
            _note_logins(line.lstrip().rstrip("\r"), index, "send-bytes", step.session, told)
        _check_split(step.split, send_bytes, 0)
    elif step.split:
        raise _Problem("split cuts what is sent: add send or send-bytes", "split")
    expect = _expect(step, told)
    if expect is not None and expect.status is Status.CHALLENGE:
        told.challenged.add(step.session)
    else:
        told.challenged.discard(step.session)
    return Step(
        where=step.where,
        session=step.session,
        send=send,
        send_bytes=send_bytes,
        split=step.split,
        close=step.close,
        deliver=_messages(step.deliver, "deliver") if step.deliver else (),
        expect=expect,
        save=step.save,
        observe=_observe(step),
        authenticate=_authenticate(step, index, told),
        handshake=step.handshake,
    )


def _authenticate(step: WrittenStep, index: int, told: _Told) -> Authenticate | None:
    written = step.authenticate
    if written is None:
        return None
    if isinstance(written, str):
        written = WrittenAuthenticate(written)
    if written.mechanism not in MECHANISMS:
        mend = did_you_mean(written.mechanism, MECHANISMS)
        raise _Problem(f"unknown mechanism {quoted(written.mechanism)}{mend}", "authenticate")
    if written.twist is not None and written.twist not in TWISTS:
        mend = did_you_mean(written.twist, TWISTS)
        raise _Problem(f"unknown twist {quoted(written.twist)}{mend}", "authenticate", "twist")
    texts = {
        name: _checked(("authenticate", name), template, getattr(written, name))
        for name in ("user", "password", "authzid", "token")
    }
    for name, text in texts.items():
        _check_names(text, told.names, "authenticate", name)
    made = Authenticate(
        mechanism=written.mechanism,
        initial_response=written.initial_response is YesNo.YES,
        twist=written.twist,
        **texts,
    )
    if "user" in made.user.names and not made.is_right:
        told.failed_logins.append((index, "authenticate"))
    return made


def _observe(step: WrittenStep) -> Observe | None:
    match step.observe:
        case None:
            return None
        case WrittenObserve(id=name, of=way):
            return Observe(name, way)
        case name:
            return Observe(name)


def _check_shape(step: WrittenStep) -> None:
    acts = [
        word
        for word, value in (
            ("send", step.send),
            ("send-bytes", step.send_bytes),
            ("close", step.close),
            ("deliver", step.deliver),
            ("authenticate", step.authenticate),
            ("handshake", step.handshake),
        )
        if value is not None
    ]
    if len(acts) > 1:
        raise _Problem(f"{acts[0]} and {acts[1]} are two steps: make two of it", acts[1])
    if step.expect is not None:
        if any(act is not None for act in (step.close, step.deliver, step.handshake)):
            raise _Problem(f"{acts[0]} has no reply: put expect into the next step", "expect")
    elif not acts:
        raise _Problem("a step sends something or expects something: add one of the two")
    elif step.save:
        raise _Problem("save takes names out of an expect: add one", "save")
    if step.deliver is not None and not step.deliver:
        raise _Problem("deliver needs at least one message", "deliver")


def _checked(under: tuple[str, ...], read: Callable[..., _Read], *arguments: Any) -> _Read:
    """What `read` makes of its arguments; its ValueError is a problem under these keys."""
    try:
        return read(*arguments)
    except ValueError as error:
        raise _Problem(str(error), *under) from None


_MEND = "use send-bytes for what the protocol forbids"
_PRINTABLE = re.compile(rb"[ -~]*")
_KEYWORD = re.compile(rb"[A-Za-z][A-Za-z0-9]{2,3}")


@lru_cache(maxsize=1024)
def _command(text: str, continues: bool) -> Template:
    """One legal command line (RFC 1939, section 3), or the answer to a challenge."""
    command = template(text)
    literals = [part for part in command.parts if isinstance(part, bytes)]
    if not all(_PRINTABLE.fullmatch(literal) for literal in literals):
        raise ValueError(f"a command is printable ASCII: {_MEND}")
    if continues:
        return command
    first = command.parts[0] if command.parts else b""
    if isinstance(first, bytes):
        word, blank, _ = first.partition(b" ")
        # The rest of the keyword may be a value that is not known yet.
        seen = blank or len(command.parts) <= 1
        if seen and _KEYWORD.fullmatch(word) is None:
            raise ValueError(f"a keyword has 3 or 4 letters: {_MEND}")
    if sum(map(len, literals)) + 2 > MAX_COMMAND:
        raise ValueError(f"a command has at most {MAX_COMMAND} octets: {_MEND}")
    return command


def _check_names(pattern: Template | Base64, known: Collection[str], *under: str) -> None:
    for name in sorted(pattern.names):
        if name not in known:
            mend = did_you_mean(name, sorted(known))
            problem = f"{{{name}}} is neither built in nor saved before{mend}"
            raise _Problem(f"{problem}; '{{{{' is a brace", *under)


def _check_split(split: tuple[int, ...], sent: Template, line_end: int) -> None:
    if not split:
        return
    known = all(isinstance(part, bytes) for part in sent.parts)
    size = len(fill(sent, {})) + line_end if known else None
    before = 0
    for index, offset in enumerate(split):
        if offset <= before:
            problem = f"offset {offset}: offsets rise, and begin at 1"
            raise _Problem(problem, "split", index)
        if size is not None and offset >= size:
            problem = f"offset {offset} cuts nothing off: {size} octets are sent"
            raise _Problem(problem, "split", index)
        before = offset


def _note_logins(line: str, index: int, under: str, session: str, told: _Told) -> None:
    """Remember USER, and each login of an account that is bound to fail."""
    word, failed = line[:4].upper(), False
    rest = line[5:]
    if word == "USER":
        told.user[session] = "{user}" in rest or "{user-other-case}" in rest
    elif word == "PASS":
        # Some servers remember the name, so a second PASS is a login as well.
        failed = told.user.get(session, False) and rest != "{password}"
    elif word == "APOP":
        name, _, digest = rest.partition(" ")
        failed = "{user}" in name and digest != "{apop}"
    elif "{user}\0" in line:  # the message of SASL PLAIN (RFC 4616)
        failed = "{user}\0{password}}" not in line
    if failed:
        told.failed_logins.append((index, under))


# --- Expectations

_SHORT: Mapping[ShortExpect, Expect] = {
    ShortExpect.OK: Expect(Status.OK),
    ShortExpect.ERR: Expect(Status.ERR),
    ShortExpect.REPLY: Expect(Status.REPLY),
    ShortExpect.CLOSED: Expect(closed=True),
    ShortExpect.REPLY_OR_CLOSED: Expect(Status.REPLY, may_close=True),
}


def _expect(step: WrittenStep, told: _Told) -> Expect | None:
    written = step.expect
    if isinstance(written, WrittenExpect):
        _check_expect(written)
        text = octets = message = lines = run = None
        if written.text is not None:
            text = _checked(("expect", "text"), template, written.text)
        if written.octets is not None:
            octets = _checked(("expect", "octets"), template, written.octets)
        if written.message is not None:
            message = _checked(("expect", "message"), _message, written.message)
        if written.lines is not None:
            lines = _checked(("expect", "lines"), _lines, written.lines)
        if written.contains_lines is not None:
            run = _checked(("expect", "contains-lines"), _lines, written.contains_lines)
            if not run:
                raise _Problem("name at least one line", "expect", "contains-lines")
        expect = Expect(
            status=written.status,
            text=text,
            lines=lines,
            contains_lines=run,
            octets=octets,
            message=message,
            code=written.code,
            without_code=written.without_code,
            closed=written.closed is Closes.YES,
            may_close=written.closed is Closes.MAYBE,
            silence=written.silence,
            rule=written.rule,
        )
    elif written is None:
        return None
    else:
        expect = _SHORT[written]
    _check_saved(step.save, expect, told)
    return expect


def _check_expect(written: WrittenExpect) -> None:
    payload = ("lines", "contains-lines", "octets", "message")
    given = [
        word
        for word in ("text", "code", "without-code", *payload)
        if getattr(written, word.replace("-", "_")) is not None
    ]
    if written.silence is not None:
        if given or written.status is not None or written.closed is not Closes.NO:
            raise _Problem("where silence is expected nothing comes: make two steps", "expect")
        if written.silence <= 0:
            raise _Problem("a silence lasts longer than nothing", "expect", "silence")
        return
    if written.status is None:
        if given:
            raise _Problem(f"{given[0]!r} belongs to a reply: add its status", "expect", given[0])
        if written.closed is Closes.NO:
            raise _Problem("an expect says a status, closed: yes, or a silence", "expect")
        if written.closed is Closes.MAYBE:
            raise _Problem("add the status, or write reply-or-closed", "expect", "closed")
    elif written.status is not Status.OK:
        for word in given:
            if word in payload:
                raise _Problem(f"{word!r} belongs to a reply with status: +OK", "expect", word)


def _check_saved(save: tuple[str, ...], expect: Expect, told: _Told) -> None:
    patterns = [("text", expect.text), ("octets", expect.octets)]
    for index, name in enumerate(save):
        if name in BUILT_IN:
            raise _Problem(f"{name!r} is built in: take another name", "save", index)
        if not any(pattern and name in pattern.parts for _, pattern in patterns):
            problem = f"{{{name}}} is not in text or octets: put it where its value comes"
            raise _Problem(problem, "save", index)
    known = told.names.union(save)
    for word, pattern in patterns:
        if pattern is None:
            continue
        _check_names(pattern, known, "expect", word)
        for part in pattern.parts:
            if isinstance(part, Base64):  # nothing can be captured out of it
                _check_names(part, told.names, "expect", word)
        for left, right in zip(pattern.parts, pattern.parts[1:], strict=False):
            if left in save and right in save:
                problem = f"{{{left}}} and {{{right}}} touch: nothing says where one ends"
                raise _Problem(problem, "expect", word)
    told.names.update(save)


# --- Names of scenarios, and the schema


def scenario_id(path: Path, root: Path, slug: str) -> str:
    """The name in results: 'rfc1939/wrong-state::slug'.

    The path counts from the root; where the root is the file itself, its name.
    """
    is_below = path != root and path.is_relative_to(root)
    below = path.relative_to(root) if is_below else Path(path.name)
    return f"{below.with_suffix('').as_posix()}::{slug}"


def schema_text() -> str:
    """The content of scenarios/scenario.schema.json."""
    return json.dumps(json_schema(WrittenFile), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
