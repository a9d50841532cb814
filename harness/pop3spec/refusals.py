"""Why the target gave no session: SessionRefused, and `refusal` for a login."""

from pop3spec.rulebook.history import says_later
from pop3spec.transcript import End, Exchange


class SessionRefused(Exception):
    """The target gave no session: a limit of the target, not yet a fault of it.

    `is_limit` says that the target may give one later: it was refused or
    dropped, or answered with [IN-USE], [LOGIN-DELAY] or [SYS/TEMP]. `wants_tls`
    says that its words are about encryption, not about the account, `is_unserved`
    that there was no connection, or no greeting on it, `is_locked` that another
    session has the maildrop. `is_lost`: the target may be gone, since it gave no answer, or
    turned us away before we said anything; `is_full`: it took the connection, and did that.
    """

    def __init__(
        self,
        reason: str,
        *,
        is_limit: bool,
        timed_out: bool = False,
        wants_tls: bool = False,
        is_unserved: bool = False,
        is_locked: bool = False,
        is_lost: bool = False,
        is_full: bool = False,
    ) -> None:
        super().__init__(reason)
        self.is_limit = is_limit
        self.timed_out = timed_out
        self.wants_tls = wants_tls
        self.is_unserved = is_unserved
        self.is_locked = is_locked
        self.is_lost = is_lost or is_unserved
        self.is_full = is_full


_ABOUT_ENCRYPTION = (b"SSL", b"TLS", b"ENCRYPT", b"SECURE", b"PLAINTEXT", b"CLEARTEXT")


def refusal(exchange: Exchange) -> SessionRefused:
    """Why a login did not succeed, and whether it may succeed later."""
    if exchange.reply is None:
        end = exchange.end.value if exchange.end else "no reply"
        return SessionRefused(
            f"no reply to {exchange.keyword}: {end}",
            is_limit=True,
            timed_out=exchange.end is End.TIMEOUT,
            is_lost=True,
        )
    text = exchange.reply.text.upper()
    locked = text.startswith(b"[IN-USE]") or b"LOCK" in text
    later = locked or says_later(exchange)
    words = "is refused for now" if later else "is refused"
    return SessionRefused(
        f"the login ({exchange.keyword}) {words}",
        is_limit=later,
        is_locked=locked,
        wants_tls=any(word in text for word in _ABOUT_ENCRYPTION),
    )
