"""From what --maildrop says to a door."""

import re
from collections.abc import Callable, Mapping

from pop3spec.maildrop import Door, DoorError
from pop3spec.maildrop.access import NO_ACCESS, Access
from pop3spec.maildrop.command import CommandDelivery
from pop3spec.maildrop.delivery import Delivery, DeliveryDoor, Store
from pop3spec.maildrop.imap import ImapDoor
from pop3spec.maildrop.maildir import MaildirDoor
from pop3spec.maildrop.mbox import MboxDoor
from pop3spec.maildrop.smtp import LmtpDelivery, SmtpDelivery

# Stores on this machine, one place for each user.
STORES: Mapping[str, Callable[..., Store]] = {
    "maildir": MaildirDoor,
    "mbox": MboxDoor,
}
DELIVERIES: Mapping[str, Callable[[str], Delivery]] = {
    "lmtp": LmtpDelivery,
    "smtp": SmtpDelivery,
    "command": CommandDelivery,
}

_KINDS = (
    "maildir:PATH/{user}, mbox:PATH/{user}, imap://host:port, lmtp://host:port,"
    " smtp://host:port, 'command:CMD {user}' or none"
)
# The last one counts, for a command may have such words of its own.
_WITH_STORE = re.compile(rf"(.*)\+((?:imap|{'|'.join(STORES)}):.*)", re.DOTALL)


def open_door(spec: str, *, allow_delete: bool = False, access: Access = NO_ACCESS) -> Door | None:
    """The door that a specification names, None for 'none'; DoorError for anything else."""
    if spec in ("", "none"):
        return None
    kind, _, rest = spec.partition(":")
    try:
        if kind in STORES or kind == "imap":
            return _store(spec, allow_delete, access)
        if kind in DELIVERIES:
            parts = _WITH_STORE.fullmatch(rest)
            if parts is None:
                return DeliveryDoor(DELIVERIES[kind](rest), None)
            delivery = DELIVERIES[kind](parts[1].rstrip())
            return DeliveryDoor(delivery, _store(parts[2], allow_delete, access))
    except DoorError as error:
        raise DoorError(f"--maildrop={spec}: {error}") from error
    raise DoorError(f"--maildrop={spec}: unknown door; write {_KINDS}")


def _store(spec: str, allow_delete: bool, access: Access) -> Store:
    kind, _, path = spec.partition(":")
    if kind == "imap":
        return ImapDoor(path, allow_delete=allow_delete, access=access)
    if "{user}" not in path:
        raise DoorError(f"the path of {kind}: needs a {{user}} in it")
    return STORES[kind](path, allow_delete=allow_delete)
