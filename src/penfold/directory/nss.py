"""Asks the system who its users are, telling "there is none" from "cannot tell now".

Python's ``pwd`` raises KeyError for both. getpwnam_r(3) tells them apart, so it is called through ctypes where the C
library's ``struct passwd`` is known (Linux); elsewhere ``pwd`` has to do.

Trust: the system's user database.
"""

import ctypes
import errno
import pwd
import sys
from functools import cache
from typing import NamedTuple

# QUIRK: POSIX says 0 for "no such user"; these are what systems return for it all the same (getpwnam(3), NOTES).
_NOBODY = frozenset({0, errno.ENOENT, errno.ESRCH, errno.EBADF, errno.EPERM})
_FIRST_BUFFER = 16 * 1024
_LAST_BUFFER = 1024 * 1024


class User(NamedTuple):
    """A Unix user."""

    login: str
    uid: int
    gid: int
    name: str
    home: str


class _Passwd(ctypes.Structure):
    _fields_ = (
        ("login", ctypes.c_char_p),
        ("password", ctypes.c_char_p),
        ("uid", ctypes.c_uint),
        ("gid", ctypes.c_uint),
        ("gecos", ctypes.c_char_p),
        ("home", ctypes.c_char_p),
        ("shell", ctypes.c_char_p),
    )


def user_by_login(login: str) -> User | None:
    """Find a user; None where there is none. Raises OSError where the system cannot tell now."""
    if not login or "\0" in login or not login.isascii():
        return None
    if not sys.platform.startswith("linux"):
        return _portable(login)
    size = _FIRST_BUFFER
    while True:
        status, user = _getpwnam_r(login, size)
        if status != errno.ERANGE or size >= _LAST_BUFFER:
            break
        size *= 4
    if user is None and status not in _NOBODY:
        raise OSError(status, "the user database does not answer")
    return user


def _getpwnam_r(login: str, size: int) -> tuple[int, User | None]:
    entry, found = _Passwd(), ctypes.POINTER(_Passwd)()
    buffer = ctypes.create_string_buffer(size)
    status: int = _function()(login.encode(), ctypes.byref(entry), buffer, size, ctypes.byref(found))
    if status or ctypes.cast(found, ctypes.c_void_p).value is None:
        return status, None
    return 0, User(_text(entry.login), entry.uid, entry.gid, _text(entry.gecos).partition(",")[0], _text(entry.home))


@cache
def _function() -> "ctypes._NamedFuncPointer":
    function = ctypes.CDLL(None).getpwnam_r
    function.argtypes = (
        ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p,
    )  # fmt: skip
    function.restype = ctypes.c_int
    return function


def _text(octets: bytes | None) -> str:
    return (octets or b"").decode(errors="replace")


def _portable(login: str) -> User | None:
    try:
        entry = pwd.getpwnam(login)
    except KeyError:
        return None
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_gecos.partition(",")[0], entry.pw_dir)


def first_user(low: int, high: int) -> User | None:
    """Find the user with the lowest uid within bounds."""
    entries = [entry for entry in pwd.getpwall() if low <= entry.pw_uid <= high]
    entry = min(entries, key=lambda one: one.pw_uid, default=None)
    if entry is None:
        return None
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_gecos.partition(",")[0], entry.pw_dir)
