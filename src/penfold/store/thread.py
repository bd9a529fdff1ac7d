"""Which thread a message belongs to, decided once when it comes in, for ever.

A message joins the thread of the first message id it names that is known under the same base subject; otherwise it
begins one, which bears the message's own number. Threads are never joined later: a THREADID must not change.

Standards: RFC 8474 §5.2; RFC 8621 §3
Trust: message ids come from anybody: at most ``MOST_IDS`` of a message are looked at.
"""

from itertools import islice

from penfold.message.summary import Summary

MOST_IDS = 64


class Threads:
    """What an account knows of message ids."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, bytes], int] = {}

    def join(self, summary: Summary, email: int) -> int:
        """Give the thread of a message whose number is ``email``, and remember its ids."""
        own = (summary.message_id,) if summary.message_id else ()
        ids = islice((*own, *reversed(summary.ancestors)), MOST_IDS)
        keys = [(each, summary.keys.subject) for each in ids]
        thread = next((self._known[key] for key in keys if key in self._known), email)
        for key in keys:
            self._known.setdefault(key, thread)
        return thread
