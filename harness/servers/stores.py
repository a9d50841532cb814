"""Empty mail stores, owned by the user ids that a server reads them with."""

import os
from collections.abc import Mapping
from pathlib import Path

# One user id for servers whose accounts are not users of the system.
MAIL_OWNER = 20000
MAIL_GROUP = 8


def make_maildirs(mail: Path, owners: Mapping[str, int]) -> None:
    """An empty Maildir for each account, owned by its user id."""
    mail.mkdir()
    # A server may make a Maildir anew that was removed as a whole.
    os.chown(mail, next(iter(owners.values())), MAIL_GROUP)
    for user, owner in owners.items():
        for part in ("", "new", "cur", "tmp"):
            path = mail / user / part
            path.mkdir()
            os.chown(path, owner, MAIL_GROUP)


def make_mailboxes(mail: Path, owners: Mapping[str, int]) -> None:
    """An empty mbox for each account, owned by its user id, in a directory of group mail."""
    mail.mkdir()
    os.chown(mail, 0, MAIL_GROUP)
    # Lock files are made here; the sticky bit keeps users off each other's files.
    mail.chmod(0o3775)
    for user, owner in owners.items():
        path = mail / user
        path.touch()
        os.chown(path, owner, MAIL_GROUP)
        path.chmod(0o660)
