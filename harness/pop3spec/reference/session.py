"""The protocol of the reference server: command lines in, replies out.

A session does no I/O and reads no clock. It is cut into small steps, each
with one job, so that a fault can replace a step and leave all others honest.
"""

import base64
import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from pop3spec import __version__
from pop3spec.protocol.commands import COMMANDS, Argument, State
from pop3spec.protocol.replies import CRLF, TERMINATOR, stuff
from pop3spec.protocol.sasl import decoded
from pop3spec.reference.languages import LANGUAGES, Language, language_for
from pop3spec.reference.maildrops import Maildrops, Message
from pop3spec.reference.offer import Cleartext, Offer
from pop3spec.reference.sasl.mechanism import Challenge, Granted, Mechanism, Refused, Security, Step
from pop3spec.reference.sasl.saslprep import prepared
from pop3spec.reference.stores import ended

MAX_LINE = 8192
# Responses inside of AUTH may be longer: tokens have no bound of their own.
MAX_RESPONSE = 1 << 16
# Who guesses passwords has to connect again and again.
_MOST_REFUSED_LOGINS = 8
# Replies to pipelined commands go out together, but not without bound.
_BATCH = 1 << 18
_UNPRINTABLE = re.compile(rb"[^\x20-\x7e]")
# Lines that may have UTF-8 in their arguments (RFC 6856, section 2.2), and what none has.
_OF_CREDENTIALS = re.compile(rb"(?i)(?:USER|PASS|APOP) ")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_NUMBERS = frozenset({Argument.MESSAGE_NUMBER, Argument.LINE_COUNT})
# Above every count of messages and lines; longer numbers are not converted.
_BEYOND = 10**20

# What CAPA lists wherever it is asked for.
CAPABILITIES = (
    b"TOP",
    b"UIDL",
    b"RESP-CODES",
    b"AUTH-RESP-CODE",
    b"PIPELINING",
    b"EXPIRE NEVER",
    b"IMPLEMENTATION pop3spec-" + __version__.encode(),
)

# Keyword -> the step that performs the command.
HANDLERS: Mapping[str, str] = {
    "USER": "user_command",
    "PASS": "pass_command",
    "APOP": "apop_command",
    "AUTH": "auth_command",
    "STLS": "stls_command",
    "CAPA": "capa_command",
    "QUIT": "quit_command",
    "STAT": "stat_command",
    "LIST": "list_command",
    "UIDL": "uidl_command",
    "RETR": "retr_command",
    "TOP": "top_command",
    "DELE": "dele_command",
    "NOOP": "noop_command",
    "RSET": "rset_command",
    "UTF8": "utf8_command",
    "LANG": "lang_command",
}
# Those that only an international server has.
_INTERNATIONAL = frozenset({"UTF8", "LANG"})


