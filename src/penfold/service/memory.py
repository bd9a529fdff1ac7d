"""Keeps what the processes hold of memory near what they use.

Standards: mallopt(3), a matter of the GNU C library; madvise(2); elsewhere this does nothing
"""

import ctypes
from collections.abc import Iterable, Iterator

_MIB = 1024 * 1024
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # M_… of <malloc.h>
_DONT_NEED = 4  # MADV_DONTNEED


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


def let_go_of_text(maps: str = "/proc/self/smaps") -> int:
    """Let go of program text that was needed to begin; returns octets of address space. What is used again comes back
    from the page cache by itself. Where there is no such file, this does nothing.

    PERF: the supervisor sleeps, and 10 MB of its 22 were code of libraries that only reading keys and tables runs.
    """
    advise = getattr(ctypes.CDLL(None), "madvise", None)
    if advise is None:
        return 0
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    done = 0
    try:
        with open(maps, encoding="ascii", errors="replace") as file:
            regions = list(clean_text(file))
    except OSError:
        return 0
    for start, end in regions:
        if advise(start, end - start, _DONT_NEED) == 0:
            done += end - start
    return done


def clean_text(smaps: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Find the regions of files that may be executed and hold nothing of our own, so that dropping them loses nothing.

    Standards: proc_pid_smaps(5)
    """
    region: tuple[int, int] | None = None
    for line in smaps:
        words = line.split()
        if not words[0].endswith(":"):
            start, _, end = words[0].partition("-")
            text = words[1] == "r-xp" and len(words) > 5 and words[5].startswith("/")
            region = (int(start, 16), int(end, 16)) if text else None
        elif words[0] == "Anonymous:" and region is not None and words[1] == "0":
            yield region
