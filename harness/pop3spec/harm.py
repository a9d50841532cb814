"""What a session must not send, since mail of others could go by it."""

from collections.abc import Iterable

from pop3spec.client_lines import may_mean


class HarnessError(Exception):
    """pop3spec itself did something that it must not do."""


class MailGuard:
    """Keeps a session from removing mail, unless it `may_delete` what is there.

    A site may remove at QUIT what was retrieved (RFC 1939, section 8). Each line counts for
    all that a server may take it for.
    """

    def __init__(self, *, may_delete: bool) -> None:
        self._may_delete = may_delete
        self._has_name = False
        self._has_retrieved = False

    def check(self, lines: Iterable[bytes], outstanding: Iterable[bytes]) -> None:
        """HarnessError where one of the lines must not follow what is outstanding."""
        is_reading = self._is_reading(outstanding)
        for line in lines:
            self._check(line, is_reading=is_reading)
            is_reading |= _may_retrieve(line)

    def _check(self, line: bytes, *, is_reading: bool) -> None:
        self._has_name |= may_mean(line, b"USER", b"APOP", b"AUTH")
        # Before any name was given there is no maildrop that it could mean.
        if not self._has_name or self._may_delete:
            return
        if may_mean(line, b"DELE"):
            raise HarnessError("pop3spec would send DELE for mail that it did not deliver")
        if is_reading and may_mean(line, b"QUIT"):
            raise HarnessError("pop3spec would send QUIT behind mail that it did not deliver")

    def accepted(self, command: bytes) -> None:
        """The server did not refuse a command."""
        self._has_retrieved |= self._has_name and _may_retrieve(command)

    def may_quit(self, outstanding: Iterable[bytes]) -> bool:
        """QUIT cannot make anything of others go."""
        return self._may_delete or not self._is_reading(outstanding)

    def forbid(self) -> None:
        """From now on there may be mail that is not ours."""
        self._may_delete = False

    def _is_reading(self, outstanding: Iterable[bytes]) -> bool:
        """A message, or a part of one, was retrieved or is asked for."""
        return self._has_retrieved or any(map(_may_retrieve, outstanding))


def _may_retrieve(line: bytes) -> bool:
    return may_mean(line, b"RETR", b"TOP")
