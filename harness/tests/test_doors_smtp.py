"""The SMTP door, into an SMTP server from PyPI that delivers to a Maildir."""

import mailbox
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from pop3spec.maildrop import Door, DoorError
from pop3spec.maildrop.doors import open_door
from pop3spec.maildrop.journal import own_part
from servers.processes import free_ports

ONE = b"Subject: one\r\n\r\nfirst\r\n.\r\n..\r\n"
TWO = b"Subject: two\r\n\r\nsecond\r\n"


@pytest.fixture
def mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POP3SPEC_STATE", str(tmp_path / "state"))
    (tmp_path / "mail").mkdir()
    return tmp_path / "mail"


class Delivers:
    """What an SMTP server does behind DATA: a trace field, and a file in the user's Maildir."""

    def __init__(self, mail: Path) -> None:
        self._mail = mail

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        for recipient in envelope.rcpt_tos:
            box = mailbox.Maildir(self._mail / recipient.partition("@")[0])
            assert isinstance(envelope.content, bytes)
            box.add(b"Received: by test\r\n" + envelope.content)
        return "250 delivered"


@pytest.fixture
def port(mail: Path) -> Iterator[int]:
    """An SMTP server that delivers to Maildirs."""
    [number] = free_ports(1)
    controller = Controller(Delivers(mail), hostname="127.0.0.1", port=number)
    controller.start()
    yield number
    controller.stop()


def opened(spec: str) -> Door:
    door = open_door(spec)
    assert door is not None
    return door


def test_messages_arrive_with_their_own_parts_unchanged(mail: Path, port: int) -> None:
    door = opened(f"smtp://127.0.0.1:{port}?domain=example.org+maildir:{mail}/{{user}}")

    door.fill("alice", [ONE, TWO])

    arrived = door.contents("alice")
    assert sorted(map(own_part, arrived)) == sorted(map(own_part, [ONE, TWO]))
    assert door.adds_headers
    door.clear("alice")
    assert door.contents("alice") == []


def test_a_place_that_is_no_smtp_server_is_told_with_its_scheme(mail: Path) -> None:
    door = opened(f"smtp://127.0.0.1:1+maildir:{mail}/{{user}}")

    with pytest.raises(DoorError, match=r"^smtp://127\.0\.0\.1:1: Connection refused$"):
        door.fill("alice", [ONE])
