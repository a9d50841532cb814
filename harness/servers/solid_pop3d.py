"""solid-pop3d from Debian: Maildir, APOP and LAST; no CAPA, no TLS.

A tiny listener starts it once for each connection. Accounts are users of the root,
with user ids of their own; each owns its Maildir below `mail`, so whoever delivers as
root hands each file to the owner of the Maildir directory. It closes the connection
after five refusals and after a minute of silence, as it is delivered.
"""

from collections.abc import Sequence
from pathlib import Path

from servers.processes import free_ports, give_back, take, wait_for_greeting
from servers.roots import Plan, Recipe, enter, install
from servers.running import PROFILE, Account, Running, new_accounts, write_profile
from servers.stores import MAIL_GROUP, make_maildirs
from servers.unixusers import add_users, owners

NAME = "solid-pop3d"
RECIPE = Recipe(NAME, ("solid-pop3d",))
HOST = "127.0.0.1"

CONFIGURATION = """\
<Global>
    MailDropName "/srv/mail/%s"
    MailDropType maildir
    AutoLogoutTime 1m
    LogStatistics no
    AllowAPOP yes
</Global>
"""


def describe() -> str:
    """One line: what the server is, where it comes from, what it stores in."""
    return "solid-pop3d (Debian solid-pop3d; Maildir; plain only; APOP and LAST)"


def up(state: Path) -> Running:
    """Start solid-pop3d with its whole state below this directory."""
    version = install(RECIPE)
    state = take(state)
    accounts = new_accounts()
    [port] = free_ports(1, HOST)
    mail = state / "mail"
    make_maildirs(mail, owners(accounts))
    plan = Plan(
        command=("/usr/sbin/solid-pop3d",),
        files={"/etc/spop3d.conf": CONFIGURATION},
        binds={"/srv/mail": mail},
        prepare=add_users(accounts) + _apop_secrets(accounts),
        listen=f"{HOST}:{port}",
    )
    enter(RECIPE, state, plan)
    wait_for_greeting(state, HOST, port)
    return write_profile(
        NAME,
        Running(
            host=HOST,
            ports={"port": port},
            accounts=accounts,
            profile=state / PROFILE,
            version=version,
        ),
    )


def down(state: Path) -> None:
    """End solid-pop3d and remove the directory."""
    give_back(state)


def _apop_secrets(accounts: Sequence[Account]) -> str:
    # pop_auth asks twice, and writes into the user's home directory.
    return "".join(
        f"printf '%s\\n%s\\n' {account.password} {account.password} |"
        f" setpriv --reuid={account.user} --regid={MAIL_GROUP} --clear-groups"
        f" env HOME=/home/{account.user} pop_auth\n"
        for account in accounts
    )
