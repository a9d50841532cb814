"""What a scenario file says: its grammar, one field a key."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, ClassVar

from pop3spec.protocol.commands import State
from pop3spec.target import Transport
from pop3spec.yamlfile import Duration, Location, ReadAs, key, matching, one_of

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


WORD = r"[a-z0-9]+(?:-[a-z0-9]+)*"


Slug = Annotated[str, matching(WORD, "lower-case words and digits with hyphens")]


Feature = Annotated[
    str,
    matching(
        rf"[A-Z0-9](?:[A-Z0-9 ._+-]|\{{{WORD}\}})*",
        "a feature in capitals, as in UIDL or SASL PLAIN",
    ),
]


Filled = Annotated[str, matching(rf"[0-9]{{1,18}}|\{{{WORD}\}}", "a whole number or {name}")]


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
