"""Which octets give a secret away: the forms that a Masker hides."""

import base64
import hashlib
from collections.abc import Iterable
from urllib.parse import quote_from_bytes

from pop3spec.protocol.text import show
from pop3spec.target import Account
from pop3spec.transcript import MIN_SECRET, Masker, masker_of


def masker_for(accounts: Iterable[Account], more: Iterable[bytes] = ()) -> Masker:
    """Hides the accounts' passwords and tokens, and what is easily turned back into them."""
    forms: set[bytes] = set()
    for account in accounts:
        forms |= forms_of(account.password.encode())
        forms |= login_forms(account)
        forms |= forms_of(account.token.encode())
    for secret in more:
        forms |= forms_of(secret)
    return masker_of(forms)


def forms_of(secret: bytes) -> set[bytes]:
    """A secret as it is, in base64 at each alignment, in hex, and its digests."""
    if len(secret) < MIN_SECRET:
        return set()
    forms = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    forms.add(show(secret).encode())
    # As a URL has it, and as a careless server repeats it.
    forms |= {quote_from_bytes(secret, safe=safe).encode() for safe in ("", "/")}
    forms |= {secret.upper(), secret.lower()}
    forms |= _base64_forms(secret)
    for name in ("md5", "sha1", "sha256", "sha512"):
        digest = hashlib.new(name, secret, usedforsecurity=False).digest()
        forms |= {digest.hex().encode(), digest.hex().upper().encode(), base64.b64encode(digest)}
    return forms


def login_forms(account: Account) -> set[bytes]:
    """The messages of PLAIN that hold the account's password, in base64."""
    user, password = account.user.encode(), account.password.encode()
    if len(password) < MIN_SECRET:
        return set()
    return {
        base64.b64encode(b"\0" + user + b"\0" + password),
        base64.b64encode(user + b"\0" + user + b"\0" + password),
    }


# RFC 4648, section 5.
_FOR_URLS = bytes.maketrans(b"+/", b"-_")


def _base64_forms(secret: bytes) -> set[bytes]:
    """What base64 of any text that holds the secret has to hold."""
    forms = {base64.b64encode(secret)}
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + secret).rstrip(b"=")
        # The first and last characters depend on the neighbours.
        forms.add(encoded[(shift * 8 + 5) // 6 : (shift + len(secret)) * 8 // 6])
    return forms | {form.translate(_FOR_URLS) for form in forms}
