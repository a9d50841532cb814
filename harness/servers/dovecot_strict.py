"""Dovecot as a careful site runs it: no clear-text password, one session a maildrop.

It shares the installation of `dovecot`, and says so by its name alone. It listens on
127.0.0.2: Dovecot trusts a client whose address is the server's own, whatever
`disable_plaintext_auth` says. A second log-in to a locked maildrop is refused with
[IN-USE] after 10 to 12 seconds.
"""

from pathlib import Path

from servers.dovecot import start_dovecot
from servers.processes import give_back
from servers.running import Running

NAME = "dovecot-strict"
HOST = "127.0.0.2"
STRICT = """\
ssl = required
disable_plaintext_auth = yes
protocol pop3 {
  pop3_lock_session = yes
}
"""


def describe() -> str:
    """One line: what the server is, where it comes from, what it stores in."""
    return "Dovecot again, TLS required, maildrops locked (Debian dovecot-pop3d; Maildir)"


def up(state: Path) -> Running:
    """Start Dovecot with its whole state below this directory."""
    return start_dovecot(NAME, state, HOST, STRICT)


def down(state: Path) -> None:
    """End Dovecot and remove the directory."""
    give_back(state)
