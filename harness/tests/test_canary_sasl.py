"""What a client says in a SASL exchange shows in no report and on no terminal."""

import re
from base64 import b64decode
from pathlib import Path

import pytest
from command import judge_here

from pop3spec.reference.sasl import MECHANISMS
from pop3spec.reference.sasl.mechanism import Step
from pop3spec.reference.session import Session

SUITES = ("suites/test_rfc5034_exchanges.py", "suites/test_rfc5034_mechanisms.py")
FILES = ("rfc2195", "rfc2831", "rfc4422", "rfc4616", "rfc5034/login", "rfc5802", "rfc7628")
PROVING = ("CRAM-MD5", "DIGEST-MD5", "SCRAM-", "OAUTHBEARER", "XOAUTH2", "PLAIN")
# Digests, proofs and tokens as they stand in a message.
PARTS = re.compile(rb"\b[0-9a-f]{32}\b|p=[^,]{20,}|Bearer [^\x01]+")


class Said:
    """The responses that reached a server, by mechanism."""

    def __init__(self) -> None:
        self.by_mechanism: dict[str, set[bytes]] = {}

    def hear(self, mechanism: str, line: bytes) -> None:
        """Keep a response that has a secret in it, as it is and as what it stands for."""
        try:
            message = b64decode(line, validate=True)
        except ValueError:
            return
        kept = self.by_mechanism.setdefault(mechanism, set())
        parts = PARTS.findall(message)
        if parts or (mechanism in ("PLAIN", "LOGIN") and len(message) > 12):
            kept.update((line, *parts))
        if mechanism == "PLAIN" and message.count(b"\0") == 2:
            kept.add(message.rpartition(b"\0")[2])

    @property
    def secrets(self) -> set[bytes]:
        """What must not be seen; names and what is too short to be told from other words apart."""
        every = set().union(*self.by_mechanism.values())
        return {each for each in every if len(each) >= 12}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    """What clients say to an embedded server that repeats the secret in its refusals."""
    heard = Said()
    respond, auth, failed = Session.respond, Session.auth_command, Session.failed
    last: dict[int, bytes] = {}
    names: dict[type, str] = {mechanism: name for name, mechanism in MECHANISMS.items()}

    def listening(session: Session, line: bytes) -> bytes:
        heard.hear(names[type(session.mechanism)], line)
        last[id(session)] = line
        return respond(session, line)

    def beginning(session: Session, name: bytes, initial: bytes | None = None) -> bytes:
        if initial is not None:
            heard.hear(session.mechanism_name(name), initial)
            last[id(session)] = initial
        return auth(session, name, initial)

    def repeating(session: Session, step: Step) -> bytes:
        refusal = failed(session, step)  # type: ignore[arg-type]  # it is a refusal here
        return refusal.replace(b"\r\n", b" " + last.pop(id(session), b"")[:300] + b"\r\n")

    monkeypatch.setattr(Session, "respond", listening)
    monkeypatch.setattr(Session, "auth_command", beginning)
    monkeypatch.setattr(Session, "failed", repeating)
    return heard


def test_no_response_of_any_mechanism_is_shown(said: Said, tmp_path: Path) -> None:
    places = [f"scenarios/{name}" + (".yaml" if "/" in name else "") for name in FILES]

    ended = judge_here(tmp_path, *places, *SUITES, "-v", "-rA", "--transcripts=all")

    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    shown = b"\n".join([ended.text.encode(), *written])
    mechanisms = {name for name, secrets in said.by_mechanism.items() if secrets}
    assert all(any(name.startswith(word) for name in mechanisms) for word in PROVING)
    assert b"C: AUTH" in shown
    assert [secret for secret in said.secrets if secret in shown] == []
