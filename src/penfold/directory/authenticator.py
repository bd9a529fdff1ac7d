"""Who may log in: the seam every log-in passes, its local driver, and the throttle before the hash.

A password hash costs 20 ms of a core by design, so hashing is a resource like any other: one at a time on each core, a
bounded line of those who wait (beyond it 454 4.7.0), and a throttle in front, by client address and by user, which
answers before anything is hashed. An unknown user costs the same as a wrong password. Recent good log-ins are
remembered by a keyed hash, because mail clients reconnect all day.

Standards: RFC 4954 §4, §6; RFC 4616; RFC 5802 (verifiers)
Trust: user names and passwords are a stranger's. Only the process that holds this driver ever sees a verifier.
"""

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Protocol

import msgspec

from penfold.model import Reply, Transient
from penfold.protocols.sasl.base import Verifier

BAD = Reply.of(535, "5.7.8", "Authentication credentials invalid")
BUSY = Reply.of(454, "4.7.0", "Too many log-ins at the moment; try again")
UNABLE = Reply.of(454, "4.7.0", "Log-ins cannot be checked at the moment; try again")
THROTTLED = Reply.of(454, "4.7.0", "Too many failed log-ins from you; try again later")


class Granted(msgspec.Struct, frozen=True, array_like=True, tag="g"):
    """The log-in is good: ``user`` is the account's id."""

    user: str


class Refused(msgspec.Struct, frozen=True, array_like=True, tag="r"):
    """The log-in is not good: ``reply`` says so (535), or that it can't be told now (454)."""

    reply: Reply


class ScramAccount(msgspec.Struct, frozen=True, array_like=True, tag="s"):
    """What SCRAM needs of an account; a made-up but stable verifier for a user that does not exist."""

    user: str
    verifier: Verifier


class Authenticator(Protocol):
    """Judges log-ins. Never raises for what a client sent."""

    async def password(self, user: str, password: str, client: str) -> Granted | Refused:
        """Judge a user name and password presented from an IP address."""

    async def scram(self, user: str, client: str) -> ScramAccount | Refused:
        """Give the verifier for a SCRAM exchange."""

    def outcome(self, user: str, client: str, *, good: bool) -> None:
        """Hear how a SCRAM exchange ended, for the throttle."""


class Throttle:
    """Remembers failures by key and says how long a key must wait; forgets after ``forget`` seconds without one.

    The first ``free`` failures cost nothing; each further one doubles the wait, from 1 second up to ``most``.
    """

    def __init__(self, *, free: int = 5, most: float = 900.0, forget: float = 3600.0, size: int = 65536) -> None:
        self._free, self._most, self._forget, self._size = free, most, forget, size
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def blocked(self, key: str, now: float) -> bool:
        """Tell whether ``key`` must still wait."""
        count, last = self._failures.get(key, (0, 0.0))
        if count <= self._free:
            return False
        return now - last < min(2.0 ** (count - self._free - 1), self._most)

    def failed(self, key: str, now: float) -> None:
        """Count a failure."""
        count, last = self._failures.pop(key, (0, now))
        self._failures[key] = (1 if now - last > self._forget else count + 1, now)
        if len(self._failures) > self._size:
            self._failures.popitem(last=False)

    def forgive(self, key: str) -> None:
        """Forget the failures of a key: it logged in."""
        self._failures.pop(key, None)


class Verifiers(Protocol):
    """The secrets: reads verifiers, checks passwords (slowly)."""

    def check(self, user: str, password: str) -> str | None:
        """Return the account id if the password is right; spends the same time for unknown users. Blocking.

        Raises Transient where it cannot be told now.
        """

    def scram(self, user: str) -> ScramAccount:
        """Give the SCRAM verifier, made up where there is none. Raises Transient where it cannot be told now."""


class LocalAuthenticator:
    """Judges in this process: throttle, then cache, then a hash in the executor."""

    def __init__(
        self,
        verifiers: Verifiers,
        *,
        executor: Executor,
        run: Callable[[Executor, Callable[[str, str], str | None], str, str], Awaitable[str | None]],
        clock: Callable[[], float],
        key: bytes,
        line: int = 64,
        remember: float = 600.0,
    ) -> None:
        self._verifiers = verifiers
        self._executor, self._run = executor, run
        self._clock, self._key = clock, key
        self._line, self._waiting = line, 0
        self._remember = remember
        self._good: OrderedDict[bytes, tuple[str, float]] = OrderedDict()
        self._throttle = Throttle()

    async def password(self, user: str, password: str, client: str) -> Granted | Refused:
        """Judge a password."""
        now = self._clock()
        if self._throttle.blocked(f"c {client}", now) or self._throttle.blocked(f"u {user} {client}", now):
            return Refused(THROTTLED)
        proof = self._proof(user, password)
        cached = self._good.get(proof)
        if cached is not None and now - cached[1] < self._remember:
            return Granted(cached[0])
        if self._waiting >= self._line:
            return Refused(BUSY)
        self._waiting += 1
        try:
            account = await self._run(self._executor, self._verifiers.check, user, password)
        except Transient:
            return Refused(UNABLE)
        finally:
            self._waiting -= 1
        self.outcome(user, client, good=account is not None)
        if account is None:
            return Refused(BAD)
        self._good[proof] = (account, self._clock())
        if len(self._good) > 4096:
            self._good.popitem(last=False)
        return Granted(account)

    async def scram(self, user: str, client: str) -> ScramAccount | Refused:
        """Give the verifier, unless the client is throttled."""
        now = self._clock()
        if self._throttle.blocked(f"c {client}", now) or self._throttle.blocked(f"u {user} {client}", now):
            return Refused(THROTTLED)
        try:
            return self._verifiers.scram(user)
        except Transient:
            return Refused(UNABLE)

    def outcome(self, user: str, client: str, *, good: bool) -> None:
        """Count a failure, or forgive."""
        keys = (f"c {client}", f"u {user} {client}")
        now = self._clock()
        for key in keys:
            if good:
                self._throttle.forgive(key)
            else:
                self._throttle.failed(key, now)

    def _proof(self, user: str, password: str) -> bytes:
        # SECURITY: keyed, so that the cache in memory is no dictionary of plain hashes.
        return hmac.digest(self._key, f"{len(user)}:{user}{password}".encode("utf-8", "replace"), hashlib.sha256)
