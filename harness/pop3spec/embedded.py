"""The embedded reference server as a target, with its own accounts and door."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

from pop3spec.maildrop import Door
from pop3spec.reference.certificates import Authority, authority
from pop3spec.reference.door import MemoryDoor
from pop3spec.reference.offer import Cleartext, LoginDelay
from pop3spec.reference.sasl import MECHANISMS
from pop3spec.reference.server import ReferenceServer
from pop3spec.reference.stores import MemoryStore
from pop3spec.target import Account, Address, Target, Timeouts, Tls, Transport

_ACCOUNTS = 16
# Of several servers in one process each has names of its own: sessions are told apart by them.
_numbers = count(1)
# The account that the client's certificate is for: no other login takes its maildrop.
CERTIFIED = "embedded-by-certificate"
# As long as PLAIN lets a name and a password be (RFC 4616, section 2).
_LONGEST = 255
_SASL_ACCOUNTS = (
    Account("embedded-with-a-long-password", "long-password-in-memory-".ljust(_LONGEST, "p")),
    Account("embedded-with-a-long-name-".ljust(_LONGEST, "n"), "only-for-a-long-name"),
    # SCRAM has to escape it (RFC 5802, section 5.1).
    Account("embedded=equals,comma", "only-for-a-name-with-signs", mechanisms=tuple(MECHANISMS)),
)
# It is in the form that SASLprep makes of it, and has letters of ISO 8859-1 (RFC 6856, 2.2).
_INTERNATIONAL_ACCOUNTS = (Account("embedded-jürgen-größe", "schlüssel-nur-im-gedächtnis"),)


@dataclass
class Embedded:
    """A running reference server, the target that it is, its door, and tokens by user."""

    server: ReferenceServer
    target: Target
    door: Door
    tokens: Mapping[str, str]
    files: TemporaryDirectory[str]

    def close(self) -> None:
        """Stop the server."""
        self.server.close()
        self.files.cleanup()


def start_embedded(
    *,
    faults: tuple[str, ...] = (),
    timeouts: Timeouts | None = None,
    failed_login_delay: float = 0.0,
    autologout: float = 600.0,
    transports: Sequence[Transport] = (),
    certificate: str = "good",
    cleartext: Cleartext = Cleartext.PERMITTED,
    is_international: bool = False,
    login_delay: int = 0,
) -> Embedded:
    """Start the reference server in this process, with messages in memory.

    It speaks TLS, on STLS and on a port of its own, and shows a certificate of the
    kind that CERTIFICATES names. With `is_international` it has UTF8 and LANG;
    `login_delay` are the seconds that it wants between two logins to an account.
    """
    accounts = tuple(
        Account(
            f"embedded-{number}",
            f"only-for-{number}-in-memory",
            token=f"token-of-embedded-{number}",
            mechanisms=tuple(MECHANISMS),
        )
        for number in islice(_numbers, _ACCOUNTS)
    )
    tokens = {account.user: account.token for account in accounts}
    others = _SASL_ACCOUNTS + (_INTERNATIONAL_ACCOUNTS if is_international else ())
    secrets = {each.user: each.password for each in (*accounts, *others)}
    store = MemoryStore()
    trusted = authority()
    server = ReferenceServer(
        store,
        secrets | {CERTIFIED: token_hex()},
        faults=faults,
        autologout=autologout,
        failed_login_delay=failed_login_delay,
        tls=trusted.tls(certificate),
        cleartext=cleartext,
        tokens=tokens,
        welcomes_strangers=True,
        is_international=is_international,
        # The first account has another one, so that the word USER stands behind it.
        login_delay=LoginDelay(
            login_delay, {accounts[0].user: login_delay + 1} if login_delay else {}
        ),
    )
    server.start()
    files = TemporaryDirectory(prefix="pop3spec-")
    target = Target(
        Address(*server.address),
        accounts,
        others,
        tls_address=Address(*server.tls_address),
        transports=tuple(transports),
        refuses_cleartext=cleartext is Cleartext.REFUSED,
        tls=_tls(trusted, Path(files.name)),
        maildrop="memory",
        timeouts=timeouts or Timeouts(),
        allow_cleartext=True,
        allow_stress=True,
        max_failed_logins=None,
    )
    return Embedded(server, target, MemoryDoor(store), tokens, files)


def _tls(trusted: Authority, directory: Path) -> Tls:
    """The files that a client needs: whom to trust, and its own certificate."""
    ca, own = directory / "authority.pem", directory / "client.pem"
    ca.write_bytes(trusted.pem)
    own.write_bytes(trusted.client(CERTIFIED).pem)
    return Tls(ca=ca, client_cert=own)
