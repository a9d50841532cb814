"""What a session has shown before an exchange: the memory that checks judge by.

A History is a frozen value; `after` gives the next one. The state is the one
that the server's replies tell, not the one that the client hoped for.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from types import MappingProxyType

from pop3spec.protocol.commands import COMMANDS, State, message_number
from pop3spec.protocol.listings import DropListing
from pop3spec.protocol.sasl import client_nonce, directives, server_first
from pop3spec.transcript import End, Exchange, Kind

# As much of a message is kept for comparison with TOP.
_KEPT = 1 << 20

# Commands that a server need not have, and announces (RFC 2449, section 6).
OPTIONAL = frozenset({"TOP", "UIDL"})
# Octets of a command that no server is too small for.
SHORT_COMMAND = 32

_NOTHING: Mapping[int, int] = MappingProxyType({})
_NO_IDS: Mapping[int, bytes] = MappingProxyType({})


@dataclass(frozen=True)
class Content:
    """A retrieved message: its length in octets, a digest of its body, its beginning."""

    octets: int
    body_digest: bytes
    beginning: bytes
    ends_with_line_end: bool

    @property
    def is_whole(self) -> bool:
        """The beginning is all there is."""
        return len(self.beginning) == self.octets


_NO_COUNTS: Mapping[str, int] = MappingProxyType({})
_NO_NUMBERS: Mapping[str, frozenset[int]] = MappingProxyType({})
_NO_LISTS: "Mapping[tuple[bool, State], Capabilities]" = MappingProxyType({})
_NO_CONTENTS: Mapping[int, Content] = MappingProxyType({})


def body_of(message: bytes) -> bytes | None:
    """What stands behind the blank line of a message, None without a blank line."""
    if message.startswith(b"\r\n"):
        return message[2:]
    head, blank, body = message.partition(b"\r\n\r\n")
    del head
    return body if blank else None


# RFC 5322, section 2.1.1: octets of a line at most, without its CRLF.
_MAX_LINE = 998

_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")


def is_unusual(message: bytes) -> bool:
    """It has what RFC 5322 does not allow, so that RFC 1939, section 11 says nothing of it.

    Octets above 127, NUL, a CR or LF alone, long lines, or no header.
    """
    pairs = message.count(b"\r\n")
    return (
        not message.count(b"\r") == message.count(b"\n") == pairs
        or any(map(is_unusual_line, message.split(b"\r\n")))
        or (message != b"" and not _FIELD.match(message))
    )


def is_unusual_line(line: bytes) -> bool:
    """Octets above 127, NUL, or more than 998 octets (RFC 5322, sections 2.1 and 2.1.1)."""
    return not line.isascii() or b"\0" in line or len(line) > _MAX_LINE


# Response codes that say 'later' (RFC 2449, section 8; RFC 3206).
LATER = (b"[IN-USE]", b"[LOGIN-DELAY]", b"[SYS/TEMP]", b"[SYS/PERM]")


def says_later(exchange: Exchange) -> bool:
    """A refusal for a reason that has nothing to do with the command."""
    return exchange.reply is not None and exchange.reply.text.upper().startswith(LATER)


_SHUTDOWN = re.compile(rb"-ERR\b[^\n]*\bshut(?:s|ting)?[ -]?down\b", re.IGNORECASE)


def says_shutdown(exchange: Exchange) -> bool:
    """The server says, asked or not, that its service ends, as it may at any time."""
    line = exchange.partial if exchange.reply is None else exchange.reply.status_line
    return _SHUTDOWN.match(line) is not None


@dataclass(frozen=True)
class Filling:
    """What the suite knows of the maildrop of a session.

    `count` is the number of messages that it put in, None where it did not.
    `is_clean`: each message ends with a line end and has no CR or LF alone.
    `is_distinct`: no two messages are alike. `may_change`: mail may arrive or
    vanish during the session without the session's doing. `body` is the body
    of the only message, None where there are others or it has none. `is_unusual`: a
    message has what RFC 5322 does not allow, but for a missing line end at its end.
    """

    count: int | None = None
    is_clean: bool = False
    is_distinct: bool = False
    may_change: bool = False
    body: bytes | None = None
    is_unusual: bool = False

    @property
    def changing(self) -> "Filling":
        """The same where mail may come or go from now on."""
        return replace(self, count=None, body=None, may_change=True)


# The tags of a capability list in upper case, with their arguments.
Capabilities = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class SaslExchange:
    """An exchange of SASL as far as the client has come in it.

    Messages are decoded, None where they are not in base64. There are as many responses
    as challenges, and one more where AUTH brought an initial one.
    """

    mechanism: str
    has_initial_response: bool
    responses: tuple[bytes | None, ...] = ()
    challenges: tuple[bytes | None, ...] = ()

    @property
    def is_scram(self) -> bool:
        """The mechanism is one of the SCRAM family."""
        return self.mechanism.startswith("SCRAM-")

    @property
    def last_response(self) -> bytes | None:
        """What the client said last, None before it has said anything."""
        return self.responses[-1] if self.responses else None

    @property
    def last_challenge(self) -> bytes | None:
        """What the server said last, None before it has said anything."""
        return self.challenges[-1] if self.challenges else None

    @property
    def is_proven(self) -> bool:
        """The client's last message is the one with its proof (RFC 5802, section 7)."""
        return self.is_scram and len(self.responses) > 1 and b",p=" in (self.last_response or b"")

    def unique_part(self, challenge: bytes) -> tuple[str, str] | None:
        """What of a challenge no other exchange may have, behind the mechanism's family."""
        if self.mechanism == "CRAM-MD5" and not self.responses:
            return self.mechanism, challenge.decode("latin-1")
        if self.mechanism == "DIGEST-MD5" and not self.responses:
            nonces = [value for name, value in directives(challenge) or () if name == "nonce"]
            return (self.mechanism, nonces[0]) if nonces else None
        first = server_first(challenge)
        if not self.is_scram or first is None or len(self.responses) == 0:
            return None
        ours = client_nonce(self.last_response or b"")
        theirs = first.nonce.removeprefix(ours or "")
        return ("SCRAM", theirs) if ours and theirs and theirs != first.nonce else None


