"""What role exec keeps of root's powers, and the adoption of orphans.

Standards: capabilities(7), capset(2), prctl(2)
"""

import ctypes
import os

KILL, SETGID, SETUID = 5, 6, 7
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_CHILD_SUBREAPER = 36
_VERSION_3 = 0x20080522
_LAST = 63


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def keep(*wanted: int) -> None:
    """Give up all capabilities but these, for us and all our children, and set no_new_privs. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    for number in range(_LAST + 1):
        if number not in wanted:
            libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)  # fails for numbers the kernel does not know
    mask = sum(1 << number for number in wanted)
    header = _Header(_VERSION_3, 0)
    data = (_Data * 2)(*(_Data(mask >> shift & 0xFFFFFFFF, mask >> shift & 0xFFFFFFFF, 0) for shift in (0, 32)))
    _check(libc.capset(ctypes.byref(header), data), "capset")
    _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def adopt_orphans() -> None:
    """Become the parent of all descendants that lose theirs. Raises OSError."""
    _check(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "child subreaper")


def _check(status: int, what: str) -> None:
    if status != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
