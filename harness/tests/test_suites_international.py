"""The suites about UTF8 and LANG against servers that use every freedom of RFC 6856."""

import pytest
from suite_proof import accused_by_suites

from pop3spec.reference.faults import FAULTS
from pop3spec.reference.faults.fault import Fault
from pop3spec.reference.languages import Language
from pop3spec.reference.maildrops import Message
from pop3spec.reference.session import Session


class SaysLittle(Session):
    """Refusals without a code, no list of languages, tags without text."""

    def utf8_needed(self) -> bytes:
        return self.negative(b"not for this client")

    def lang_command(self, argument: bytes | None = None) -> bytes:
        return super().lang_command(argument) if argument else self.negative(b"no list")

    def selected(self, language: Language, argument: bytes) -> bytes:
        return self.positive(language.tag)


class RefusesUtf8(Session):
    """UTF8 is announced and refused, and so is LANG with an asterisk; tags stand alone."""

    def utf8_command(self) -> bytes:
        return self.negative(b"not now")

    def language_for(self, argument: bytes) -> Language | None:
        language = super().language_for(argument)
        is_exact = language is not None and language.tag.lower() == argument.lower()
        return language if is_exact else None

    def language_listing(self, language: Language) -> bytes:
        return language.tag


class ReplacesMessages(Session):
    """Surrogates whose sizes are right, in header and body; UTF8 is taken once."""

    def is_withheld(self, content: bytes) -> bool:
        return False

    def content(self, message: Message) -> bytes | None:
        content = super().content(message)
        if content is None or self.is_utf8_mode:
            return content
        return content.decode("ascii", "replace").replace("\ufffd", "?").encode()

    def utf8_command(self) -> bytes:
        return self.negative(b"it is on") if self.is_utf8_mode else super().utf8_command()


class ClosesOnGarbage(Session):
    """A line that is not UTF-8 ends the session, and so does a refused login."""

    def is_printable(self, line: bytes) -> bool:
        self.closing = not self.is_utf8(line)
        return super().is_printable(line)

    def login_refused(self) -> bytes:
        self.closing = True
        return super().login_refused()


@pytest.mark.parametrize(
    "server", [SaysLittle, RefusesUtf8, ReplacesMessages, ClosesOnGarbage], ids=lambda s: s.__name__
)
def test_a_server_that_uses_its_freedom_is_accused_of_nothing(
    server: type[Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = Fault("freedom", frozenset(), server.__doc__ or "", False, (server,))
    monkeypatch.setitem(FAULTS, "freedom", fault)

    accused = accused_by_suites("freedom", topics=("rfc6856_",))

    assert accused.rules == {}
    assert len(accused.exercised) > 20
