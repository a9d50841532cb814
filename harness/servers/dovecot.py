"""Dovecot from Debian: Maildir, LMTP, IMAP, STLS and implicit TLS, APOP and many SASL mechanisms.

Open on purpose: clear-text passwords are allowed everywhere, connection limits are
far away, and a failed login costs `auth_failure_delay` alone, since the penalty that
grows with each failure would hit good logins from the same address as well.

The mail belongs to one user id, MAIL_OWNER, which owns the directories below `mail`.
Whoever delivers as root hands each file to the owner of the Maildir directory.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from servers import certificates
from servers.processes import free_ports, give_back, take, wait_for_greeting
from servers.roots import Plan, Recipe, enter, install
from servers.running import PROFILE, Account, Running, long_accounts, new_accounts, write_profile
from servers.stores import MAIL_GROUP, MAIL_OWNER, make_maildirs

NAME = "dovecot"
RECIPE = Recipe(NAME, ("dovecot-pop3d", "dovecot-imapd", "dovecot-lmtpd"))
HOST = "127.0.0.1"
PORTS = ("port", "tls_port", "lmtp_port", "imap_port")
ANONYMOUS = "anonymous"
SETTINGS = "/etc/dovecot/dovecot.conf"
ACCOUNTS = "/etc/dovecot/accounts"

# An unknown or half-configured mechanism kills the whole auth process.
MECHANISMS = "plain login apop cram-md5 digest-md5 scram-sha-1 scram-sha-256 anonymous"

OPEN = "ssl = yes\ndisable_plaintext_auth = no\n"

# What every instance of ours has in common: accounts, store, and limits that are far away.
GENERAL = """\
listen = {host}
base_dir = /run/dovecot
log_path = /dev/stderr
mail_location = maildir:/srv/mail/%u
mail_max_userip_connections = 2000
first_valid_uid = {owner}
first_valid_gid = {group}
passdb {{
  driver = passwd-file
  args = username_format=%u {accounts}
}}
userdb {{
  driver = static
  args = uid={owner} gid={group} home=/srv/mail/%u allow_all_users=yes
}}
service anvil {{
  client_limit = 8192
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  client_limit = 8192
}}
service pop3-login {{
  process_min_avail = 2
  process_limit = 2000
}}
service pop3 {{
  process_limit = 2000
}}
"""

CONFIGURATION = """\
protocols = pop3 imap lmtp
{policy}\
ssl_cert = <{certificate}
ssl_key = <{key}
auth_mechanisms = {mechanisms}
service pop3-login {{
  inet_listener pop3 {{
    port = {port}
  }}
  inet_listener pop3s {{
    port = {tls_port}
    ssl = yes
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp_port}
  }}
}}
"""


def describe() -> str:
    """One line: what the server is, where it comes from, what it stores in."""
    return "Dovecot (Debian dovecot-pop3d; Maildir; plain, STLS and TLS; APOP and SASL)"


def up(state: Path) -> Running:
    """Start Dovecot with its whole state below this directory."""
    return start_dovecot(NAME, state, HOST, OPEN)


def down(state: Path) -> None:
    """End Dovecot and remove the directory."""
    give_back(state)


def start_dovecot(name: str, state: Path, host: str, policy: str) -> Running:
    """Start Dovecot on an address, with the settings that tell one profile from another."""
    version = install(RECIPE)
    state = take(state)
    accounts, long = new_accounts(), long_accounts()
    ports = dict(zip(PORTS, free_ports(len(PORTS), host), strict=True))
    mail, tls = state / "mail", state / "tls"
    tls.mkdir()
    users = (ANONYMOUS, *(account.user for account in accounts))
    make_maildirs(mail, dict.fromkeys(users, MAIL_OWNER))
    plan = Plan(
        command=("/usr/sbin/dovecot", "-F"),
        files={
            SETTINGS: _configuration(host, policy, ports),
            ACCOUNTS: passwords((*accounts, *long)),
        },
        binds={"/srv/mail": mail, certificates.PLACE: tls},
        prepare=certificates.MAKE_CERTIFICATE,
    )
    enter(RECIPE, state, plan)
    wait_for_greeting(state, host, ports["port"])
    return write_profile(
        name,
        Running(
            host=host,
            ports=ports,
            accounts=accounts,
            profile=state / PROFILE,
            version=version,
            sasl_accounts=long,
        ),
    )


def _configuration(host: str, policy: str, ports: Mapping[str, int]) -> str:
    return general(host) + CONFIGURATION.format(
        policy=policy,
        **ports,
        mechanisms=MECHANISMS,
        certificate=certificates.CERTIFICATE,
        key=certificates.KEY,
    )


def general(host: str) -> str:
    """The settings that every Dovecot of ours has in common."""
    return GENERAL.format(host=host, accounts=ACCOUNTS, owner=MAIL_OWNER, group=MAIL_GROUP)


def passwords(accounts: Sequence[Account]) -> str:
    """The file ACCOUNTS, in the clear: APOP and the challenge mechanisms need it so."""
    return "".join(f"{account.user}:{{PLAIN}}{account.password}\n" for account in accounts)
