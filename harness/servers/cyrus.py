"""Cyrus from Debian: its own store, STLS and implicit TLS, APOP and many SASL mechanisms.

The only door is IMAP, on a port of its own that wants no TLS. A mailbox comes into
being at an account's first IMAP log-in, so `up` logs each account in once.
"""

import imaplib
from collections.abc import Sequence
from pathlib import Path

from servers import certificates
from servers.processes import free_ports, give_back, take, wait_for_greeting, wait_for_port
from servers.roots import Plan, Recipe, enter, install
from servers.running import (
    PROFILE,
    Account,
    Running,
    ServerFailedError,
    new_accounts,
    write_profile,
)

NAME = "cyrus"
PACKAGES = (
    "cyrus-pop3d",
    "cyrus-imapd",
    "cyrus-admin",
    "sasl2-bin",
    "libsasl2-modules",
    "libsasl2-modules-db",
)
RECIPE = Recipe(NAME, PACKAGES)
HOST = "127.0.0.1"
LOGIN_WITHIN = 20.0

CONFIGURATION = """\
servername: localhost
configdirectory: /var/lib/cyrus
defaultpartition: default
partition-default: /var/spool/cyrus/mail
proc_path: /run/cyrus/proc
mboxname_lockpath: /run/cyrus/lock
lmtpsocket: /run/cyrus/socket/lmtp
idlesocket: /run/cyrus/socket/idle
notifysocket: /run/cyrus/socket/notify
autocreate_quota: 0
allowplaintext: yes
popminpoll: 0
poptimeout: 10
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_mech_list: PLAIN LOGIN CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256
tls_server_cert: /etc/cyrus.pem
tls_server_key: /etc/cyrus.key
"""

# Above maxchild a connection is accepted and never greeted.
SERVICES = """\
START {{
  recover cmd="/usr/sbin/cyrus ctl_cyrusdb -r"
}}
SERVICES {{
  imap cmd="imapd -U 30" listen="{host}:{imap_port}" prefork=0 maxchild=500
  pop3 cmd="pop3d -U 30" listen="{host}:{port}" prefork=0 maxchild=500
  pop3s cmd="pop3d -s -U 30" listen="{host}:{tls_port}" prefork=0 maxchild=500
}}
EVENTS {{
  checkpoint cmd="/usr/sbin/cyrus ctl_cyrusdb -c" period=30
}}
"""

# Its store and its databases outlive the root, so that a server that is started again has its mail.
KEPT = {"/var/lib/cyrus": "lib", "/var/spool/cyrus": "spool"}

PREPARE = f"""\
install -d -o cyrus -g mail -m 750 {" ".join(KEPT)} /var/spool/cyrus/mail
install -o cyrus -m 600 {certificates.KEY} /etc/cyrus.key
install -o cyrus -m 644 {certificates.CERTIFICATE} /etc/cyrus.pem
install -d -o cyrus -g mail /run/cyrus /run/cyrus/proc /run/cyrus/lock /run/cyrus/socket
/usr/sbin/cyrus makedirs
"""


def describe() -> str:
    """One line: what the server is, where it comes from, what it stores in."""
    return "Cyrus (Debian cyrus-pop3d; filled over IMAP; plain, STLS and TLS; APOP and SASL)"


def up(state: Path) -> Running:
    """Start Cyrus with its whole state below this directory."""
    version = install(RECIPE)
    state = take(state)
    accounts = new_accounts()
    port, tls_port, imap_port = free_ports(3, HOST)
    tls = state / "tls"
    binds = {place: state / name for place, name in KEPT.items()} | {certificates.PLACE: tls}
    for directory in binds.values():
        directory.mkdir()
    plan = Plan(
        command=("/usr/sbin/cyrmaster",),
        files={
            "/etc/imapd.conf": CONFIGURATION,
            "/etc/cyrus.conf": SERVICES.format(
                host=HOST, port=port, tls_port=tls_port, imap_port=imap_port
            ),
        },
        binds=binds,
        prepare=certificates.MAKE_CERTIFICATE + PREPARE + _passwords(accounts),
    )
    enter(RECIPE, state, plan)
    wait_for_greeting(state, HOST, port)
    wait_for_port(state, HOST, imap_port)
    for account in accounts:
        _make_mailbox(imap_port, account)
    return write_profile(
        NAME,
        Running(
            host=HOST,
            ports={"port": port, "tls_port": tls_port, "imap_port": imap_port},
            accounts=accounts,
            profile=state / PROFILE,
            version=version,
        ),
    )


def down(state: Path) -> None:
    """End Cyrus and remove the directory."""
    give_back(state)


def _passwords(accounts: Sequence[Account]) -> str:
    lines = [
        f"printf %s {account.password} | saslpasswd2 -p -c -u localhost {account.user}\n"
        for account in accounts
    ]
    return "".join(lines) + "chown cyrus /etc/sasldb2\n"


def _make_mailbox(imap_port: int, account: Account) -> None:
    try:
        with imaplib.IMAP4(HOST, imap_port, timeout=LOGIN_WITHIN) as imap:
            imap.login(account.user, account.password)
            answer, _ = imap.select()
    except (OSError, imaplib.IMAP4.error) as problem:
        raise ServerFailedError(f"no mailbox for {account.user}: {problem}") from None
    if answer != "OK":
        raise ServerFailedError(f"no mailbox for {account.user}: SELECT said {answer}")
