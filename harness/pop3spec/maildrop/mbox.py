"""The mbox door: messages behind `From ` lines in the file PATH/{user}.

Line ends become bare LF, what mbox stores hold and servers turn into CRLF. A blank
line ends each entry. Lines that begin with any number of `>` and `From ` get one more
`>` (mboxrd); nothing else in a message is changed. Servers rewrite the file and add
fields to headers (Status, X-UIDL and the like), so whole messages are compared with
added header fields permitted.

The file is written in place, so that its owner and mode stay, under a dot-lock and an
fcntl lock. What the suite delivered is known by the sender in its `From ` line, an
address that nobody can have, or by the journal of digests where a server wrote that
line anew; everything else is foreign and stays. The pseudo message in which UW-IMAP and
others keep their own data is no message, and stays too.

After each write the file's time is set a few seconds back: a server that finds a
file of this very second may wait the second out, since it could not see another change
within it. To keep such changes visible, the door never gives the same second twice to
one file.

It refuses a message without a line end at its end,
without a header or the blank line behind it, or with a line end that is not CRLF, since
the store could not show them unchanged; and one with a header field that mbox stores
use for themselves, or without a value, for servers that rewrite the file write such a
field anew.
"""

import errno
import fcntl
import os
import pwd
import re
import stat
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pop3spec.maildrop import DoorError, StoreLockedError
from pop3spec.maildrop.journal import Journal

LOCKED_WITHIN = 5.0
BETWEEN_TRIES = 0.01
SET_BACK = 5
# What stands behind `From `; RFC 2606 keeps the domain from ever being real.
SENDER = b"pop3spec@delivery.invalid"

_SEPARATOR = re.compile(rb"(?:\A|(?<=\n\n))(?=From )")
_QUOTED = re.compile(rb"^(>*From )", re.MULTILINE)
_UNQUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
_PSEUDO = re.compile(rb"^X-IMAP(?:base)?:[^\n]*\n", re.MULTILINE | re.IGNORECASE)
_PSEUDO_SUBJECT = re.compile(
    rb"^Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n", re.MULTILINE
)
_STORE_FIELD = re.compile(
    rb"^(Status|X-Status|X-UID|X-UIDL|X-Keywords|X-IMAP|X-IMAPbase|Content-Length)[ \t]*:([^\n]*)",
    re.MULTILINE | re.IGNORECASE,
)
_NO_FIELD = re.compile(rb"(?!\n|[!-9;-~]+[ \t]*:)")
_NO_VALUE = re.compile(rb"^[!-9;-~]+:[ \t]*$", re.MULTILINE)


