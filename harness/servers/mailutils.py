"""GNU Mailutils pop3d from Debian: mbox, STLS and implicit TLS, APOP.

Accounts are users of the root, with user ids of their own; each owns its file below
`mail`. The server opens that file as its user, so whoever delivers as root writes
in place or keeps the file's owner.
"""

from collections.abc import Sequence
from pathlib import Path

from servers import certificates
from servers.processes import free_ports, give_back, take, wait_for_greeting
from servers.roots import Plan, Recipe, enter, install
from servers.running import PROFILE, Account, Running, new_accounts, write_profile
from servers.stores import make_mailboxes
from servers.unixusers import add_users, owners

NAME = "mailutils"
RECIPE = Recipe(NAME, ("mailutils-pop3d",))
HOST = "127.0.0.1"

# The package brings no such file.
PAM = "auth required pam_unix.so\naccount required pam_unix.so\n"

CONFIGURATION = """\
mode daemon;
foreground yes;
max-children 500;
logging {{ syslog no; }};
pam {{ service gnu-pop3d; }};
tls-file-checks {{ key-file none; cert-file none; ca-file none; }};
tls {{
  ssl-certificate-file {certificate};
  ssl-key-file {key};
}};
apop-database-file /etc/apop;
apop-database-owner root;
apop-database-safety none;
mailbox {{ mail-spool /var/mail; mailbox-type mbox; }};
server {host}:{port} {{ tls-mode ondemand; }};
server {host}:{tls_port} {{ tls-mode connection; }};
"""


def describe() -> str:
    """One line: what the server is, where it comes from, what it stores in."""
    return "GNU Mailutils pop3d (Debian mailutils-pop3d; mbox; plain, STLS and TLS; APOP)"


def up(state: Path) -> Running:
    """Start the server with its whole state below this directory."""
    version = install(RECIPE)
    state = take(state)
    accounts = new_accounts()
    port, tls_port = free_ports(2, HOST)
    mail, tls = state / "mail", state / "tls"
    make_mailboxes(mail, owners(accounts))
    tls.mkdir()
    configuration = CONFIGURATION.format(
        host=HOST,
        port=port,
        tls_port=tls_port,
        certificate=certificates.CERTIFICATE,
        key=certificates.KEY,
    )
    plan = Plan(
        command=("/usr/sbin/pop3d", "--config-file", "/etc/pop3d.conf"),
        files={"/etc/pop3d.conf": configuration, "/etc/pam.d/gnu-pop3d": PAM},
        binds={"/var/mail": mail, certificates.PLACE: tls},
        prepare=add_users(accounts) + _apop_secrets(accounts) + certificates.MAKE_CERTIFICATE,
    )
    enter(RECIPE, state, plan)
    wait_for_greeting(state, HOST, port)
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
    """End the server and remove the directory."""
    give_back(state)


def _apop_secrets(accounts: Sequence[Account]) -> str:
    secrets = "".join(f"{account.user} {account.password}\n" for account in accounts)
    return (
        f"cat > /etc/apop.text <<'END'\n{secrets}END\n"
        "popauth --create --file /etc/apop.text --output /etc/apop\n"
    )
