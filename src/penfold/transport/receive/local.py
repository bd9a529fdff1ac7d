"""One connection of the ``sendmail`` command: a message in the pickup format comes in, reply lines go out.

Standards: RFC 5321 §2.3.1
Trust: octets of a local user; who that is, the kernel says (SO_PEERCRED). Bounded by the reader, the door's size limit
and five minutes of silence.
Durability: a line that begins with 2 is written when the queue holds the message durably, and not before.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from penfold.model import Reply
from penfold.net.link import Closing, Link
from penfold.net.tls import TlsFacts
from penfold.transport.receive.pickup import Caller, LocalHouse, Submission, lines_of

SILENCE = 300.0  # seconds
_LATE = Reply.of(451, "4.4.2", "Nothing came for too long")
_FAULT = Reply.of(451, "4.3.0", "Local error in processing")


class LocalLog(Protocol):
    """Hears of local submissions."""

    def local_opened(self, session: str, user: str) -> None:
        """Hear of a connection."""

    def local_closed(self, session: str, user: str, reply: Reply | None, octets: int) -> None:
        """Hear of its end; None where the caller went away before it was told."""

    def local_fault(self, session: str, error: BaseException) -> None:
        """Hear of an error of ours."""


class PickupSession:
    """One message from the ``sendmail`` command."""

    def __init__(
        self,
        house: LocalHouse,
        caller_of: Callable[[int], Caller],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        log: LocalLog,
        name: str,
    ) -> None:
        self._house = house
        self._caller_of = caller_of
        self._spawn = spawn
        self._log = log
        self._name = name
        self._caller = Caller("", -1, trusted=False)
        self._submission: Submission | None = None
        self._reply: Reply | None = None
        self._octets = 0
        self._finishing = False
        self._link: Link

    def connected(self, link: Link) -> None:
        """Find out who calls."""
        self._link = link
        if link.credentials is None:
            link.close()
            return
        self._caller = self._caller_of(link.credentials.uid)
        self._submission = Submission(self._house, self._caller, self._name)
        self._log.local_opened(self._name, self._caller.name)
        link.deadline(link.now() + SILENCE)

    def received(self, data: memoryview) -> None:
        """Take octets."""
        submission = self._submission
        if submission is None or self._finishing:
            return
        self._octets += len(data)
        submission.feed(data)
        self._link.deadline(self._link.now() + SILENCE)
        if submission.over:
            self._finish(submission)

    def eof(self) -> None:
        """Nothing more comes: what is not whole is refused."""
        if self._submission is not None and not self._finishing:
            self._submission.eof()
            self._finish(self._submission)

    def secured(self, facts: TlsFacts) -> None:
        """Never happens on a Unix socket."""

    def drained(self) -> None:
        """Nothing waits for room: the answer is short."""

    def on_time(self, now: float) -> None:
        """Silence."""
        del now
        self._tell([_LATE])

    def closed(self, reason: Closing) -> None:
        """The caller is gone; what was whole goes on to the queue all the same."""
        del reason
        if self._submission is not None:
            self._log.local_closed(self._name, self._caller.name, self._reply, self._octets)

    def drain(self) -> None:
        """A message under way is finished; there is nothing to say before."""

    def _finish(self, submission: Submission) -> None:
        self._finishing = True
        self._link.deadline(None)
        self._spawn(self._submit(submission))

    async def _submit(self, submission: Submission) -> None:
        try:
            replies = await submission.finish()
        except Exception as error:  # noqa: BLE001 - the session's loop
            self._log.local_fault(self._name, error)
            replies = [_FAULT]
        self._tell(replies)

    def _tell(self, replies: list[Reply]) -> None:
        self._finishing = True
        self._reply = replies[-1]
        self._link.write(lines_of(replies))
        self._link.close()
