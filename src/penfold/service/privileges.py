"""Giving up rights: a role becomes its user for good, and can never gain rights again.

SECURITY: groups, then gid, then uid, each real, effective and saved; then no_new_privs, which set-user-ID programs
cannot undo. A role that should have dropped rights and could not does not run.
"""

import ctypes
import grp
import os
import pwd
import resource

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4


class CannotDropError(Exception):
    """The rights could not be given up; the message says why and what to do."""


def become(user: str, group: str) -> None:
    """Become ``user`` with ``group`` as only group. Does nothing unless we are root. Raises CannotDropError."""
    if os.geteuid() != 0:
        return
    try:
        entry = pwd.getpwnam(user)
        gid = grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise CannotDropError(f"{error.args[0]}: make the users with: penfold init --users") from None
    if entry.pw_uid == 0:
        raise CannotDropError(f"{user} is root: a role never runs as root; name another user in [roles]")
    os.setgroups([gid])
    os.setresgid(gid, gid, gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    if os.getresuid() != (entry.pw_uid,) * 3:
        raise CannotDropError(f"the kernel did not make us {user}")


def become_ids(uid: int, gid: int) -> None:
    """Become the user ``uid`` with ``gid`` as only group, for good. Raises CannotDropError for root."""
    if uid == 0:
        raise CannotDropError("no rights would be given up by becoming root")
    os.setgroups([gid])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def give(path: str, user: str, group: str, mode: int) -> None:
    """Give a directory to a role's user, with a mode. Raises CannotDropError for an unknown name."""
    try:
        uid, gid = pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise CannotDropError(f"{error.args[0]}: make the users with: penfold init --users") from None
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fchown(fd, uid, gid)
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def seal(*, memory_secret: bool = False) -> None:
    """Set no_new_privs; with ``memory_secret`` nobody may look into our memory (the role that sees passwords)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise CannotDropError(f"no_new_privs: {os.strerror(ctypes.get_errno())}")
    if memory_secret:
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def raise_descriptor_limit() -> int:
    """Allow as many descriptors as the hard limit lets us; gives the number."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


_PR_SET_KEEPCAPS = 8
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_READ_SEARCH = 2


def become_reader() -> None:
    """Become nobody who may read every file and do nothing else: for a child of root that parses a configuration."""
    libc = ctypes.CDLL(None, use_errno=True)
    nobody = pwd.getpwnam("nobody")
    libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(nobody.pw_gid, nobody.pw_gid, nobody.pw_gid)
    os.setresuid(nobody.pw_uid, nobody.pw_uid, nobody.pw_uid)
    mask = 1 << _CAP_DAC_READ_SEARCH
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(mask, mask, 0, 0, 0, 0)
    if libc.capset(header, data) != 0:
        raise CannotDropError(f"capset: {os.strerror(ctypes.get_errno())}")
    seal()
