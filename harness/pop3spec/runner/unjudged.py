"""What a target may do although a step expects something else: it ends the scenario as blocked."""

from pop3spec.accounts import Mailbox
from pop3spec.protocol.commands import LOGIN
from pop3spec.recorder import Recorder
from pop3spec.refusals import refusal
from pop3spec.rulebook.history import History
from pop3spec.rulebook.judgement import may_close
from pop3spec.runner.blocked import Blocked
from pop3spec.sasl import NOT_BY_NAME
from pop3spec.scenario import Step
from pop3spec.session import Session
from pop3spec.transcript import Exchange


def leave_the_end_unjudged(session: Session) -> None:
    """A server may be shut down at any time, and says so; perhaps it comes up again."""
    if session.history.is_ending:
        raise Blocked("the server says that it shuts down", again=True)


def leave_drops_unjudged(
    session: Session, recorder: Recorder, found: int, *, is_beside: bool
) -> None:
    """A drop beside another session of ours is first a limit of the target.

    What it broke behind so many findings is taken back.
    """
    if session.is_open or may_close(session.history) or not is_beside:
        return
    for rule in {finding.rule for finding in recorder.findings[found:]}:
        recorder.forget(rule, found)
    if len(recorder.findings) == found:
        raise Blocked(
            "the connection was dropped while another session was open beside it", again=True
        )


def leave_mechanisms_unjudged(step: Step, mailbox: Mailbox | None, recorder: Recorder) -> None:
    """A mechanism may need a secret that the server does not have of this account."""
    login = step.authenticate
    if login is None or mailbox is None or not login.is_right:
        return
    if login.mechanism not in mailbox.account.mechanisms:
        recorder.observe("mechanisms-for-account", f"not {login.mechanism}")
        raise Blocked(
            f"{login.mechanism} is refused, and no profile says that the account can use it:"
            " name it in mechanisms of the account"
        )


def leave_limits_unjudged(step: Step, exchange: Exchange, before: History) -> None:
    """What the target may refuse, and says that it does, is not judged.

    A login that may succeed later; locks that stay have rules of their own.
    QUIT, where marked messages were not removed.
    """
    if exchange.keyword == "QUIT" and before.marked:
        raise Blocked("the server says that it did not remove what was marked")
    if exchange.keyword not in LOGIN:
        return
    is_shared = step.authenticate is not None and step.authenticate.mechanism in NOT_BY_NAME
    if is_shared and "LOGIN-DELAY" in (before.capabilities or {}):
        raise Blocked("another session may have been in this maildrop a moment ago", again=True)
    reason = refusal(exchange)
    if reason.is_limit:
        raise Blocked(str(reason), again=True)
    wants_code = step.expect is not None and step.expect.code is not None
    if wants_code and exchange.keyword == "PASS" and not before.user_was_last:
        raise Blocked("USER is refused, so that PASS says nothing of the password")
    if wants_code and reason.wants_tls and not exchange.secure:
        raise Blocked("the login is refused for want of TLS, whatever the credentials")