class MboxDoor:
    """Puts messages into mbox files."""

    adds_headers = True

    def __init__(
        self, template: str, *, allow_delete: bool = False, journal: Journal | None = None
    ) -> None:
        self.name = f"mbox:{template}"
        self._template = template
        self._allow_delete = allow_delete
        self._journal = journal or Journal()
        self._given: dict[Path, set[int]] = {}

    def refuses(self, message: bytes) -> str:
        """Why an mbox cannot carry a message unchanged, empty if it can."""
        text = message.replace(b"\r\n", b"\n")
        # Without a header the blank line comes first.
        header, blank, _ = (b"\n" + text).partition(b"\n\n")
        for is_so, reason in (
            (not text.endswith(b"\n"), "a message without a line end at its end"),
            (text.count(b"\n") != message.count(b"\r\n"), "a LF alone, which becomes a line end"),
            (not blank, "a header without the blank line behind it"),
            (_NO_FIELD.match(text), "a message without a header"),
            (_QUOTED.search(text), "a line that begins with 'From ', which gets a '>' before it"),
            (_STORE_FIELD.search(header), "a header field that the store uses for itself"),
            (_NO_VALUE.search(header), "a header field without a value as it is"),
        ):
            if is_so:
                return f"an mbox does not keep {reason}"
        return ""

    def fill(self, user: str, messages: Sequence[bytes]) -> None:
        """Make these messages the whole content of the mbox."""
        path = self._path(user)

        def filled(entries: list[bytes]) -> bytes:
            foreign = [entry for entry in entries if self._is_foreign(path, entry)]
            if foreign and not self._allow_delete:
                raise DoorError(
                    f"{path} holds {len(foreign)} messages that the suite did not deliver;"
                    " use an empty mailbox, or permit deleting them with --allow-delete"
                )
            kept = [entry for entry in entries if _is_pseudo(entry)]
            return b"".join(kept + [self._entry(path, message) for message in messages])

        self._rewrite(path, filled)

    def add(self, user: str, message: bytes) -> None:
        """Deliver one more message."""
        path = self._path(user)

        def added(entries: list[bytes]) -> bytes:
            before = b"".join(entries)
            while before and not before.endswith(b"\n\n"):
                before += b"\n"
            return before + self._entry(path, message)

        self._rewrite(path, added)

    def clear(self, user: str) -> None:
        """Remove what the suite delivered; the file stays, perhaps empty."""
        path = self._path(user)
        if not _exists(path):
            return

        def cleared(entries: list[bytes]) -> bytes:
            return b"".join(
                entry for entry in entries if _is_pseudo(entry) or self._is_foreign(path, entry)
            )

        self._rewrite(path, cleared)

    def contents(self, user: str) -> list[bytes]:
        """The messages in the store, with CRLF for each LF and nothing quoted."""
        messages = self._messages(self._path(user))
        return [message.replace(b"\n", b"\r\n") for message in messages]

    def marks(self, user: str) -> list[str]:
        """The header fields of each message that the store uses for itself."""
        messages = self._messages(self._path(user))
        headers = (message.partition(b"\n\n")[0] for message in messages)
        return [", ".join(map(_mark, _STORE_FIELD.findall(header))) for header in headers]

    def _messages(self, path: Path) -> list[bytes]:
        if not _exists(path.parent):
            return []
        # A server that writes the file anew puts another one in its place, under its lock.
        with _locked(path):
            if not _exists(path):
                return []
            with _opened(path) as file:
                entries = _entries(path, file.read())
        return [_message_of(entry) for entry in entries if not _is_pseudo(entry)]

    def announce(self, user: str, message: bytes) -> None:
        """A message will come, delivered by the suite through another door."""
        self._journal.record(self._place(self._path(user)), message)

    def show(self, user: str) -> None:
        """Nothing: whoever appends to an mbox reads what was there."""

    def _place(self, path: Path) -> str:
        return f"mbox:{path}"

    def _path(self, user: str) -> Path:
        if user in ("", ".", "..") or "/" in user or "\0" in user:
            raise DoorError(f"{self.name}: the user name {user!r} is no name of a file")
        return Path(self._template.replace("{user}", user)).absolute()

    def _is_foreign(self, path: Path, entry: bytes) -> bool:
        if _is_pseudo(entry) or entry.startswith(b"From " + SENDER + b" "):
            return False
        return not self._journal.has(self._place(path), _message_of(entry))

    def _entry(self, path: Path, message: bytes) -> bytes:
        self._journal.record(self._place(path), message)
        text = _QUOTED.sub(rb">\1", message.replace(b"\r\n", b"\n"))
        line_end = b"" if text.endswith(b"\n") else b"\n"
        date = time.asctime(time.gmtime()).encode("ascii")
        return b"From " + SENDER + b" " + date + b"\n" + text + line_end + b"\n"

    def _rewrite(self, path: Path, change: Callable[[list[bytes]], bytes]) -> None:
        if not os.path.isdir(path.parent):
            raise DoorError(f"{path.parent} is no directory; create it, or correct --maildrop")
        with _locked(path):
            is_made = _make(path)
            try:
                with _opened(path) as file:
                    before = file.read()
                    after = change(_entries(path, before))
                    if after == before:
                        return
                    _replace(file, before, after)
                    self._set_back(path, file)
            except BaseException:
                if is_made:
                    _remove_empty(path)
                raise

    def _set_back(self, path: Path, file: BinaryIO) -> None:
        given = self._given.setdefault(path, set())
        second = int(time.time()) - SET_BACK
        while second in given:
            second -= 1
        given.add(second)
        # Only the owner may; elsewhere the server waits.
        with suppress(OSError):
            os.utime(file.fileno(), (second, second))


