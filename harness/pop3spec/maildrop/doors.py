"""From what --maildrop says to a door."""

from pop3spec.maildrop import Door, DoorError
from pop3spec.maildrop.maildir import MaildirDoor

_KINDS = ("maildir:PATH/{user}", "none")


def open_door(spec: str, *, allow_delete: bool = False) -> Door | None:
    """The door that a specification names, None for 'none'; DoorError for anything else."""
    if spec in ("", "none"):
        return None
    kind, colon, rest = spec.partition(":")
    if kind == "maildir" and colon:
        if "{user}" not in rest:
            raise DoorError(f"--maildrop={spec}: the path needs a {{user}} in it")
        return MaildirDoor(rest, allow_delete=allow_delete)
    raise DoorError(f"--maildrop={spec}: unknown door; write {' or '.join(_KINDS)}")
