"""APOP: the digest of a greeting's timestamp and a shared secret.

Standards: RFC 1939 §7
Trust: the timestamp is the server's, the digest the client's. SECURITY: MD5 collisions let a false server learn the
    first characters of a secret by timestamps that are no message-id (CVE-2007-1558), so a client demands one.
"""

import hashlib
import hmac
import re

_TIMESTAMP = re.compile(r"<[!#-'*+\-/-9=?A-Z^-~.]+@[!#-'*+\-/-9=?A-Z^-~.:\[\]]+>")


def digest(timestamp: str, secret: str) -> str:
    """Compute what proves the knowledge of the secret; ``timestamp`` with its angle brackets."""
    return hashlib.md5(timestamp.encode() + secret.encode(), usedforsecurity=False).hexdigest()


def matches(timestamp: str, secret: str, claimed: str) -> bool:
    """Tell whether the client's digest is right."""
    return hmac.compare_digest(digest(timestamp, secret).encode(), claimed.encode())


def timestamp_of(greeting: str) -> str:
    """Find the timestamp in a greeting's text; ``""`` if there is none that is in form a message-id."""
    match = _TIMESTAMP.search(greeting)
    return match[0] if match and len(match[0]) <= 255 else ""
