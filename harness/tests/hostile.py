"""Servers that a client should not meet, by name: `python hostile.py NAME` starts one.

Each is the reference server with one thing wrong beyond bearing: it never answers, never
ends, breaks off, floods, bans or dies. What it accuses a client of, nobody asks; what is
asked is that pop3spec comes to an end, within bounds, and says what it did not try.
"""

import base64
import contextlib
import itertools
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pop3spec.reference.certificates import authority
from pop3spec.reference.front import Front
from pop3spec.reference.server import ReferenceServer
from pop3spec.reference.session import Session
from pop3spec.reference.stores import MaildirStore, MemoryStore
from pop3spec.reference.tls import ServerTls
from pop3spec.reference.wire import Wire

# A password that must not turn up anywhere.
CANARY = "canary-9Zq-7Lw-3Vx"
USERS = ("alice", "bob", "carol", "dave")

# What is done on a connection in place of sending a reply.
Act = Callable[["HostileFront", Wire, bytes], None]


# --- What is done in place of a reply ---


def hold(front: "HostileFront", wire: Wire, reply: bytes) -> None:
    """Say nothing until the client has gone."""
    del front, reply
    wire.settimeout(3600)
    while wire.receive():
        pass
    raise ConnectionAbortedError


def close(front: "HostileFront", wire: Wire, reply: bytes) -> None:
    """End the connection in order."""
    del front, reply
    wire.hang_up()
    raise ConnectionAbortedError


def reset(front: "HostileFront", wire: Wire, reply: bytes) -> None:
    """Break the connection (RST)."""
    del front, reply
    wire.break_off()
    wire.close()
    raise ConnectionAbortedError