class Session:
    """One connection, from its greeting to its end.

    `closing` says that the connection ends behind what was returned last,
    `starts_tls` that the handshake follows it, which `secured` then ends;
    `delay` says how many seconds to wait before it is sent.
    """

    offer = Offer()

    def __init__(self, maildrops: Maildrops, failed_login_delay: float = 0.0) -> None:
        self.maildrops = maildrops
        self.failed_login_delay = failed_login_delay
        self.timestamp = maildrops.timestamp()
        self.state = State.AUTHORIZATION
        self.closing = False
        self.starts_tls = False
        self.delay = 0.0
        # What TLS gives, None in the clear.
        self.security: Security | None = None
        # The exchange that AUTH has begun.
        self.mechanism: Mechanism | None = None
        self.refused_logins = 0
        # RFC 6856: UTF-8 mode, and the language that LANG chose.
        self.is_utf8_mode = False
        self.language: Language | None = None
        self.user = ""
        self.messages: list[Message] = []
        self.marked: set[int] = set()
        # The name of a USER command right before this command; of this command.
        self.named: bytes | None = None
        self.naming: bytes | None = None
        self._lines: deque[bytes] = deque()
        self._rest = b""

    # Octets in, octets out.

    def greeting(self) -> bytes:
        """The first line that the client sees."""
        return self.positive(b"pop3spec reference server ready " + self.timestamp)

    @property
    def has_more(self) -> bool:
        """Commands that arrived are still to be answered."""
        return bool(self._lines) and not self.closing and not self.starts_tls

    def receive(self, octets: bytes) -> bytes:
        """Take what arrived, however it was cut; the replies that it brought about."""
        *lines, self._rest = (self._rest + octets).split(b"\n")
        self._lines.extend(lines)
        replies = []
        length = 0
        while self.has_more and not self.delay and length < _BATCH:
            reply = self.take(self._lines.popleft().removesuffix(b"\r"))
            replies.append(reply)
            length += len(reply)
        is_overlong = len(self._rest) > self.longest_line()
        if is_overlong and not self._lines and not self.closing and not self.starts_tls:
            replies.append(self.overlong())
        return b"".join(replies)

    def secured(self, security: Security) -> None:
        """The handshake is over: the session is in the AUTHORIZATION state, and knows no more."""
        self.starts_tls = False
        self.security = security
        self.forget_cleartext()

    def forget_cleartext(self) -> None:
        """Throw away what came in the clear: anybody may have put it there."""
        self.naming = None
        self._lines.clear()
        self._rest = b""

    def end(self) -> None:
        """The connection is gone, with or without QUIT: release the maildrop."""
        if self.user:
            self.maildrops.unlock(self.user)
            self.user = ""

    def longest_line(self) -> int:
        """How long a line may be, its end not counted."""
        return MAX_LINE if self.mechanism is None else MAX_RESPONSE

    def take(self, line: bytes) -> bytes:
        """The reply to one line, which inside of AUTH is a response of SASL."""
        return self.answer(line) if self.mechanism is None else self.respond(line)

    def answer(self, line: bytes) -> bytes:
        """The reply to one command line, given without its line end."""
        self.named, self.naming = self.naming, None
        if len(line) > MAX_LINE:
            return self.overlong()
        if not self.is_printable(line):
            return self.negative(b"a command consists of printable ASCII")
        word, blank, rest = line.partition(b" ")
        keyword = self.keyword(word)
        if not self.is_known(keyword):
            return self.unknown(word)
        if not self.is_in_state(keyword):
            return self.wrong_state(keyword)
        arguments = self.arguments(keyword, rest) if blank else ()
        if not self.is_well_formed(keyword, arguments):
            return self.malformed(keyword)
        return self.perform(keyword, arguments)

    def perform(self, keyword: str, arguments: Sequence[bytes]) -> bytes:
        """Do what a valid command asks for; the reply to it."""
        reply: bytes = getattr(self, HANDLERS[keyword])(*arguments)
        return reply

    # Replies.

    def positive(self, text: bytes) -> bytes:
        """A positive reply of one line."""
        return b"+OK " + self.worded(text) + CRLF

    def negative(self, text: bytes) -> bytes:
        """A negative reply."""
        return b"-ERR " + self.worded(text) + CRLF

    def worded(self, text: bytes) -> bytes:
        """A text in the language that was chosen."""
        return text if self.language is None else self.language.worded(text)

    def multiline(self, text: bytes, payload: bytes) -> bytes:
        """A positive reply with further lines, which are stuffed already."""
        return self.positive(text) + payload + TERMINATOR

    def overlong(self) -> bytes:
        """Refuse a line without bound, and the client who sends it."""
        self.closing = True
        return self.negative(b"line too long")

    def unknown(self, word: bytes) -> bytes:
        """Refuse a command that does not exist here."""
        return self.negative(b"unknown command " + word[:40])

    def wrong_state(self, keyword: str) -> bytes:
        """Refuse a command that is not for this state."""
        return self.negative(b"%s is not for the %s state" % (keyword.encode(), self.state_name))

    def malformed(self, keyword: str) -> bytes:
        """Refuse a command with other arguments than it takes."""
        return self.negative(b"wrong arguments of " + keyword.encode())

    def no_such_message(self) -> bytes:
        """Refuse a message-number."""
        return self.negative(b"no such message")

    @property
    def state_name(self) -> bytes:
        """The state as the RFC writes it."""
        return self.state.value.encode()

    # What a command line means.

    def is_printable(self, line: bytes) -> bool:
        """Whether a line has nothing but what a client may send here."""
        if self.offer.is_international and _OF_CREDENTIALS.match(line):
            return self.is_utf8(line) and not _CONTROL.search(line)
        return not _UNPRINTABLE.search(line)

    def is_utf8(self, line: bytes) -> bool:
        """Whether a line is well-formed UTF-8 (RFC 3629)."""
        try:
            line.decode()
        except UnicodeDecodeError:
            return False
        return True

    def is_known(self, keyword: str) -> bool:
        """Whether there is such a command here."""
        return keyword in HANDLERS and (
            self.offer.is_international or keyword not in _INTERNATIONAL
        )

    def keyword(self, word: bytes) -> str:
        """The keyword that the first word of a line stands for."""
        return word.decode("ascii").upper()

    def arguments(self, keyword: str, rest: bytes) -> tuple[bytes, ...]:
        """What stands behind the keyword and one blank, cut at each blank."""
        return (rest,) if COMMANDS[keyword].rest else tuple(rest.split(b" "))

    def is_in_state(self, keyword: str) -> bool:
        """Whether the command may be given now."""
        return self.state in COMMANDS[keyword].states

    def is_well_formed(self, keyword: str, arguments: Sequence[bytes]) -> bool:
        """Whether the command has the arguments that it takes."""
        command = COMMANDS[keyword]
        if not command.required <= len(arguments) <= len(command.arguments):
            return False
        return all(map(self.is_argument, command.arguments, arguments))

    def is_argument(self, meaning: Argument, argument: bytes) -> bool:
        """Whether one argument has the form of what it means."""
        return argument.isdigit() if meaning in _NUMBERS else bool(argument)

    def number(self, argument: bytes) -> int:
        """The number that digits stand for."""
        digits = argument.lstrip(b"0")
        return int(digits or b"0") if len(digits) <= 20 else _BEYOND

    def message(self, argument: bytes) -> Message | None:
        """The message that an argument names, None if it is not there or marked."""
        number = self.number(argument)
        return None if number in self.marked else self.numbered(number)

    def numbered(self, number: int) -> Message | None:
        """The message with this number, marked or not."""
        return self.messages[number - 1] if 1 <= number <= len(self.messages) else None

    # The AUTHORIZATION state.

    def user_command(self, name: bytes) -> bytes:
        """USER, which tells nobody which names exist."""
        if self.refuses_cleartext():
            return self.cleartext_refused()
        self.naming = name
        return self.positive(b"send the password")

    def pass_command(self, password: bytes) -> bytes:
        """PASS, right behind a successful USER."""
        if self.refuses_cleartext():
            return self.cleartext_refused()
        if self.named is None:
            return self.negative(b"send USER first")
        name = self.compared(self.named)
        if not self.maildrops.is_password(name, self.compared(password)):
            return self.login_refused()
        return self.log_in(self.maildrops.user(name))

    def apop_command(self, name: bytes, digest: bytes) -> bytes:
        """APOP with the digest for this session's greeting."""
        name = self.compared(name)
        if not self.maildrops.is_digest(name, digest, self.timestamp):
            return self.login_refused()
        return self.log_in(self.maildrops.user(name))

    def compared(self, octets: bytes) -> bytes:
        """A name or a password in the form in which it is compared; empty, which nobody has."""
        return (prepared(octets) or b"") if self.offer.is_international else octets

    def login_refused(self) -> bytes:
        """Refuse wrong credentials, at the pace that was asked for, and not without end."""
        self.refused_logins += 1
        self.closing = self.refused_logins >= _MOST_REFUSED_LOGINS
        self.delay = self.failed_login_delay
        return self.negative(b"[AUTH] wrong name or password")

    def refuses_cleartext(self) -> bool:
        """Whether a password is refused here, be it right or wrong (RFC 8314, section 4.1)."""
        return self.security is None and self.offer.cleartext is Cleartext.REFUSED

    def cleartext_refused(self) -> bytes:
        """Refuse a password that anybody may have read, whatever it is."""
        return self.negative(b"passwords need TLS here")

    # TLS (RFC 2595, section 4).

    def stls_command(self) -> bytes:
        """STLS; the handshake follows the reply."""
        if not self.offer.has_tls:
            return self.negative(b"there is no TLS here")
        if self.security is not None:
            return self.negative(b"TLS is active already")
        if self.is_utf8_mode:
            return self.negative(b"STLS comes before UTF8")
        self.starts_tls = True
        return self.positive(b"begin TLS negotiation")

    # AUTH (RFC 5034, section 4).

    def auth_command(self, name: bytes, initial: bytes | None = None) -> bytes:
        """AUTH, with or without an initial response."""
        mechanism = self.mechanism_named(self.mechanism_name(name))
        if mechanism is None:
            return self.no_such_mechanism()
        if self.is_barred(mechanism, initial):
            return self.cleartext_refused()
        if not mechanism.is_available(self.maildrops, self.security):
            return self.no_such_mechanism()
        response = None if initial is None else self.initial_response(initial)
        if initial is not None and response is None:
            return self.not_base64()
        self.mechanism = mechanism(self.maildrops, self.security)
        return self.step(self.mechanism.begin(response))

    def mechanism_name(self, name: bytes) -> str:
        """The mechanism that a word names, in whatever case."""
        return name.decode("ascii").upper()

    def mechanism_named(self, name: str) -> type[Mechanism] | None:
        """The mechanism of this name, None if there is none."""
        return self.offer.mechanisms.get(name)

    def is_barred(self, mechanism: type[Mechanism], initial: bytes | None) -> bool:
        """Whether the policy forbids the mechanism here, however the exchange begins."""
        del initial
        return mechanism.is_cleartext and self.refuses_cleartext()

    def initial_response(self, text: bytes) -> bytes | None:
        """The initial response, of which '=' is an empty one; None if it is not base64."""
        return b"" if text == b"=" else self.decoded(text)

    def respond(self, line: bytes) -> bytes:
        """Take a line of the client inside of AUTH."""
        assert self.mechanism is not None
        if len(line) > self.longest_line():
            return self.overlong()
        if line == b"*":
            return self.cancelled()
        response = self.decoded(line)
        if response is None:
            return self.not_base64()
        return self.step(self.mechanism.respond(response))

    def decoded(self, text: bytes) -> bytes | None:
        """What base64 stands for, None where a single character is wrong."""
        return decoded(text)

    def step(self, step: Step) -> bytes:
        """Go on with the exchange, or end it."""
        if isinstance(step, Challenge):
            return self.challenge(step.octets)
        self.mechanism = None
        return self.succeeded(step) if isinstance(step, Granted) else self.failed(step)

    def challenge(self, octets: bytes) -> bytes:
        """A challenge, which is empty where the client is to begin."""
        return b"+ " + base64.b64encode(octets) + CRLF

    def succeeded(self, step: Granted) -> bytes:
        """The reply to a client that has proven who it is."""
        return self.log_in(step.user)

    def failed(self, step: Refused) -> bytes:
        """The reply to a client that has not."""
        return self.login_refused() if step.is_credentials else self.negative(step.why.encode())

    def cancelled(self) -> bytes:
        """The client does not want to go on: as if there had been no AUTH."""
        self.mechanism = None
        return self.negative(b"the authentication is cancelled")

    def not_base64(self) -> bytes:
        """Refuse what cannot be decoded."""
        self.mechanism = None
        return self.negative(b"that is not base64")

    def no_such_mechanism(self) -> bytes:
        """Refuse a mechanism that is not on offer here."""
        return self.negative(b"there is no such mechanism here")

    def log_in(self, user: str) -> bytes:
        """Lock and open the maildrop of an account whose secret was right."""
        if self.comes_early(user):
            return self.too_early(user)
        if not self.maildrops.lock(user):
            return self.negative(b"[IN-USE] another session has the maildrop")
        try:
            messages = self.maildrops.open(user)
        except OSError:
            self.maildrops.unlock(user)
            return self.negative(b"[SYS/TEMP] the maildrop cannot be opened")
        self.enter(user, messages)
        self.maildrops.has_logged_in(user)
        return self.positive(b"maildrop locked and ready")

    def comes_early(self, user: str) -> bool:
        """Whether the last login is too recent for another one (RFC 2449, section 6.5)."""
        delay = self.offer.login_delay.of(user)
        return delay > 0 and self.maildrops.is_early(user, delay)

    def too_early(self, user: str) -> bytes:
        """Refuse an account whose last login was a moment ago."""
        del user
        return self.negative(b"[LOGIN-DELAY] the last login was a moment ago")

    def enter(self, user: str, messages: list[Message]) -> None:
        """Enter the TRANSACTION state with nothing marked."""
        self.user = user
        self.messages = messages
        self.marked = set()
        self.state = State.TRANSACTION

    # Either state.

    def capa_command(self) -> bytes:
        """CAPA, the same in both states but for STLS (RFC 2449, section 5)."""
        return self.multiline(b"capability list follows", self.lines(self.capabilities()))

    def capabilities(self) -> list[bytes]:
        """The capabilities in this state and security layer."""
        listed = list(CAPABILITIES)
        if not self.refuses_cleartext():
            listed.append(b"USER")
        if self.offer.login_delay.largest:
            listed.append(self.login_delay())
        if names := self.mechanisms():
            listed.append(b"SASL " + " ".join(names).encode())
        if self.announces_stls():
            listed.append(b"STLS")
        if self.offer.is_international:
            listed += self.international_capabilities()
        return listed

    def international_capabilities(self) -> list[bytes]:
        """Those of RFC 6856, the same in both states."""
        return [b"UTF8 USER", b"LANG"]

    def login_delay(self) -> bytes:
        """The capability LOGIN-DELAY: before the login what nobody's delay exceeds."""
        delay = self.offer.login_delay
        if self.state is not State.AUTHORIZATION:
            return b"LOGIN-DELAY %d" % delay.of(self.user)
        return b"LOGIN-DELAY %d" % delay.largest + (b" USER" if delay.differs else b"")

    def mechanisms(self) -> list[str]:
        """The mechanisms that can succeed in this security layer, before and after the login."""
        return [
            name
            for name, mechanism in self.offer.mechanisms.items()
            if mechanism.is_available(self.maildrops, self.security)
            and not (mechanism.is_cleartext and self.refuses_cleartext())
        ]

    def announces_stls(self) -> bool:
        """Whether STLS is permitted here and now."""
        is_open = self.offer.has_tls and self.security is None
        return is_open and self.state is State.AUTHORIZATION

    # UTF-8 and languages (RFC 6856).

    def utf8_command(self) -> bytes:
        """UTF8, which lasts to the end of the session."""
        self.is_utf8_mode = True
        return self.positive(b"this is UTF-8 mode")

    def is_withheld(self, content: bytes) -> bool:
        """Whether a message is for UTF-8 mode alone: its header has what is not ASCII."""
        if self.is_utf8_mode or not self.offer.is_international:
            return False
        return not content[: self.body_start(content)].isascii()

    def utf8_needed(self) -> bytes:
        """Refuse a message that is for UTF-8 mode."""
        return self.negative(b"[UTF8] this message needs UTF-8 mode")

    def lang_command(self, argument: bytes | None = None) -> bytes:
        """LANG, which lists languages or chooses one."""
        if argument is None:
            lines = map(self.language_listing, LANGUAGES)
            return self.multiline(b"language listing follows", self.lines(lines))
        language = self.language_for(argument)
        if language is None:
            return self.negative(b"there is no such language here")
        self.language = language
        return self.selected(language, argument)

    def language_listing(self, language: Language) -> bytes:
        """The line that lists a language."""
        return language.tag + b" " + language.name

    def language_for(self, argument: bytes) -> Language | None:
        """The language that an argument of LANG asks for."""
        return language_for(argument)

    def selected(self, language: Language, argument: bytes) -> bytes:
        """The reply to LANG that chose a language."""
        del argument
        return self.positive(language.tag + b" " + self.worded(b"language changed"))

    def quit_command(self) -> bytes:
        """QUIT; from the TRANSACTION state through UPDATE (RFC 1939, section 6)."""
        self.closing = True
        if self.state is State.AUTHORIZATION:
            return self.farewell()
        self.state = State.UPDATE
        complete = self.update()
        # Whoever reads the reply may log in at once.
        self.end()
        if not complete:
            return self.negative(b"some deleted messages not removed")
        return self.farewell()

    def farewell(self) -> bytes:
        """The positive reply to QUIT."""
        return self.positive(b"goodbye")

    def update(self) -> bool:
        """Remove the marked messages; whether all of them are gone."""
        if not self.marked:
            return True
        marked = [message for message in self.messages if message.number in self.marked]
        return self.maildrops.remove(self.user, marked)

    # The TRANSACTION state.

    def visible(self) -> list[Message]:
        """The messages that are not marked as deleted."""
        if not self.marked:
            return self.messages
        return [message for message in self.messages if message.number not in self.marked]

    def lines(self, lines: Iterable[bytes]) -> bytes:
        """The payload of a listing."""
        return b"".join([line + CRLF for line in lines])

    def stat_command(self) -> bytes:
        """STAT."""
        return self.positive(self.drop_listing(self.visible()))

    def drop_listing(self, messages: Sequence[Message]) -> bytes:
        """Count and octets of these messages."""
        return b"%d %d" % (len(messages), sum([message.size for message in messages]))

    def list_command(self, argument: bytes | None = None) -> bytes:
        """LIST, of one message or of all."""
        if argument is None:
            return self.multiline(b"scan listing follows", self.scan_listings(self.visible()))
        message = self.message(argument)
        return self.no_such_message() if message is None else self.list_one(message)

    def list_one(self, message: Message) -> bytes:
        """The reply to LIST with a message-number."""
        return self.positive(self.scan_listing(message))

    def scan_listings(self, messages: Sequence[Message]) -> bytes:
        """The payload of LIST for these messages."""
        return self.lines([self.scan_listing(message) for message in messages])

    def scan_listing(self, message: Message) -> bytes:
        """Number and size of one message."""
        return b"%d %d" % (message.number, message.size)

    def uidl_command(self, argument: bytes | None = None) -> bytes:
        """UIDL, of one message or of all."""
        if argument is None:
            listing = self.unique_id_listings(self.visible())
            return self.multiline(b"unique-id listing follows", listing)
        message = self.message(argument)
        return self.no_such_message() if message is None else self.uidl_one(message)

    def uidl_one(self, message: Message) -> bytes:
        """The reply to UIDL with a message-number."""
        return self.positive(self.unique_id_listing(message))

    def unique_id_listings(self, messages: Sequence[Message]) -> bytes:
        """The payload of UIDL for these messages."""
        return self.lines([self.unique_id_listing(message) for message in messages])

    def unique_id_listing(self, message: Message) -> bytes:
        """Number and unique-id of one message."""
        return b"%d %b" % (message.number, message.unique_id)

    def content(self, message: Message) -> bytes | None:
        """The octets of a message, None if it disappeared from the store."""
        stored = self.maildrops.content(self.user, message)
        return None if stored is None else ended(stored)

    def retr_command(self, argument: bytes) -> bytes:
        """RETR."""
        message = self.message(argument)
        if message is None:
            return self.no_such_message()
        content = self.content(message)
        if content is None:
            return self.negative(b"the message has disappeared")
        if self.is_withheld(content):
            return self.utf8_needed()
        return self.retr_reply(message, content)

    def retr_reply(self, message: Message, content: bytes) -> bytes:
        """The reply to RETR for a message that is there."""
        return self.multiline(b"%d octets" % message.size, self.retr_payload(content))

    def retr_payload(self, text: bytes) -> bytes:
        """What RETR sends, stuffed."""
        return stuff(text)

    def top_command(self, argument: bytes, count: bytes) -> bytes:
        """TOP."""
        message = self.message(argument)
        if message is None:
            return self.no_such_message()
        content = self.content(message)
        if content is None:
            return self.negative(b"the message has disappeared")
        if self.is_withheld(content):
            return self.utf8_needed()
        return self.top_reply(message, content, self.number(count))

    def top_reply(self, message: Message, content: bytes, count: int) -> bytes:
        """The reply to TOP for a message that is there."""
        text = self.top_text(content, count)
        return self.multiline(b"top of message %d" % message.number, self.top_payload(text))

    def top_text(self, content: bytes, count: int) -> bytes:
        """Header, blank line and the first lines of the body."""
        at = self.body_start(content)
        while count > 0 and at < len(content):
            end = content.find(CRLF, at)
            at = len(content) if end < 0 else end + 2
            count -= 1
        return content[:at]

    def body_start(self, content: bytes) -> int:
        """Where the body begins, behind the blank line; the end where none is."""
        if content.startswith(CRLF):
            return len(CRLF)
        at = content.find(b"\r\n\r\n")
        return len(content) if at < 0 else at + 4

    def top_payload(self, text: bytes) -> bytes:
        """What TOP sends, stuffed."""
        return stuff(text)

    def dele_command(self, argument: bytes) -> bytes:
        """DELE."""
        message = self.message(argument)
        return self.no_such_message() if message is None else self.dele_reply(message)

    def dele_reply(self, message: Message) -> bytes:
        """The reply to DELE for a message that is there and not marked."""
        self.mark(message)
        return self.positive(b"message %d deleted" % message.number)

    def mark(self, message: Message) -> None:
        """Mark a message as deleted."""
        self.marked.add(message.number)

    def noop_command(self) -> bytes:
        """NOOP."""
        return self.positive(b"nothing done")

    def rset_command(self) -> bytes:
        """RSET."""
        self.unmark()
        return self.positive(b"nothing is marked as deleted")

    def unmark(self) -> None:
        """Take back every mark."""
        self.marked.clear()
