"""Landlock: a role can change nothing on disk but what its work is, whatever user it runs as.

Users and modes decide who may read; this decides, for good and for all its children, where a process may write, make,
remove and execute. It needs no root, so it also parts the roles of a host that one plain user runs. A kernel without
Landlock runs the roles all the same: users and modes are then the only walls.

Standards: Linux landlock(7), ABI 1 to 5
"""

import ctypes
import os
import struct
from collections.abc import Iterable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_VERSION_FLAG = 1
_PATH_BENEATH = 1

_EXECUTE = 1 << 0
_WRITE_FILE = 1 << 1
# Rights to change something, by the ABI that brought them.
_CHANGES = {1: sum(1 << bit for bit in range(4, 13)) | _WRITE_FILE, 2: 1 << 13, 3: 1 << 14}
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | 1 << 14


def supported() -> int:
    """Tell the kernel's Landlock ABI; 0 where there is none."""
    version = ctypes.CDLL(None, use_errno=True).syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    return max(int(version), 0)


def confine(writable: Iterable[str], *, execute: bool = False) -> bool:
    """Let this process change only what lies at or below ``writable``; without ``execute`` it runs no program.

    Call it after the rights were dropped (``seal``) and before any thread begins. Paths that do not exist are left out.
    False where the kernel cannot do it.
    """
    version = supported()
    if not version:
        return False
    handled = sum(rights for abi, rights in _CHANGES.items() if abi <= version)
    if not execute:
        handled |= _EXECUTE
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = struct.pack("=Q", handled)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    try:
        for path in (*writable, "/dev/null"):
            _allow(libc, ruleset, path, handled & ~_EXECUTE)
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            rights &= _FILE_RIGHTS
        libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, fd), 0)
    finally:
        os.close(fd)
