"""APOP: log-ins judged by a secret that is stored as it is, for the accounts that have one, by the one role that may.

A verifier of the scheme PLAIN is such a secret; all others are one-way, and their accounts have no APOP. An unknown
user, one without a secret and one with a wrong digest get the same answer after the same work.

Standards: RFC 1939 §7
Trust: names and digests are a stranger's; the timestamp is that of our own greeting.
"""

from collections.abc import Callable
from typing import NamedTuple

from penfold.directory.authenticator import BAD, THROTTLED, UNABLE, Granted, Refused, Throttle
from penfold.model import Transient
from penfold.protocols.pop3 import apop

_SCHEME = "{PLAIN}"


class Secret(NamedTuple):
    """An account's id and its shared secret."""

    account: str
    text: str


class SharedSecrets:
    """Judges APOP. ``find`` gives the secret by a user name as claimed, None where there is none; Transient: not now.

    ``decoy`` is a random text; ``clock`` gives monotonic seconds.
    """

    def __init__(self, find: Callable[[str], Secret | None], *, clock: Callable[[], float], decoy: str) -> None:
        self._find = find
        self._clock = clock
        self._decoy = Secret("", decoy)
        self._throttle = Throttle()

    async def apop(self, user: str, timestamp: str, digest: str, client: str) -> Granted | Refused:
        """Judge a digest."""
        now = self._clock()
        keys = (f"c {client}", f"u {user} {client}")
        if any(self._throttle.blocked(key, now) for key in keys):
            return Refused(THROTTLED)
        try:
            found = self._find(user)
        except Transient:
            return Refused(UNABLE)
        secret = found or self._decoy
        if apop.matches(timestamp, secret.text, digest) and found is not None:
            for key in keys:
                self._throttle.forgive(key)
            return Granted(found.account)
        for key in keys:
            self._throttle.failed(key, now)
        return Refused(BAD)


def secret_of(verifier: str | None) -> str | None:
    """Give the shared secret a verifier holds; None where it holds none."""
    if verifier is None or verifier[: len(_SCHEME)].upper() != _SCHEME:
        return None
    return verifier[len(_SCHEME) :] or None
