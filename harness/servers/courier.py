"""Courier from Debian: Maildir, STLS and implicit TLS, CRAM mechanisms; no APOP.

The mail belongs to one user id, MAIL_OWNER, which owns the directories below `mail`.
Whoever delivers as root hands each file to the owner of the Maildir directory.
"""

from collections.abc import Sequence
from pathlib import Path

from servers import certificates
from servers.processes import free_ports, give_back, take, wait_for_greeting, wait_for_port
from servers.roots import Plan, Recipe, enter, install
from servers.running import PROFILE, Account, Running, new_accounts, write_profile
from servers.stores import MAIL_GROUP, MAIL_OWNER, make_maildirs

NAME = "courier"
# The package wants a mail transport agent; msmtp-mta is the smallest.
PACKAGES = ("courier-pop", "courier-authdaemon", "courier-authlib-userdb", "msmtp-mta")
RECIPE = Recipe(NAME, PACKAGES)
HOST = "127.0.0.1"
MECHANISMS = "PLAIN LOGIN CRAM-MD5 CRAM-SHA1 CRAM-SHA256"
# The field of the user database for each kind of hash that userdbpw makes.
FIELDS = {
    "md5": "systempw",
    "hmac-md5": "hmac-md5pw",
    "hmac-sha1": "hmac-sha1pw",
    "hmac-sha256": "hmac-sha256pw",
}

# Sourced by a shell behind what the package delivers, so that these settings win.
SETTINGS = """
ADDRESS={host}
PORT={port}
MAXDAEMONS=1000
MAXPERIP=1000
POP3AUTH="{mechanisms}"
POP3AUTH_TLS="{mechanisms}"
"""
TLS_SETTINGS = """
SSLADDRESS={host}
SSLPORT={tls_port}
TLS_CERTFILE=/etc/courier/pop3d.pem
"""

# STLS reads the key as user courier, and closes without a word when it cannot.
PREPARE = f"""\
cat /etc/courier/pop3d.more >> /etc/courier/pop3d
cat /etc/courier/pop3d-ssl.more >> /etc/courier/pop3d-ssl
printf '\nauthmodulelist="authuserdb"\n' >> /etc/courier/authdaemonrc
cat {certificates.KEY} {certificates.CERTIFICATE} > /etc/courier/pop3d.pem
chown root:courier /etc/courier/pop3d.pem
chmod 640 /etc/courier/pop3d.pem
install -d -o courier -g courier /run/courier /run/courier/authdaemon
"""

# These put themselves into the background; the last command keeps the root alive.
START = "authdaemond start; pop3d start; pop3d-ssl start; exec sleep infinity"


# It announces LOGIN-DELAY 10, so that each account is left alone for that long between two
# logins: what judging takes is a matter of how many there are.
USERS = tuple(f"user-{number:03}" for number in range(1, 161))


def describe() -> str:
    """One line: what the server is, where it comes from, what it stores in."""
    return "Courier (Debian courier-pop; Maildir; plain, STLS and TLS; CRAM mechanisms)"


def up(state: Path) -> Running:
    """Start Courier with its whole state below this directory."""
    version = install(RECIPE)
    state = take(state)
    accounts = new_accounts(USERS)
    port, tls_port = free_ports(2, HOST)
    mail, tls = state / "mail", state / "tls"
    tls.mkdir()
    make_maildirs(mail, {account.user: MAIL_OWNER for account in accounts})
    plan = Plan(
        command=("/bin/sh", "-c", START),
        files={
            "/etc/courier/pop3d.more": SETTINGS.format(host=HOST, port=port, mechanisms=MECHANISMS),
            "/etc/courier/pop3d-ssl.more": TLS_SETTINGS.format(host=HOST, tls_port=tls_port),
        },
        binds={"/srv/mail": mail, certificates.PLACE: tls},
        prepare=certificates.MAKE_CERTIFICATE + PREPARE + _user_database(accounts),
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
    """End Courier and remove the directory."""
    give_back(state)


def _user_database(accounts: Sequence[Account]) -> str:
    lines = ["rm -rf /etc/courier/userdb; : > /etc/courier/userdb; chmod 600 /etc/courier/userdb\n"]
    for account in accounts:
        place = f"home=/srv/mail/{account.user} mail=/srv/mail/{account.user}"
        lines.append(f"userdb {account.user} set uid={MAIL_OWNER} gid={MAIL_GROUP} {place}\n")
        # userdbpw asks twice.
        typed = f"printf '%s\\n%s\\n' {account.password} {account.password}"
        lines += [
            f"{typed} | userdbpw -{kind} | userdb {account.user} set {name}\n"
            for kind, name in FIELDS.items()
        ]
    lines.append("makeuserdb\n")
    return "".join(lines)
