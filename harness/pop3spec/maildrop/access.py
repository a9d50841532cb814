"""What a door may use that asks who we are: passwords, and whom to trust in TLS."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pop3spec.maildrop import DoorError


def _no_context() -> ssl.SSLContext:
    raise DoorError("nothing is known of TLS here")


@dataclass(frozen=True)
class Access:
    """The accounts' passwords by user, and how they may travel.

    `allow_cleartext` is about unencrypted connections to other machines.
    `context` makes the client's side of TLS; `server_name` is the name expected in the
    certificate, None for the host.
    """

    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    allow_cleartext: bool = False
    context: Callable[[], ssl.SSLContext] = field(default=_no_context, repr=False)
    server_name: str | None = None


NO_ACCESS = Access()
