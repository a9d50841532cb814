"""What one session leaves to the judgement over several: its history, in short."""

from collections.abc import Mapping
from hashlib import sha256

from pop3spec.protocol.commands import State
from pop3spec.rulebook.history import History
from pop3spec.rulebook.over_sessions import SessionFacts

# More of a kind than this are not carried from process to process.
_MOST = 300


def facts_of(
    history: History,
    *,
    account: str | None,
    filling: str,
    opened: float,
    closed: float,
    timestamp: bytes | None,
    ended: str,
    locked_out: bool,
) -> SessionFacts:
    """The facts of a session with this history, which does not know what is named besides."""
    capabilities = history.capabilities or {}
    ids = history.unique_ids if "UIDL" in history.first_counts else None
    few = len(history.unique_ids) <= _MOST
    return SessionFacts(
        account=account,
        filling=filling,
        opened=opened,
        closed=closed,
        timestamp=timestamp.decode("latin-1") if timestamp else None,
        counts=dict(history.first_counts),
        unique_ids=(
            {number: uid.decode("latin-1") for number, uid in ids.items()}
            if ids is not None and few
            else None
        ),
        sizes=dict(history.sizes) if len(history.sizes) <= _MOST else {},
        digests={
            number: sha256(content.body_digest).hexdigest()[:16]
            for number, content in history.contents.items()
        },
        marked=tuple(sorted(history.marked)),
        ended=ended,
        expires=_expires(capabilities),
        keeps=capabilities.get("EXPIRE", ())[:1] == ("NEVER",),
        # A reply may have been taken for that to another command.
        may_change=history.filling.may_change or history.is_out_of_step,
        logged_in=history.state is State.TRANSACTION,
        locked_out=locked_out,
        challenges=history.challenges[:_MOST],
    )


def _expires(capabilities: Mapping[str, tuple[str, ...]]) -> bool:
    """Retrieved messages may go at QUIT, by an announced policy (RFC 2449, section 6.7)."""
    return capabilities.get("EXPIRE", ("NEVER",))[:1] != ("NEVER",)