def sasl_of(exchange: Exchange, before: "History") -> SaslExchange | None:
    """The SASL exchange that a line of the client begins or goes on with, up to that line."""
    if exchange.kind is Kind.CONTINUATION:
        if before.sasl is None:
            return None
        said = (*before.sasl.responses, exchange.response)
        return replace(before.sasl, responses=said)
    if exchange.kind is not Kind.COMMAND or exchange.keyword != "AUTH" or not exchange.arguments:
        return None
    has_initial = len(exchange.arguments) > 1
    return SaslExchange(
        exchange.arguments[0].decode("latin-1").upper(),
        has_initial,
        (exchange.response,) if has_initial else (),
    )


@dataclass(frozen=True)
class History:
    """A session as its replies have shown it so far.

    `illegal`: something was sent that no client may send, or a reply is overdue;
    from then on a reply may belong to another command than it seems. `is_out_of_step`: the
    same, since something came that belongs to no command.
    """

    filling: Filling = Filling()
    state: State = State.AUTHORIZATION
    last: Exchange | None = None
    greeting: bytes | None = None
    user_accepted: bool = False  # since the last PASS
    user_was_last: bool = False
    refusals: int = 0
    login_refused: bool = False
    user_refused: bool = False
    illegal: bool = False
    is_out_of_step: bool = False
    quit: bool = False
    is_ending: bool = False  # the server is stopped, or says that it is
    capabilities: Capabilities | None = None
    # As CAPA told them last in this session, inside TLS or not, and in which state.
    lists: Mapping[tuple[bool, State], Capabilities] = field(default_factory=lambda: _NO_LISTS)
    # The layers on which CAPA was refused by a server that was asked for nothing but the list.
    capa_refused_on: frozenset[bool] = frozenset()
    stls_accepted: bool = False
    is_utf8_mode: bool = False  # UTF8 was accepted, and no TLS negotiation came behind it
    has_language: bool = False  # LANG has chosen one
    user: bytes | None = None  # the name that USER gave last
    sasl: SaslExchange | None = None  # the exchange in which a challenge awaits its answer
    challenges: tuple[tuple[str, str], ...] = ()  # what no other exchange may have
    worked: frozenset[str] = frozenset()  # optional commands that were answered +OK
    answered: frozenset[str] = frozenset()  # the keywords of short commands with a reply
    shown: frozenset[str] = frozenset()  # those that showed a message by its number

    # The maildrop at the opening: as each command told it before anything was marked.
    first_drop: DropListing | None = None
    first_counts: Mapping[str, int] = field(default_factory=lambda: _NO_COUNTS)
    first_listed: Mapping[str, frozenset[int]] = field(default_factory=lambda: _NO_NUMBERS)
    sizes: Mapping[int, int] = field(default_factory=lambda: _NOTHING)
    unique_ids: Mapping[int, bytes] = field(default_factory=lambda: _NO_IDS)
    contents: Mapping[int, Content] = field(default_factory=lambda: _NO_CONTENTS)
    marked: frozenset[int] = frozenset()
    unmarked: frozenset[int] = frozenset()  # marked once, then unmarked by RSET
    unsure: bool = False  # perhaps something else is marked as well

    # The same point of the session: nothing was marked or unmarked since.
    drop_listing: DropListing | None = None
    scan_listing: Mapping[int, int] | None = None
    unique_id_count: int | None = None

    @property
    def count(self) -> int | None:
        """The messages at the opening: by the filling, else as STAT told first."""
        if self.filling.count is not None:
            return self.filling.count
        return None if self.first_drop is None else self.first_drop.count

    @property
    def first_told(self) -> int | None:
        """The messages at the opening as the first command told them that did."""
        return next(iter(self.first_counts.values()), None)

    @property
    def announces_utf8(self) -> bool:
        """UTF8 is announced, which makes sizes less than exact (RFC 6856, section 2.1)."""
        return self.capabilities is not None and "UTF8" in self.capabilities

    @property
    def capa_refused(self) -> bool:
        """CAPA was refused, inside TLS or not."""
        return bool(self.capa_refused_on)

    def offers(self, word: str) -> bool:
        """An optional command is announced, or was answered +OK before."""
        return word in self.worked or word in (self.capabilities or ())

    def after(self, exchange: Exchange) -> "History":
        """The history with one more exchange."""
        if exchange.kind is Kind.EVENT:
            return self
        changes: dict[str, object] = {"last": exchange}
        if says_shutdown(exchange):
            changes["is_ending"] = True
        if exchange.kind in (Kind.COMMAND, Kind.CONTINUATION):
            changes |= self._sasl(exchange)
        if exchange.kind is Kind.GREETING and exchange.reply is not None:
            changes["greeting"] = exchange.reply.status_line
        if self._is_surplus(exchange) or may_go_on(exchange) or comes_behind(exchange, self):
            changes["is_out_of_step"] = True
        overdue = exchange.end in (End.TIMEOUT, End.TOO_LONG) and exchange.kind is not Kind.CLOSE
        if exchange.deliberate or overdue:
            changes["illegal"] = True
            if not exchange.is_err:
                changes |= self._unsure
        if exchange.kind in (Kind.COMMAND, Kind.CONTINUATION) and exchange.reply is not None:
            if exchange.is_err:
                changes["refusals"] = self.refusals + 1
            if len(exchange.sent) <= SHORT_COMMAND and not exchange.deliberate:
                changes["answered"] = self.answered | {exchange.keyword}
            if exchange.is_ok and number_of(exchange) is not None:
                changes["shown"] = self.shown | {exchange.keyword}
            if exchange.is_ok and exchange.keyword in OPTIONAL:
                changes["worked"] = self.worked | {exchange.keyword}
            changes.update(self._learned(exchange))
        return replace(self, **changes)  # type: ignore[arg-type]  # keys are field names

    def _is_surplus(self, exchange: Exchange) -> bool:
        """Octets that no command asked for; a greeting of several lines is read by its end."""
        if exchange.kind not in (Kind.UNASKED, Kind.SILENCE) or not exchange.partial:
            return False
        is_greeting = self.last is not None and self.last.kind is Kind.GREETING
        return not (exchange.deliberate or self.illegal or is_greeting)

    def _learned(self, exchange: Exchange) -> dict[str, object]:
        word = exchange.keyword
        learn = _LEARN.get(word)
        # An exchange that fails is as if there had been none (RFC 5034, section 4).
        learned: dict[str, object] = {"user_was_last": self.user_was_last and word == "AUTH"}
        if learn is not None and (self.state is State.TRANSACTION or word in _BEFORE_LOGIN):
            learned |= learn(self, exchange)
        return learned

    def _login(self, exchange: Exchange) -> dict[str, object]:
        if exchange.kind is Kind.COMMAND and exchange.keyword == "AUTH" and not exchange.arguments:
            return {}  # a list of mechanisms
        if exchange.is_err and exchange.keyword == "AUTH":
            return {"login_refused": True}
        if exchange.is_err:
            return {"login_refused": True, "user_accepted": False}
        if exchange.is_ok and self.state is State.AUTHORIZATION:
            return {"state": State.TRANSACTION, "user_accepted": False}
        return {}

    def _user(self, exchange: Exchange) -> dict[str, object]:
        # A server may remember the name of an earlier USER.
        accepted = self.user_accepted or exchange.is_ok
        refused = self.user_refused or exchange.is_err
        return {
            "user_accepted": accepted,
            "user_was_last": exchange.is_ok,
            "user_refused": refused,
            "user": exchange.arguments[0] if exchange.arguments else None,
        }

    def _sasl(self, exchange: Exchange) -> dict[str, object]:
        if not exchange.continues_sasl:
            return {} if self.sasl is None else {"sasl": None}
        running = sasl_of(exchange, self)
        if running is None:
            return {}
        challenge = exchange.challenge
        changes: dict[str, object] = {
            "sasl": replace(running, challenges=(*running.challenges, challenge))
        }
        unique = running.unique_part(challenge) if challenge else None
        if unique is not None:
            changes["challenges"] = (*self.challenges, unique)
        return changes

    def _stls(self, exchange: Exchange) -> dict[str, object]:
        return {"stls_accepted": True, "is_utf8_mode": False} if exchange.is_ok else {}

    def _utf8(self, exchange: Exchange) -> dict[str, object]:
        return {"is_utf8_mode": True} if exchange.is_ok else {}

    def _lang(self, exchange: Exchange) -> dict[str, object]:
        return {"has_language": True} if exchange.is_ok and exchange.arguments else {}

    def _quit(self, exchange: Exchange) -> dict[str, object]:
        if not exchange.is_ok and not exchange.is_err:
            return {}
        # A refusal ends the session only where it says that the removal failed.
        if exchange.is_err and (exchange.arguments or not self.marked):
            return {}
        return {"quit": True}

    def _capa(self, exchange: Exchange) -> dict[str, object]:
        if exchange.reply is None or not exchange.is_ok:
            # Behind USER a server may know nothing but PASS and QUIT (RFC 1939, section 7).
            is_plain = exchange.sent == b"CAPA\r\n" and not self.user_accepted
            refused = exchange.is_err and is_plain and not says_later(exchange)
            refusals = self.capa_refused_on | {exchange.secure}
            return {"capa_refused_on": refusals} if refused else {}
        listed = exchange.capabilities
        if listed is None:
            return {}
        place = (exchange.secure, self.state)
        return {"capabilities": listed, "lists": MappingProxyType({**self.lists, place: listed})}

    def _stat(self, exchange: Exchange) -> dict[str, object]:
        drop = exchange.drop_listing
        if drop is None:
            return {}
        learned: dict[str, object] = {"drop_listing": drop}
        if self.is_untouched and self.first_drop is None:
            learned["first_drop"] = drop
        return learned | self._told("STAT", drop.count)

    @property
    def _unsure(self) -> dict[str, object]:
        """What is known when a command did nobody but the server knows what."""
        return {"unsure": True, "filling": self.filling.changing}

    @property
    def is_untouched(self) -> bool:
        """Nothing was marked in this session."""
        return not self.marked and not self.unmarked and not self.unsure

    def _told(self, word: str, count: int, numbers: Collection[int] = ()) -> dict[str, object]:
        if word in self.first_counts or not self.is_untouched:
            return {}
        listed = {**self.first_listed, word: frozenset(numbers)}
        return {
            "first_counts": MappingProxyType({**self.first_counts, word: count}),
            "first_listed": MappingProxyType(listed),
        }

    def _list(self, exchange: Exchange) -> dict[str, object]:
        listings = exchange.scan_listings
        if listings is None or exchange.reply is None:
            return {}
        listed = {listing.number: listing.octets for listing in listings}
        learned: dict[str, object] = {}
        new = {n: octets for n, octets in listed.items() if n not in self.sizes}
        if new:
            learned["sizes"] = MappingProxyType({**self.sizes, **new})
        if exchange.reply.is_multiline:
            learned["scan_listing"] = MappingProxyType(listed)
            learned |= self._told("LIST", len(listed), listed)
        return learned

    def _uidl(self, exchange: Exchange) -> dict[str, object]:
        listings = exchange.unique_id_listings
        if listings is None or exchange.reply is None:
            return {}
        listed = {listing.number: listing.unique_id for listing in listings}
        learned: dict[str, object] = {}
        new = {n: uid for n, uid in listed.items() if n not in self.unique_ids}
        if new:
            learned["unique_ids"] = MappingProxyType({**self.unique_ids, **new})
        if exchange.reply.is_multiline:
            learned["unique_id_count"] = len(listed)
            learned |= self._told("UIDL", len(listed), listed)
        return learned

    def _retr(self, exchange: Exchange) -> dict[str, object]:
        number = number_of(exchange)
        if number is None or number in self.contents or exchange.reply is None:
            return {}
        if not exchange.is_ok or not exchange.reply.is_multiline:
            return {}
        return {
            "contents": MappingProxyType(
                {**self.contents, number: content_of(exchange.reply.content)}
            )
        }

    def _dele(self, exchange: Exchange) -> dict[str, object]:
        number = number_of(exchange)
        if not exchange.is_ok:
            return {}
        if number is None:
            return _ELSEWHERE | self._unsure
        is_there = self.count is None or self.filling.may_change or 1 <= number <= self.count
        return _ELSEWHERE | ({"marked": self.marked | {number}} if is_there else self._unsure)

    def _rset(self, exchange: Exchange) -> dict[str, object]:
        if not exchange.is_ok:
            return {}
        return _ELSEWHERE | {"marked": frozenset(), "unmarked": self.unmarked | self.marked}


