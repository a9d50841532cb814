"""What a client says with APOP (RFC 1939, section 7)."""

from hashlib import md5


def apop_digest(timestamp: bytes, secret: str) -> str:
    """The digest that APOP gives (RFC 1939, section 7)."""
    return md5(timestamp + secret.encode(), usedforsecurity=False).hexdigest()
