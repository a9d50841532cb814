"""Perdition from Debian: a proxy in front of a Dovecot of its own; STLS and implicit TLS.

What it says itself is said before the log-in, which is USER and PASS alone; after it the
Dovecot speaks, in whose Maildirs the mail is. A bad command before the log-in takes it
three seconds, a wrong password five.

The mail belongs to one user id, MAIL_OWNER, which owns the directories below `mail`.
Whoever delivers as root hands each file to the owner of the Maildir directory.
"""

import shlex
from pathlib import Path

from servers import backend, certificates
from servers.processes import free_ports, give_back, take, wait_for_greeting, wait_for_port
from servers.roots import Plan, Recipe, enter, install
from servers.running import PROFILE, Running, new_accounts, write_profile
from servers.stores import MAIL_OWNER, make_maildirs

NAME = "perdition"
RECIPE = Recipe(NAME, (NAME, backend.PACKAGE))
HOST = "127.0.0.1"

# It gives up its rights before it reads the key.
PREPARE = f"""\
install -o nobody -m 600 {certificates.KEY} /etc/perdition/server.key
install -o nobody -m 644 {certificates.CERTIFICATE} /etc/perdition/server.pem
"""


def describe() -> str:
    """One line: what the server is, where it comes from, what it stores in."""
    return "Perdition (Debian perdition; a proxy to a Dovecot with Maildir; plain, STLS and TLS)"


def up(state: Path) -> Running:
    """Start Perdition and the Dovecot behind it with their whole state below this directory."""
    version = install(RECIPE)
    state = take(state)
    accounts = new_accounts()
    port, tls_port, backend_port = free_ports(3, HOST)
    mail, tls = state / "mail", state / "tls"
    tls.mkdir()
    make_maildirs(mail, {account.user: MAIL_OWNER for account in accounts})
    plain = _command(port, backend_port, "tls_listen")
    behind_tls = _command(tls_port, backend_port, "ssl_listen")
    plan = Plan(
        command=("/bin/sh", "-c", f"{backend.START}; {behind_tls} & exec {plain}"),
        files=backend.files(backend_port, accounts),
        binds={"/srv/mail": mail, certificates.PLACE: tls},
        prepare=certificates.MAKE_CERTIFICATE + PREPARE,
    )
    enter(RECIPE, state, plan)
    wait_for_greeting(state, HOST, port)
    wait_for_port(state, HOST, tls_port)
    return write_profile(
        NAME,
        Running(
            host=HOST,
            ports={"port": port, "tls_port": tls_port},
            accounts=accounts,
            profile=state / PROFILE,
            version=version,
        ),
    )


def down(state: Path) -> None:
    """End Perdition and the Dovecot behind it, and remove the directory."""
    give_back(state)


def _command(port: int, backend_port: int, mode: str) -> str:
    """The command of one instance: each has one port and one way to start TLS."""
    return shlex.join(
        (
            "/usr/sbin/perdition.pop3",
            "--no_daemon",
            "--log_facility=-",
            f"--bind_address={HOST}",
            f"--listen_port={port}",
            "--connection_limit=0",
            "--map_library=",
            "--no_lookup",
            f"--outgoing_server={backend.HOST}",
            f"--outgoing_port={backend_port}",
            f"--ssl_mode={mode}",
            "--ssl_cert_file=/etc/perdition/server.pem",
            "--ssl_key_file=/etc/perdition/server.key",
            f"--pid_file=/run/perdition.{port}.pid",
        )
    )
