"""The issuer's signature on a certificate: Ed25519, over the octets without it (RFC 8032)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pop3spec.certificate.issue import octets_of

ALGORITHM = "Ed25519"
FIELD = "signature"


class KeyFileError(Exception):
    """A file that holds no usable key; the message names it and the mend."""


def signed(certificate: Mapping[str, Any], key_file: Path) -> dict[str, Any]:
    """The certificate with a signature by a private key in PEM; KeyFileError."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_read(key_file), password=None)
    except (ValueError, TypeError) as error:
        raise KeyFileError(f"--key={key_file}: {_MEND}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"--key={key_file}: {_MEND}")
    plain = {name: value for name, value in certificate.items() if name != FIELD}
    return {
        **plain,
        FIELD: {
            "algorithm": ALGORITHM,
            "public_key": key.public_key().public_bytes_raw().hex(),
            "value": key.sign(octets_of(plain)).hex(),
        },
    }


_MEND = (
    "no private Ed25519 key in PEM without a password;"
    " make one with `openssl genpkey -algorithm ed25519`"
)


def problem_of(certificate: Mapping[str, Any], key_file: Path | None) -> str:
    """What is wrong with the signature, '' where nothing is; KeyFileError.

    With a key file, public or private, the signature has to be there and to be of that key.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    signature = certificate.get(FIELD)
    if signature is None:
        return "signature: there is none" if key_file is not None else ""
    plain = {name: value for name, value in certificate.items() if name != FIELD}
    octets = bytes.fromhex(signature["public_key"])
    if key_file is not None and octets != _public_octets(key_file):
        return "signature.public_key: of another key than --key"
    try:
        Ed25519PublicKey.from_public_bytes(octets).verify(
            bytes.fromhex(signature["value"]), octets_of(plain)
        )
    except (InvalidSignature, ValueError):
        return "signature.value: not the signature of this certificate by that key"
    return ""


def _public_octets(key_file: Path) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )
    from cryptography.hazmat.primitives.serialization import (
        load_pem_private_key,
        load_pem_public_key,
    )

    octets = _read(key_file)
    try:
        if b"PRIVATE" in octets:
            private = load_pem_private_key(octets, password=None)
            if isinstance(private, Ed25519PrivateKey):
                return private.public_key().public_bytes_raw()
        else:
            public = load_pem_public_key(octets)
            if isinstance(public, Ed25519PublicKey):
                return public.public_bytes_raw()
    except (ValueError, TypeError):
        pass
    raise KeyFileError(f"--key={key_file}: no Ed25519 key in PEM")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"--key={path}: {error.strerror}") from error