# Behind DELE and RSET the listings are those of another point of the session.
_ELSEWHERE: dict[str, object] = {
    "drop_listing": None,
    "scan_listing": None,
    "unique_id_count": None,
}

_BEFORE_LOGIN = frozenset({"USER", "PASS", "APOP", "AUTH", "QUIT", "CAPA", "STLS", "UTF8", "LANG"})

_LEARN = {
    "USER": History._user,
    "PASS": History._login,
    "APOP": History._login,
    "AUTH": History._login,
    "QUIT": History._quit,
    "CAPA": History._capa,
    "STLS": History._stls,
    "UTF8": History._utf8,
    "LANG": History._lang,
    "STAT": History._stat,
    "LIST": History._list,
    "UIDL": History._uidl,
    "RETR": History._retr,
    "DELE": History._dele,
    "RSET": History._rset,
}


_SCAN_LISTING = re.compile(rb"\+OK +[0-9]+ +[0-9]")


def may_go_on(exchange: Exchange) -> bool:
    """LIST with a number got +OK and no scan listing: perhaps the lines are still to come."""
    return (
        exchange.keyword == "LIST"
        and bool(exchange.arguments)
        and exchange.is_ok
        and exchange.reply is not None
        and not exchange.reply.is_multiline
        and not _SCAN_LISTING.match(exchange.reply.status_line)
    )


