"""The Dovecot behind a proxy: POP3 on loopback, without TLS, in the root of the proxy.

A proxy hands over a name and a password with USER and PASS, so that is all it takes. It
is started by a shell, as START, which returns when the ports are open: the proxy that is
started next finds it.
"""

from collections.abc import Mapping, Sequence

from servers import dovecot
from servers.running import Account

PACKAGE = "dovecot-pop3d"
HOST = "127.0.0.1"
START = "/usr/sbin/dovecot"

CONFIGURATION = """\
protocols = pop3
log_path = /var/log/dovecot.log
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
service pop3-login {{
  inet_listener pop3 {{
    port = {port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
"""


def files(port: int, accounts: Sequence[Account]) -> Mapping[str, str]:
    """What goes into the root: settings and accounts."""
    return {
        dovecot.SETTINGS: dovecot.general(HOST) + CONFIGURATION.format(port=port),
        dovecot.ACCOUNTS: dovecot.passwords(accounts),
    }