def half(then: Act) -> Act:
    """Half of the reply, then something else."""

    def act(front: "HostileFront", wire: Wire, reply: bytes) -> None:
        wire.send(reply[: len(reply) // 2])
        then(front, wire, reply)

    return act


def instead(octets: bytes) -> Act:
    """Something else than the reply."""
    return lambda front, wire, reply: wire.send(octets)


def twice(front: "HostileFront", wire: Wire, reply: bytes) -> None:
    """The reply, and the same again."""
    del front
    wire.send(reply + reply)


def flood(first: bytes, piece: bytes, pause: float = 0.0) -> Act:
    """What begins well and never ends."""

    def act(front: "HostileFront", wire: Wire, reply: bytes) -> None:
        del reply
        wire.send(first)
        while True:
            wire.send(piece)
            if front.stopping.wait(pause) if pause else front.stopping.is_set():
                raise ConnectionAbortedError

    return act


def drip(seconds: float) -> Act:
    """The reply, an octet at a time."""

    def act(front: "HostileFront", wire: Wire, reply: bytes) -> None:
        for octet in reply:
            wire.send(bytes([octet]))
            if front.stopping.wait(seconds):
                raise ConnectionAbortedError

    return act


def listing(make: Callable[[], bytes]) -> Act:
    """A reply that is made at the first use."""
    return lambda front, wire, reply: wire.send(make())


# --- The server around it ---


class HostileSession(Session):
    """Knows which command the reply is to."""

    said = ""
    disturb: Callable[[bytes], bytes] | None = None

    def answer(self, line: bytes) -> bytes:
        """The honest reply; the word of the line is kept."""
        self.said = line.split(b" ")[0].decode("latin-1").upper()
        return super().answer(line)

    def challenge(self, octets: bytes) -> bytes:
        """A challenge that may be disturbed."""
        disturb = type(self).disturb
        return super().challenge(disturb(octets) if disturb else octets)


class HostileFront(Front):
    """Does what the behaviour says in place of some replies."""

    acts: ClassVar[Mapping[str, Act]] = {}

    def send(self, wire: Wire, octets: bytes) -> None:
        """The greeting alone comes here by itself."""
        act = self.acts.get("greeting")
        if act is not None:
            act(self, wire, octets)
        else:
            wire.send(octets)

    def reply(self, wire: Wire, session: Session, replies: bytes) -> None:
        """The honest replies, or something else."""
        assert isinstance(session, HostileSession)
        act = self.acts.get(session.said) or self.acts.get("any")
        if act is not None:
            act(self, wire, replies)
        elif replies:
            wire.send(replies)


@dataclass(frozen=True)
class Behaviour:
    """One thing wrong beyond bearing.

    `acts` are in place of replies, by keyword, `greeting` or `any`; `front` and `session`
    replace more of the server; `raw` is another server altogether, for each connection of
    the port in the clear, and `raw_tls` for each of the one with TLS.
    """

    about: str
    acts: Mapping[str, Act] = field(default_factory=dict)
    front: type[HostileFront] = HostileFront
    session: type[HostileSession] = HostileSession
    raw: Callable[[socket.socket], None] | None = None
    raw_tls: Callable[[socket.socket], None] | None = None
    certificate: str = "good"
    is_heavy: bool = False
    is_slow: bool = False  # it costs minutes, whatever the timeouts are
    uses_tls: bool = False


# --- Servers that live for a while ---


def _fronts_of_one_mood() -> type[HostileFront]:
    """A class of its own, so that several servers of one process do not share a count."""
    return type("Mood", (HostileFront,), {})


class Counting(HostileFront):
    """Counts the sessions of the whole server."""

    most = 40
    numbers: ClassVar[Iterator[int]] = itertools.count(1)
    number = 0

    def talk(self, wire: Wire, session: Session) -> None:
        """Serve as long as it is willing to."""
        cls = type(self)
        cls.number = next(cls.numbers)
        if cls.number > self.most:
            self.refuse(wire)
        else:
            super().talk(wire, session)

    def refuse(self, wire: Wire) -> None:
        """What the clients get that are too many."""
        wire.cut()


class BansBySilence(Counting):
    """Accepts, and never says a word to those that are too many."""

    def refuse(self, wire: Wire) -> None:
        """Nothing."""
        hold(self, wire, b"")


class BansPolitely(Counting):
    """Greets those that are too many with -ERR."""

    def refuse(self, wire: Wire) -> None:
        """A negative greeting."""
        wire.send(b"-ERR you were here too often\r\n")


class Dies(Counting):
    """Stops listening and resets what is open."""

    def refuse(self, wire: Wire) -> None:
        """The end."""
        type(self).dead = True
        self.listener.close()
        with self._guard:
            connections = list(self._connections)
        for each in connections:
            each.break_off()

    dead = False

    def reply(self, wire: Wire, session: Session, replies: bytes) -> None:
        """Nothing from a dead server."""
        if type(self).dead:
            raise ConnectionAbortedError
        super().reply(wire, session, replies)


class Restarts(HostileFront):
    """Is restarted by somebody, with some time in between, now and then."""

    every = 60
    away = 0.5
    most_times = 3
    count = 0
    times = 0
    until = 0.0
    lock: ClassVar[threading.Lock] = threading.Lock()

    def accept(self, connection: socket.socket) -> None:
        """Nobody is served while it is away."""
        cls = type(self)
        with cls.lock:
            cls.count += 1
            if cls.count >= cls.every and cls.times < cls.most_times:
                cls.count, cls.until = 0, time.monotonic() + self.away
                cls.times += 1
                self._cut_all()
        if time.monotonic() < cls.until:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
            return
        super().accept(connection)

    def _cut_all(self) -> None:
        with self._guard:
            connections = list(self._connections)
        for each in connections:
            self.end(each)

    def end(self, wire: Wire) -> None:
        """How sessions end."""
        wire.break_off()


class ShutsDown(Restarts):
    """The same in order: sessions are told of it."""

    def end(self, wire: Wire) -> None:
        """The words of a server that is stopped."""
        with contextlib.suppress(OSError):
            wire.send(b"-ERR server shutting down\r\n")
        wire.cut()


class Slows(HostileFront):
    """Each reply comes later than the one before."""

    step = 0.005
    replies = 0

    def reply(self, wire: Wire, session: Session, replies: bytes) -> None:
        """Later."""
        cls = type(self)
        cls.replies += 1
        if self.stopping.wait(cls.replies * self.step):
            raise ConnectionAbortedError
        super().reply(wire, session, replies)


class OneAtATime(HostileFront):
    """Serves one connection, and closes the others."""

    word = b""
    busy: ClassVar[threading.Lock] = threading.Lock()

    def talk(self, wire: Wire, session: Session) -> None:
        """Only where nobody else is served."""
        if not type(self).busy.acquire(blocking=False):
            if self.word:
                wire.send(self.word)
            return
        try:
            super().talk(wire, session)
            # Behind the close, or the next connection of this client would come too early.
            session.end()
            self.hang_up(wire)
        finally:
            type(self).busy.release()


class OneAtATimePolitely(OneAtATime):
    """The same, with a word."""

    word = b"-ERR [SYS/TEMP] too many connections\r\n"


class CloseWhileOthers(HostileFront):
    """Drops a session at its third command while others are open."""

    def reply(self, wire: Wire, session: Session, replies: bytes) -> None:
        """Nothing more, with several at once."""
        with self._guard:
            others = len(self._connections) > 2
        heard = getattr(session, "heard", 0) + 1
        session.heard = heard  # type: ignore[attr-defined]  # this server's own
        if others and heard > 3:
            raise ConnectionAbortedError
        super().reply(wire, session, replies)


# --- Other servers ---


def mute(sock: socket.socket) -> None:
    """Accept, and never say anything."""
    with contextlib.suppress(OSError):
        while sock.recv(65536):
            pass


def says(octets: bytes, *, ends: bool = False) -> Callable[[socket.socket], None]:
    """The same to everybody, and a refusal to what is said then."""

    def serve(sock: socket.socket) -> None:
        sock.sendall(octets)
        if not ends:
            while sock.recv(65536):
                sock.sendall(b"500 what?\r\n")

    return serve


def http(sock: socket.socket) -> None:
    """A web server waits for a request, and refuses what comes."""
    sock.recv(65536)
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def noise(sock: socket.socket) -> None:
    """Octets of all kinds, for ever."""
    piece = bytes(range(256)) * 64
    while True:
        sock.sendall(piece)


def pours(first: bytes, piece: bytes, pause: float = 0.0) -> Callable[[socket.socket], None]:
    """Octets without end."""

    def serve(sock: socket.socket) -> None:
        sock.sendall(first)
        while True:
            sock.sendall(piece)
            if pause:
                time.sleep(pause)

    return serve


# --- TLS ---

# A handshake message of 16000 octets, of which one fragment comes after another.
_BEGINNING = b"\x16\x03\x03\x00\x04\x02\x00\x3e\x80"
_FRAGMENT = b"\x16\x03\x03\x00\x01\x00"
_HALF_HELLO = b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03" + b"\x11" * 20


def _garbage_certificate() -> bytes:
    """A ServerHello of TLS 1.2 and a certificate that is none (RFC 5246, section 7.4)."""
    hello = b"\x03\x03" + b"\x22" * 32 + b"\x00" + b"\xc0\x2f" + b"\x00"
    der = b"\x30\x82\x7f\xff" + b"\xff" * 300
    listed = len(der).to_bytes(3, "big") + der
    listed = len(listed).to_bytes(3, "big") + listed
    messages = b"\x02" + len(hello).to_bytes(3, "big") + hello
    messages += b"\x0b" + len(listed).to_bytes(3, "big") + listed
    return b"\x16\x03\x03" + len(messages).to_bytes(2, "big") + messages


def behind_hello(
    octets: bytes, then: Callable[[socket.socket], None] = mute
) -> Callable[..., None]:
    """Octets in answer to the ClientHello."""

    def serve(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(octets)
        then(sock)

    return serve


def _gone(sock: socket.socket) -> None:
    sock.close()


def in_handshake(serve: Callable[[socket.socket], None]) -> type[HostileFront]:
    """Where the handshake would be, something else."""

    class Broken(HostileFront):
        def secure(self, wire: Wire, session: Session) -> None:
            """No handshake."""
            del session
            serve(wire._socket)
            raise ConnectionAbortedError

    return Broken


class LeavesInTls(HostileFront):
    """Ends TLS in the middle of the third reply in it, without a goodbye."""

    def reply(self, wire: Wire, session: Session, replies: bytes) -> None:
        """Half a reply, then the end of the TCP connection."""
        if session.security is not None:
            heard = getattr(session, "heard", 0) + 1
            session.heard = heard  # type: ignore[attr-defined]  # this server's own
            if heard == 3:
                wire.send(replies[: len(replies) // 2])
                wire.cut()
                raise ConnectionAbortedError
        super().reply(wire, session, replies)


# --- SASL ---


def disturbed(change: Callable[[bytes], bytes]) -> type[HostileSession]:
    """A session whose SCRAM messages are changed."""

    class Disturbed(HostileSession):
        disturb = staticmethod(change)

    return Disturbed


def _iterations(count: bytes) -> Callable[[bytes], bytes]:
    def change(octets: bytes) -> bytes:
        return octets.rpartition(b",i=")[0] + b",i=" + count if b",i=" in octets else octets

    return change


def _salt(salt: bytes) -> Callable[[bytes], bytes]:
    def change(octets: bytes) -> bytes:
        if b",s=" not in octets:
            return octets
        head, _, rest = octets.partition(b",s=")
        return head + b",s=" + salt + b"," + rest.partition(b",")[2]

    return change


def _other_nonce(octets: bytes) -> bytes:
    return b"r=ZZZZ" + octets[2:] if octets.startswith(b"r=") else octets


def _extended(octets: bytes) -> bytes:
    return octets + b",x=\xff\xfe" if octets.startswith(b"r=") else octets


class EndlessChallenges(HostileSession):
    """Whatever the client says, another challenge."""

    def step(self, step: object) -> bytes:
        """Never the end."""
        del step
        return b"+ " + base64.b64encode(b"again") + b"\r\n"


class HugeChallenges(HostileSession):
    """Challenges of most of a megabyte, hard to read for who reads them carelessly."""

    def step(self, step: object) -> bytes:
        """Blanks without end where a directive may have them."""
        del step
        return b"+ " + base64.b64encode(b"realm=" + b" " * 500_000 + b'"') + b"\r\n"


_DIGITS = b"9" * 5000

_CAPABILITIES = b"+OK\r\nUSER\r\nUIDL\r\nTOP\r\nRESP-CODES\r\n%b\r\n.\r\n"


def _many_capabilities() -> bytes:
    return b"+OK\r\nUSER\r\n" + b"".join(b"X-%d\r\n" % n for n in range(1_000_000)) + b".\r\n"


def _some_capabilities() -> bytes:
    return b"+OK\r\nUSER\r\n" + b"".join(b"X-%d\r\n" % n for n in range(30_000)) + b".\r\n"


def _one_capability() -> bytes:
    return b"+OK\r\nUSER\r\n" + b"SASL PLAIN\r\n" * 1_000_000 + b".\r\n"


def _huge_unique_id() -> bytes:
    return b"+OK\r\n1 " + b"u" * 1_000_000 + b"\r\n.\r\n"


_PLACES = ("USER", "PASS", "CAPA", "STAT", "LIST", "RETR", "QUIT")
_WAYS: Mapping[str, Act] = {"silence": hold, "close": close, "reset": reset}

BEHAVIOURS: Mapping[str, Behaviour] = {
    **{
        f"{way}-at-{place.lower()}": Behaviour(
            f"{way} instead of the reply to {place}", {place: act}
        )
        for way, act in _WAYS.items()
        for place in ("greeting", *_PLACES)
    },
    **{
        f"{way}-in-retr": Behaviour(f"{way} in the middle of a message", {"RETR": half(act)})
        for way, act in _WAYS.items()
    },
    "endless-line": Behaviour(
        "LIST has a line without end",
        {"LIST": flood(b"+OK\r\n1 ", b"1" * 65536)},
        is_heavy=True,
    ),
    "endless-status-line": Behaviour(
        "STAT has a first line without end", {"STAT": flood(b"+OK ", b"1" * 65536)}
    ),
    "endless-listing": Behaviour(
        "LIST never ends",
        {"LIST": flood(b"+OK\r\n", b"1 120\r\n" * 9000)},
        is_heavy=True,
    ),
    "endless-message": Behaviour(
        "RETR never ends",
        {"RETR": flood(b"+OK\r\n", b"all work and no play\r\n" * 3000)},
        is_heavy=True,
    ),
    "slow-endless-message": Behaviour(
        "RETR never ends, and is slow but not too slow",
        {"RETR": flood(b"+OK\r\n", b"all work and no play\r\n" * 100, 0.05)},
        is_slow=True,
    ),
    "endless-greeting": Behaviour("the greeting never ends", raw=pours(b"+OK ", b"x" * 65536)),
    "one-octet-a-second": Behaviour("every reply an octet a second", {"any": drip(1.0)}),
    "octet-a-second-in-retr": Behaviour("RETR an octet a second", {"RETR": drip(1.0)}),
    "greeting-by-octets": Behaviour("the greeting an octet a second", {"greeting": drip(1.0)}),
    "garbage": Behaviour("octets of all kinds without end", raw=noise),
    "garbage-replies": Behaviour(
        "each reply is garbage", {"any": instead(bytes(range(256)) * 4 + b"\r\n")}
    ),
    "nul": Behaviour(
        "replies full of NUL",
        {
            "STAT": instead(b"+OK \0\0\0 \0\r\n"),
            "RETR": instead(b"+OK\r\n" + b"\0" * 100_000 + b"\r\n.\r\n"),
        },
    ),
    "http": Behaviour("a web server", raw=http),
    "smtp": Behaviour("a mail server", raw=says(b"220 mx.example.org ESMTP\r\n")),
    "never-greets": Behaviour("accepts and says nothing", raw=mute),
    "twice": Behaviour("every reply comes twice", {"any": twice}),
    "bans-by-reset": Behaviour("closes at once after 40 sessions", front=Counting),
    "bans-by-silence": Behaviour("says nothing after 40 sessions", front=BansBySilence),
    "bans-politely": Behaviour("greets with -ERR after 40 sessions", front=BansPolitely),
    "dies": Behaviour("dies after 40 sessions", front=Dies),
    "restarts": Behaviour("is killed and started again, three times", front=Restarts),
    "shuts-down": Behaviour("is shut down and started again, three times", front=ShutsDown),
    "slows-down": Behaviour("each reply later than the one before", front=Slows),
    "one-at-a-time": Behaviour("closes a second connection", front=OneAtATime),
    "one-at-a-time-politely": Behaviour(
        "greets a second connection with -ERR", front=OneAtATimePolitely
    ),
    "drops-beside-others": Behaviour(
        "drops sessions while others are open", front=CloseWhileOthers
    ),
    "digits-in-stat": Behaviour(
        "STAT has numbers of 5000 digits", {"STAT": instead(b"+OK %b %b\r\n" % (_DIGITS, _DIGITS))}
    ),
    "digits-in-list": Behaviour(
        "LIST has numbers of 5000 digits",
        {"LIST": instead(b"+OK\r\n%b %b\r\n.\r\n" % (_DIGITS, _DIGITS))},
    ),
    "digits-in-expire": Behaviour(
        "EXPIRE has 5000 digits", {"CAPA": instead(_CAPABILITIES % (b"EXPIRE " + _DIGITS))}
    ),
    "digits-in-login-delay": Behaviour(
        "LOGIN-DELAY has 5000 digits",
        {"CAPA": instead(_CAPABILITIES % (b"LOGIN-DELAY " + _DIGITS))},
    ),
    "huge-unique-id": Behaviour("a unique-id of a megabyte", {"UIDL": listing(_huge_unique_id)}),
    "million-capabilities": Behaviour(
        "a capability list of a million lines", {"CAPA": listing(_many_capabilities)}, is_heavy=True
    ),
    "many-capabilities": Behaviour(
        "a capability list that is just not too long", {"CAPA": listing(_some_capabilities)}
    ),
    "million-times-sasl": Behaviour(
        "SASL a million times in one list", {"CAPA": listing(_one_capability)}, is_heavy=True
    ),
    "endless-challenges": Behaviour("a challenge for ever", session=EndlessChallenges),
    "huge-challenges": Behaviour("challenges of half a megabyte", session=HugeChallenges),
    "scram-billion": Behaviour(
        "SCRAM with 10^9 iterations", session=disturbed(_iterations(b"1000000000"))
    ),
    "scram-ten-million": Behaviour(
        "SCRAM with 9999999 iterations", session=disturbed(_iterations(b"9999999"))
    ),
    "scram-no-count": Behaviour("SCRAM without a count", session=disturbed(_iterations(b""))),
    "scram-negative": Behaviour("SCRAM with -1 iterations", session=disturbed(_iterations(b"-1"))),
    "scram-digits": Behaviour(
        "SCRAM with a count of 5000 digits", session=disturbed(_iterations(_DIGITS))
    ),
    "scram-nonce": Behaviour("SCRAM with another nonce", session=disturbed(_other_nonce)),
    "scram-salt": Behaviour("SCRAM with a salt that is no base64", session=disturbed(_salt(b"a"))),
    "scram-empty-salt": Behaviour("SCRAM with an empty salt", session=disturbed(_salt(b""))),
    "scram-no-utf8": Behaviour(
        "SCRAM with octets that are not UTF-8", session=disturbed(_extended)
    ),
    "stls-silence": Behaviour("STLS, then nothing", front=in_handshake(mute), uses_tls=True),
    "stls-half-hello": Behaviour(
        "STLS, then half a ServerHello",
        front=in_handshake(behind_hello(_HALF_HELLO)),
        uses_tls=True,
    ),
    "stls-close": Behaviour(
        "STLS, then a close", front=in_handshake(behind_hello(b"", _gone)), uses_tls=True
    ),
    "stls-endless-handshake": Behaviour(
        "STLS, then a handshake of one octet at a time",
        front=in_handshake(behind_hello(_BEGINNING, pours(b"", _FRAGMENT, 0.2))),
        uses_tls=True,
    ),
    "stls-garbage-certificate": Behaviour(
        "STLS, then a certificate that is none",
        front=in_handshake(behind_hello(_garbage_certificate())),
        uses_tls=True,
    ),
    "stls-garbage": Behaviour(
        "STLS, then garbage", front=in_handshake(behind_hello(b"\0" * 5000)), uses_tls=True
    ),
    "tls-silence": Behaviour("the TLS port says nothing", raw_tls=mute, uses_tls=True),
    "tls-half-hello": Behaviour(
        "the TLS port stops in its ServerHello", raw_tls=behind_hello(_HALF_HELLO), uses_tls=True
    ),
    "tls-endless-handshake": Behaviour(
        "the TLS port sends a handshake of one octet at a time",
        raw_tls=behind_hello(_BEGINNING, pours(b"", _FRAGMENT, 0.2)),
        uses_tls=True,
    ),
    "tls-close": Behaviour(
        "the TLS port closes in the handshake", raw_tls=behind_hello(b"", _gone), uses_tls=True
    ),
    "tls-leaves": Behaviour(
        "ends in the middle of a reply in TLS", front=LeavesInTls, uses_tls=True
    ),
    "certificate-expired": Behaviour(
        "an expired certificate", certificate="expired", uses_tls=True
    ),
    "certificate-nameless": Behaviour(
        "a certificate for another name", certificate="misnamed", uses_tls=True
    ),
}


class Raw:
    """A server that is none of POP3, a thread for each connection."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._open: set[socket.socket] = set()
        self.address: tuple[str, int] = self._listener.getsockname()

    def start(self) -> None:
        """Accept connections."""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._open.add(sock)
                threading.Thread(target=self._talk, args=(sock,), daemon=True).start()

    def _talk(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            self._serve(sock)
        self._open.discard(sock)

    def close(self) -> None:
        """Stop."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class _HostileServer(ReferenceServer):
    def behave(self, behaviour: Behaviour, after: int | None) -> None:
        """Take the classes of a behaviour, each with counts of its own."""
        own: dict[str, object] = {"acts": behaviour.acts}
        if after is not None:
            own |= {"most": after, "every": after}
        for name in ("numbers", "lock", "busy"):
            if hasattr(behaviour.front, name):
                fresh = {"numbers": itertools.count(1)}.get(name) or threading.Lock()
                own[name] = fresh
        self._front_type = type("Own", (behaviour.front,), own)
        self._session_type = behaviour.session


@dataclass(frozen=True)
class Hostile:
    """A hostile server that runs: where it listens, whom to trust."""

    address: tuple[str, int]
    tls_address: tuple[str, int] | None
    ca: Path

    @property
    def words(self) -> list[str]:
        """The arguments of `pop3spec run` that lead to it."""
        found = [f"127.0.0.1:{self.address[1]}", f"--ca={self.ca}"]
        if self.tls_address is not None:
            found.append(f"--tls-target=127.0.0.1:{self.tls_address[1]}")
        return found


@contextlib.contextmanager
def hostile(
    name: str, folder: Path, maildir: Path | None = None, after: int | None = None
) -> Iterator[Hostile]:
    """A server with this behaviour; the file of its authority goes into the folder.

    One that changes its mind does so `after` so many sessions.
    """
    behaviour = BEHAVIOURS[name]
    ca = folder / "authority.pem"
    ca.write_bytes(authority().pem)
    server = _HostileServer(
        MemoryStore() if maildir is None else MaildirStore(maildir),
        dict.fromkeys(USERS, CANARY),
        tls=_tls(behaviour) if behaviour.uses_tls else None,
    )
    server.behave(behaviour, after)
    others: list[Raw] = []
    try:
        server.start()
        address, tls_address = server.address, None
        if behaviour.uses_tls:
            tls_address = server.tls_address
        for serve, is_tls in ((behaviour.raw, False), (behaviour.raw_tls, True)):
            if serve is not None:
                raw = Raw(serve)
                raw.start()
                others.append(raw)
                if is_tls:
                    tls_address = raw.address
                else:
                    address = raw.address
        yield Hostile(address, tls_address, ca)
    finally:
        for raw in others:
            raw.close()
        server.close()


def _tls(behaviour: Behaviour) -> ServerTls:
    return authority().tls(behaviour.certificate)


def main(name: str, maildir: str) -> None:
    """Serve until SIGTERM; the arguments for `pop3spec run` are on the first line."""
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    folder = Path(maildir)
    for user in USERS:
        for part in ("new", "cur", "tmp"):
            (folder / user / part).mkdir(parents=True, exist_ok=True)
    with hostile(name, folder, folder) as running:
        print(" ".join(running.words), flush=True)
        over.wait()


if __name__ == "__main__":
    main(*sys.argv[1:3])
