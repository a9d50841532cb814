"""popa3d from Debian: mbox, USER and PASS alone; no CAPA, no TLS.

Its own daemon mode has port 110 on every interface compiled in, so a tiny listener
starts it once for each connection. Accounts are users of the root, with user ids of
their own; each owns its file below `mail`. popa3d opens that file as its user, so
whoever delivers as root writes in place or keeps the file's owner. popa3d itself
rewrites the file in place at QUIT.
"""

from pathlib import Path

from servers.processes import free_ports, give_back, take, wait_for_greeting
from servers.roots import Plan, Recipe, enter, install
from servers.running import PROFILE, USERS, Running, new_accounts, write_profile
from servers.stores import make_mailboxes
from servers.unixusers import add_users, owners

NAME = "popa3d"
RECIPE = Recipe(NAME, ("popa3d",))
HOST = "127.0.0.1"
# Seven tests wait for the autologout timer side by side, each with an account of its own.
WAITING = tuple(f"waiting{number}" for number in range(1, 8))


def describe() -> str:
    """One line: what the server is, where it comes from, what it stores in."""
    return "popa3d (Debian popa3d; mbox; plain only; USER and PASS)"


def up(state: Path) -> Running:
    """Start popa3d with its whole state below this directory."""
    version = install(RECIPE)
    state = take(state)
    accounts = new_accounts((*USERS, *WAITING))
    [port] = free_ports(1, HOST)
    mail = state / "mail"
    make_mailboxes(mail, owners(accounts))
    plan = Plan(
        command=("/usr/sbin/popa3d",),
        binds={"/var/mail": mail},
        prepare=add_users(accounts),
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
    """End popa3d and remove the directory."""
    give_back(state)
