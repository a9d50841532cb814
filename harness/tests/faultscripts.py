"""Scripts for faults of TLS and SASL: what a client does, and what only the fault answers."""

import binascii
import contextlib
import re
import ssl
import tempfile
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rawclient import RawClient, connected, encoded, pem_file, trusting

from pop3spec.reference import FAULTS, MemoryStore, ReferenceServer
from pop3spec.reference.certificates import authority
from pop3spec.reference.offer import Cleartext
from pop3spec.rulebook.judgement import HELD
from pop3spec.sasl import Answer, Client, Identity, Unanswerable, begin

LONG = "n" * 255
ACCOUNTS = {"alice": "secret", "bob": "other-secret", LONG: "p" * 255}
TOKENS = {"alice": "token-of-alice"}

# What a client does in a session, and all that it hears meanwhile.
Step = Callable[[RawClient], bytes]


@dataclass(frozen=True)
class Script:
    """What is done with a server, and a pattern for what it says with the fault alone."""

    pattern: bytes
    run: Callable[[ReferenceServer], bytes]


def heard(script: Script, *faults: str, cleartext: Cleartext = Cleartext.PERMITTED) -> bytes:
    """What the server says with these faults."""
    with ReferenceServer(
        MemoryStore(),
        ACCOUNTS,
        faults=faults,
        tls=authority().tls(),
        cleartext=cleartext,
        tokens=TOKENS,
        welcomes_strangers=True,
    ) as server:
        return script.run(server)


def shows(name: str, script: Script) -> tuple[bool, bool]:
    """Whether the pattern fits with the fault, and whether without it."""
    cleartext = Cleartext.REFUSED if FAULTS[name].refuses_cleartext else Cleartext.PERMITTED
    fits = [
        re.search(script.pattern, heard(script, *faults, cleartext=cleartext), re.DOTALL)
        for faults in ((name,), ())
    ]
    return fits[0] is not None, fits[1] is not None


# Sessions.


def clear(*steps: Step) -> Callable[[ReferenceServer], bytes]:
    """The steps in a session in the clear."""
    return lambda server: _said(connected(server.address), steps)


def tls(*steps: Step) -> Callable[[ReferenceServer], bytes]:
    """The steps in a session on the port for TLS."""
    return lambda server: _said(connected(server.tls_address, trusting()), steps)


def certified(user: str, *, is_implicit: bool) -> Callable[[ReferenceServer], bytes]:
    """STAT, by a client with the certificate of a user."""

    def run(server: ReferenceServer) -> bytes:
        with tempfile.TemporaryDirectory() as directory:
            own = trusting(certificate_file=pem_file(authority().client(user), directory))
        if is_implicit:
            return _said(connected(server.tls_address, own), [ask("STAT")])
        return _said(connected(server.address), [lambda client: _stls(client, own), ask("STAT")])

    return run


def _said(session: contextlib.AbstractContextManager[RawClient], steps: Any) -> bytes:
    with session as client:
        return b"".join(step(client) for step in steps)


# Steps.


def ask(*commands: str) -> Step:
    """One line after the other, each with one line as the answer, or with a close."""

    def say(client: RawClient) -> bytes:
        came = b""
        for command in commands:
            try:
                came += client.ask(command) or b"<closed>"
            except ConnectionError:
                came += b"<closed>"
            except TimeoutError:
                came += b"<silence>"
        return came

    return say


def capa(client: RawClient) -> bytes:
    """The list of capabilities."""
    return b"\n".join(client.lines("CAPA"))


def login(client: RawClient) -> bytes:
    """USER and PASS."""
    return ask("USER alice", "PASS secret")(client)


def stls(client: RawClient) -> bytes:
    """STLS and the handshake."""
    return _stls(client, trusting())


def _stls(client: RawClient, context: ssl.SSLContext) -> bytes:
    try:
        client.start_tls(context)
    except OSError:
        return b"<no TLS>"
    return b"<TLS>"


def send(octets: bytes) -> Step:
    """Octets that nobody waits for an answer to."""

    def say(client: RawClient) -> bytes:
        client.send(octets)
        return b""

    return say


def listen(seconds: float) -> Step:
    """A line that comes by itself."""

    def say(client: RawClient) -> bytes:
        with patience(client, seconds):
            try:
                return client.line() or b"<closed>"
            except TimeoutError:
                return b"<silence>"
            except ConnectionError:
                return b"<closed>"

    return say


@contextlib.contextmanager
def patience(client: RawClient, seconds: float) -> Iterator[None]:
    """Wait no longer than that."""
    client.socket.settimeout(seconds)
    yield
    client.socket.settimeout(5)


def auth(
    mechanism: str,
    twist: str | None = None,
    *,
    in_two_lines: bool = False,
    user: str = "alice",
    password: str = "secret",
    certificate: bytes = b"",
    **more: Any,
) -> Step:
    """A whole exchange of AUTH, with the rules that the client finds broken.

    It may be bound to another certificate than the server's.
    """

    def say(client: RawClient) -> bytes:
        shown = certificate
        if not shown and isinstance(client.socket, ssl.SSLSocket):
            shown = client.socket.getpeercert(True) or b""
        bindings: Mapping[str, bytes] = {"tls-server-end-point": shown} if shown else {}
        identity = Identity(user, password, bindings=bindings, **more)
        ours = begin(mechanism, identity, twist)
        first = None if in_two_lines else ours.first()
        given = "" if first is None else " " + (encoded(first) or "=")
        came = [client.ask(f"AUTH {mechanism}{given}")]
        while came[-1].startswith(b"+ ") or came[-1] == b"+\r\n":
            answer = _answer(ours, came[-1])
            came += [b"<%b>" % rule.encode() for rule, found in answer.judged if found != HELD]
            octets = answer.octets
            came.append(client.ask("*" if octets is None else encoded(octets)))
        return b"".join(came)

    return say


def _answer(ours: Client, line: bytes) -> Answer:
    try:
        return ours.answer(b64decode(line[2:].strip(), validate=True))
    except Unanswerable as error:
        return Answer(None, error.judged)
    except binascii.Error:
        return Answer(None)


def challenges(command: str, count: int = 2) -> Step:
    """What so many exchanges begin with, each cancelled then, and whether that comes back."""

    def say(client: RawClient) -> bytes:
        seen = []
        for _ in range(count):
            seen.append(client.challenge(command))
            client.ask("*")
        return b"\n".join(seen)

    return say
