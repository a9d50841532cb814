"""Faults that reach beyond their session: the next client is not served."""

from typing import ClassVar

from pop3spec.protocol.commands import State
from pop3spec.protocol.replies import CRLF
from pop3spec.reference.faults.fault import FaultTable
from pop3spec.reference.front import Front
from pop3spec.reference.session import Session
from pop3spec.reference.wire import Wire

TABLE = FaultTable()
fault = TABLE.fault


class EndsService(Session):
    """A session in which something happened that ends the service for others."""

    ends_service = False


class StopsListening(Front):
    """A front that accepts nobody any more."""

    def reply(self, wire: Wire, session: Session, replies: bytes) -> None:
        """Send replies, and accept nobody behind what ends the service."""
        if isinstance(session, EndsService) and session.ends_service:
            self.listener.close()
        super().reply(wire, session, replies)


@fault(
    "unknown-command-stops-listening",
    breaks=["robust-serves-next-client"],
    copies="an error that nobody catches ends the loop that accepts connections",
    parts=(StopsListening,),
)
class _UnknownCommandStopsListening(EndsService):
    def unknown(self, word: bytes) -> bytes:
        self.ends_service = True
        return super().unknown(word)


class _TurnsClientsAway(Front):
    is_broken = False

    def reply(self, wire: Wire, session: Session, replies: bytes) -> None:
        if isinstance(session, EndsService) and session.ends_service:
            self.is_broken = True
        super().reply(wire, session, replies)

    def talk(self, wire: Wire, session: Session) -> None:
        if not self.is_broken:
            super().talk(wire, session)


@fault(
    "bad-number-turns-clients-away",
    breaks=["robust-serves-next-client"],
    copies="WildDuck 603ee5bf: a number such as 1.5 breaks what all sessions share",
    edge=True,
    parts=(_TurnsClientsAway,),
)
class _BadNumberTurnsClientsAway(EndsService):
    def malformed(self, keyword: str) -> bytes:
        self.ends_service = True
        return super().malformed(keyword)


class _ReadsIntoOneBuffer(Session):
    """A session that keeps what it sends of messages where the others keep theirs."""

    buffer: ClassVar[bytearray] = bytearray()

    def retr_payload(self, text: bytes) -> bytes:
        self.buffer[:] = text.partition(b"\r\n\r\n")[2][:200].replace(b"\r\n", b" ")
        return super().retr_payload(text)

    def with_buffer(self, reply: bytes) -> bytes:
        return reply.removesuffix(CRLF) + b": " + bytes(self.buffer) + CRLF


@fault(
    "refusal-shows-the-mail-of-others",
    breaks=["robust-no-leak"],
    copies="a refusal of what cannot be printed shows a buffer that another session has filled",
)
class _RefusalShowsTheMailOfOthers(_ReadsIntoOneBuffer):
    def answer(self, line: bytes) -> bytes:
        reply = super().answer(line)
        return reply if self.is_printable(line) else self.with_buffer(reply)


@fault(
    "bad-number-shows-the-mail-of-others",
    breaks=["robust-no-leak"],
    copies="the text of a refusal has the length of the argument before it, and what is behind it",
    edge=True,
)
class _BadNumberShowsTheMailOfOthers(_ReadsIntoOneBuffer):
    def malformed(self, keyword: str) -> bytes:
        reply = super().malformed(keyword)
        return self.with_buffer(reply) if self.state is State.TRANSACTION else reply