def _entries(path: Path, content: bytes) -> list[bytes]:
    """The entries of an mbox, each with its `From ` line and the blank line behind it."""
    if not content.strip():
        return []
    if not content.startswith(b"From "):
        raise DoorError(f"{path} is no mbox: it does not begin with 'From '; correct --maildrop")
    starts = [match.start() for match in _SEPARATOR.finditer(content)]
    ends = [*starts[1:], len(content)]
    return [content[start:end] for start, end in zip(starts, ends, strict=True)]


def _message_of(entry: bytes) -> bytes:
    text = entry.partition(b"\n")[2].removesuffix(b"\n")
    return _UNQUOTED.sub(rb"\1", text)


def _mark(field: tuple[bytes, bytes]) -> str:
    """A field of the store; only a Status has a value that is the same in each run."""
    name, value = (part.decode("latin-1").strip() for part in field)
    return f"{name}: {value}" if "status" in name.lower() else name


def _is_pseudo(entry: bytes) -> bool:
    header = entry.partition(b"\n\n")[0] + b"\n"
    return bool(_PSEUDO.search(header)) and bool(_PSEUDO_SUBJECT.search(header))


def _replace(file: BinaryIO, before: bytes, after: bytes) -> None:
    """Write what differs; where that fails, put back what was there."""
    start = _common(before, after)
    try:
        _write(file, start, after)
    except BaseException:
        with suppress(OSError):
            _write(file, start, before)
        raise


def _common(one: bytes, other: bytes) -> int:
    """How many octets are the same at the beginning."""
    return bisect_left(
        range(min(len(one), len(other))), True, key=lambda n: one[: n + 1] != other[: n + 1]
    )


def _write(file: BinaryIO, start: int, content: bytes) -> None:
    file.seek(start)
    rest = memoryview(content)[start:]
    while rest:
        rest = rest[file.write(rest) :]
    file.truncate(len(content))


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DoorError(f"{path}: {error.strerror}; correct --maildrop") from error
    return True


def _remove_empty(path: Path) -> None:
    """Remove an mbox that we made, unless something has come into it."""
    with suppress(OSError):
        if path.stat().st_size == 0:
            path.unlink()


def _make(path: Path) -> bool:
    """Make an empty mbox where there is none, owned as its server needs it; whether it did."""
    if _exists(path):
        return False
    owner = None
    if os.geteuid() == 0:
        try:
            owner = pwd.getpwnam(path.name).pw_uid
        except KeyError:
            raise DoorError(
                f"{path} does not exist, and whose it should be is unknown;"
                " create it, owned by the user that the server reads it as"
            ) from None
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            if owner is not None:
                os.fchown(made, owner, -1)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(made)
    except OSError as error:
        raise DoorError(f"{path} cannot be made: {error.strerror}") from error
    return True


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The file, locked against programs that lock with fcntl."""
    try:
        # Whoever may write the directory must not lead us to another file.
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        why = "a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise DoorError(
            f"{path} cannot be opened: {why};"
            " give the suite the right to write it, or correct --maildrop"
        ) from error
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise DoorError(f"{path} is no plain file with a single name; correct --maildrop")

        def lock() -> bool:
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                return False
            return True

        try:
            _await(lock, f"{path} is locked, perhaps by a session of the server")
            yield file
        except OSError as error:
            raise DoorError(f"{path} cannot be written: {error.strerror}") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """A dot-lock, where the directory lets us make one."""
    lock_path = path.with_name(path.name + ".lock")
    is_ours = False

    def lock() -> bool:
        nonlocal is_ours
        try:
            descriptor = os.open(
                lock_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644
            )
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                return True  # the fcntl lock is all that there is for us
            raise DoorError(f"{lock_path} cannot be made: {error.strerror}") from error
        is_ours = True
        # Where the disk is full the file alone is the lock.
        with suppress(OSError):
            os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
        os.close(descriptor)
        return True

    _await(
        lock,
        f"{path} is locked, perhaps by a session of the server;"
        f" remove {lock_path} if no program uses the mailbox",
    )
    try:
        yield
    finally:
        if is_ours:
            lock_path.unlink(missing_ok=True)


def _await(lock: Callable[[], bool], problem: str) -> None:
    deadline = time.monotonic() + LOCKED_WITHIN
    while not lock():
        if time.monotonic() > deadline:
            raise StoreLockedError(problem)
        time.sleep(BETWEEN_TRIES)
