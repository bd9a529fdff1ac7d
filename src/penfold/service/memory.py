"""Keeps what the processes hold of memory near what they use.

Standards: mallopt(3), a matter of the GNU C library; elsewhere this does nothing
"""

import ctypes

_MIB = 1024 * 1024
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # M_… of <malloc.h>


def give_back() -> None:
    """Have the allocator return large blocks to the system when they are freed; what is forked later does the same.

    QUIRK: glibc takes a large block that was freed for a sign of more to come and serves the next ones from the heap,
    which then never shrinks again: one log-in (19 MiB for the hash) would stay for the life of role auth.
    PERF: after a log-in and 6,300 messages all roles hold 84 MB instead of 104.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is None:
        return
    for option, value in ((_MMAP_THRESHOLD, _MIB), (_TRIM_THRESHOLD, _MIB), (_ARENA_MAX, 2)):
        set_option(option, value)