def comes_behind(exchange: Exchange, before: History) -> bool:
    """The reply comes behind a line that nobody asked for, and that was late.

    That is a list of capabilities that begins with a status line, where perhaps a server greets
    again inside TLS; and a lone dot behind what had ended before, at a line that was not stuffed.
    """
    reply = exchange.reply
    if reply is None:
        return False
    if reply.status_line == b".\r\n":
        last = before.last.reply if before.last is not None else None
        return last is not None and last.is_multiline
    is_list = exchange.keyword == "CAPA" and reply.is_ok and reply.payload is not None
    return is_list and _STATUS_LINE.match(reply.payload or b"") is not None


_STATUS_LINE = re.compile(rb"\+OK[ \r]")


def may_be_parting(exchange: Exchange, before: History) -> bool:
    """-ERR to QUIT, perhaps what a server parts with behind several refusals."""
    return exchange.keyword == "QUIT" and exchange.is_err and before.refusals > 1


def content_of(message: bytes) -> Content:
    """What is remembered of a retrieved message."""
    body = body_of(message)
    return Content(
        octets=len(message),
        body_digest=sha256(body or b"").digest(),
        beginning=message[:_KEPT],
        ends_with_line_end=message.endswith(b"\r\n"),
    )


def number_of(exchange: Exchange) -> int | None:
    """The message-number that a command names, None without a plain decimal one."""
    command = COMMANDS.get(exchange.keyword)
    if command is None or not command.names_message or not exchange.arguments:
        return None
    return message_number(exchange.arguments[0])
