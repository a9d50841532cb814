"""What is filled in for names and passwords, and which of it may be said on a connection.

There are right ones, and wrong ones that a careless comparison takes for right.
"""

from collections.abc import Set

from pop3spec.protocol.apop import apop_digest
from pop3spec.sasl import BEARER, WITH_PASSWORD
from pop3spec.scenario import Scenario
from pop3spec.target import Account, Target, Transport

# What is filled in by these names is a password, or may be as good as one.
_TELLING = frozenset(
    (
        *("password", "password-beginning", "password-other-case", "password-of-another"),
        *("apop-without-timestamp", "token"),
    )
)


def credentials(
    target: Target, account: Account, timestamp: bytes, first: bytes
) -> dict[str, bytes]:
    """The values by their names, in a session whose greeting has this timestamp.

    `first` is the timestamp of the first session.
    """
    password = account.password
    other_password = _password_of_another(target, account)
    digest = apop_digest(timestamp, password)
    # The second half is another one in each of its digits.
    other = "".join(format(15 - int(digit, 16), "x") for digit in digest[16:])
    return {
        "apop": digest.encode(),
        "apop-beginning": (digest[:16] + other).encode(),
        "apop-upper-case": digest.upper().encode(),
        "apop-shortened": digest[:-1].encode(),
        "apop-empty-secret": apop_digest(timestamp, "").encode(),
        "apop-without-timestamp": apop_digest(b"", password).encode(),
        "apop-of-first-session": apop_digest(first, password).encode(),
        "apop-of-another": apop_digest(timestamp, other_password).encode(),
        "password-beginning": password[:-1].encode(),
        "token": account.token.encode(),
        # Of octets and so of ASCII alone: other letters may change their number.
        "password-other-case": password.encode().swapcase(),
        "password-of-another": other_password.encode(),
        "user-other-case": account.user.encode().swapcase(),
        "user-of-another": _user_of_another(target, account).encode(),
    }


def why_none(scenario: Scenario, transport: Transport, target: Target, account: Account) -> str:
    """Why there are no credentials such as a scenario sends, '' where there are."""
    wanted = scenario.names_sent
    mechanisms = {step.authenticate.mechanism for step in scenario.steps if step.authenticate}
    if "token" in _told_names(scenario) and not account.token:
        return "the account has no token; name one in the profile"
    needs_certificate = "EXTERNAL" in mechanisms and transport is not Transport.PLAIN
    if needs_certificate and target.tls.client_cert is None:
        return "there is no certificate of the client; see --client-cert"
    if "user-other-case" in wanted and not _has_cases(account.user):
        return "the account's name has no letter that has another case"
    if "password-other-case" in wanted and not _has_cases(account.password):
        return "the account's password has no letter that has another case"
    if "user-of-another" in wanted and not _user_of_another(target, account):
        return "it needs a second account"
    of_another = {"password-of-another", "apop-of-another"}
    if wanted & of_another and not _password_of_another(target, account):
        return "it needs a second account with another password"
    return ""


def shows_secrets(scenario: Scenario) -> bool:
    """A password, or what is close to one, is sent as it is."""
    return any(name.startswith(("password", "token")) for name in _told_names(scenario))


def tells_password(names: Set[str], timestamp: bytes | None) -> bool:
    """Who can read what is sent by these names knows the password, or may guess it."""
    return bool(names & _TELLING) or ("apop" in names and timestamp is None)


def _password_of_another(target: Target, account: Account) -> str:
    """A password that is right for another account alone, '' where there is none."""
    folded = account.password.casefold()
    others = (other.password for other in target.accounts if other.user != account.user)
    return next((each for each in others if each and each.casefold() != folded), "")


def _user_of_another(target: Target, account: Account) -> str:
    """The name of another account, '' where there is none."""
    others = (other.user for other in target.accounts)
    return next((user for user in others if user != account.user), "")


def _told_names(scenario: Scenario) -> set[str]:
    """The names whose values are sent as they are."""
    sent = [part for step in scenario.steps for part in (step.send, step.send_bytes)]
    for login in (step.authenticate for step in scenario.steps if step.authenticate):
        if login.mechanism in BEARER:
            sent.append(login.token)
        elif login.mechanism in WITH_PASSWORD:
            sent.append(login.password)
    return {name for part in sent if part is not None for name in part.names}


def _has_cases(text: str) -> bool:
    return text.encode().swapcase() != text.encode()
