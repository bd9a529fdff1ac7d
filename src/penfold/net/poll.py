"""Looks whether a descriptor has something to read, an error or the end included.

QUIRK: uvloop watches a descriptor no longer once the kernel has reported an error on it (the peer closed without having
read all), and calls the reader a last time. Where data lie before the error, a reader that takes one piece of them and
returns is never called again, and never learns of the end. So every reader goes on until there is nothing more.
"""

import select


def readable_now(descriptor: int) -> bool:
    """Tell whether reading would not block."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
