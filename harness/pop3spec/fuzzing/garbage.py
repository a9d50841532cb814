"""Octets that are no POP3: other protocols, halves of lines, NUL, TLS records, and noise."""

from collections.abc import Iterator

from pop3spec.fuzzing.plans import ask, neighbour, say
from pop3spec.fuzzing.play import Play
from pop3spec.fuzzing.steps import Act, Conversation, Step
from pop3spec.protocol.commands import State

HEAD, NOISE = 8, 56
SIZE = HEAD + NOISE

_HELLO = (
    bytes.fromhex("160301002f0100002b0303") + bytes(range(32)) + bytes.fromhex("000002c02f0100")
)

BLOBS: tuple[bytes, ...] = (
    b"GET / HTTP/1.1\r\nHost: pop.example\r\nUser-Agent: x\r\n\r\n",
    b"POST /x HTTP/1.0\r\nContent-Length: 12\r\n\r\nUSER nobody\r\n",
    b"EHLO client.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n.\r\n",
    b"a1 CAPABILITY\r\na2 SELECT INBOX\r\n",
    _HELLO,
    b"\x16\x03\x01\xff\xff" + b"\0" * 40,
    b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + b"\x01" * 40,
    b"SSH-2.0-client\r\n",
    b"\xff\xfd\x18\xff\xfd\x1f\xff\xfb\x03",
    b"\0" * 512,
    b"\0\r\n" * 100,
    b"\r" * 600,
    b"\n" * 600,
    b"\r\n" * 200,
    b"USER ",
    b"RETR 1",
    b"NOOP\r",
    b"TOP 1 9\r\nRETR 1\r\nLIST",
    b"%s%s%s%n%x" * 60 + b"\r\n",
    "NOOP\r\n".encode("utf-16"),
    "USER größe\r\n".encode(),
    b"\xc0\x80\xfe\xff" * 64 + b"\r\n",
    bytes(range(256)),
    b".\r\n.\r\n+OK\r\n-ERR\r\n",
    b"NOOP\r\n" * 400,
    b"XQZJ\r\n" * 60,
    b"LIST " + b"9" * 250 + b"\r\n",
)
STRESS: tuple[bytes, ...] = (
    b"A" * 3000,
    b"USER " + b"x" * 9000 + b"\r\n",
    b"\xff" * 70_000,
    b"PASS " + b" " * 30_000 + b"\r\n",
    b"USER a\r\n" * 3000,
)
# A SASL exchange of which the other half never comes.
_HALVES = (b"AUTH PLAIN", b"AUTH CRAM-MD5", b"AUTH LOGIN", b"AUTH SCRAM-SHA-256")


def begin(octets: bytes) -> Conversation:
    """Two maildrops where there are two accounts: nothing of the second one may show up."""
    return Conversation((), 2, 2, octets[1] % 32 == 9)


def steps(octets: bytes, play: Play) -> Iterator[Step]:
    """Garbage before the login, behind it, or inside of AUTH; then a neighbour, and the next."""
    kind = octets[0] % (7 if play.stays_outside else 8)
    has_neighbour = octets[7] % 4 == 1
    if has_neighbour:
        yield from neighbour(2, play)
    yield Step(Act.CONNECT, 0)
    if kind == 7:
        yield Step(Act.LOG_IN, 0, play.usual_method)
        model = play.model_of(0)
        if model is None or model.state is not State.TRANSACTION:
            return
    elif kind == 6 and play.may_guess and play.run.observed.mechanisms_on(play.transport):
        yield say(0, _HALVES[octets[1] // 32 % len(_HALVES)])
    yield Step(Act.POUR, 0, _poured(octets))
    if octets[4] % 8 == 1:
        yield Step(Act.RESET, 0)
    if has_neighbour:
        yield ask(2)
    yield Step(Act.CONNECT, 1)
    yield say(1, b"CAPA" if octets[5] & 1 else b"NOOP")
    if octets[6] % 8 == 0 and not play.stays_outside:
        # From time to time the whole way.
        yield Step(Act.LOG_IN, 1, play.usual_method)
        yield say(1, b"STAT")
    yield say(1, b"QUIT")


def _poured(octets: bytes) -> bytes:
    parts = []
    for octet in octets[2 : 3 + octets[3] % 2]:
        if octet >= 208:
            parts.append(octets[HEAD : HEAD + 1 + octet % NOISE])
        elif octet >= 192:
            parts.append(STRESS[octet % len(STRESS)])
        else:
            parts.append(BLOBS[octet % len(BLOBS)])
    return b"".join(parts)
