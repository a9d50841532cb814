"""Accounts as users of a root, for servers that ask PAM and keep mail by user id."""

from collections.abc import Sequence

from servers.running import Account
from servers.stores import MAIL_GROUP

FIRST_USER = 20001


def owners(accounts: Sequence[Account]) -> dict[str, int]:
    """The user id of each account."""
    return {account.user: number for number, account in enumerate(accounts, FIRST_USER)}


def add_users(accounts: Sequence[Account]) -> str:
    """Shell lines that make the accounts users of the root, with their passwords."""
    # The system below may have a user of that name: gone in the root, untouched outside.
    lines = [
        f"userdel {user} 2>/dev/null || true\n"
        f"useradd -M -N -g {MAIL_GROUP} -u {number} -d /home/{user} {user}\n"
        f"install -d -o {number} -g {MAIL_GROUP} /home/{user}\n"
        for user, number in owners(accounts).items()
    ]
    # Few rounds: a log-in costs a millisecond, not a tenth of a second.
    passwords = "".join(f"{account.user}:{account.password}\n" for account in accounts)
    lines.append(f"chpasswd -c SHA512 -s 1000 <<'END'\n{passwords}END\n")
    return "".join(lines)
