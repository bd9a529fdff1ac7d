"""Whose rights an agent may get: decided by role exec alone, whatever it is asked for.

SECURITY: never uid or gid 0, never a user of Penfold's own roles, never a uid outside ``delivery.unix_uids`` (so no
system daemon), except the one user that the administrator names for programs.

Standards: sendmail's TrustedUser and SafeFileEnvironment lore; Debian Policy §11.6 (group mail of the spool directory)
"""

import grp
import os
import pwd
import re
import stat

import msgspec

from penfold.config.sections import Config
from penfold.service.lines.execute import Kind

_LOGIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?")
SPOOL_GROUP = "mail"


class Permits(msgspec.Struct, frozen=True, kw_only=True):
    """The rules.

    ``low`` to ``high`` are the uids of people; ``mailboxes`` and ``programs`` say what they get; ``program_user`` runs
    what administrators name; ``own`` are the uids of our roles.
    """

    low: int
    high: int
    mailboxes: bool
    program_user: str
    own: frozenset[int] = frozenset()

    def refusal(self, kind: Kind, user: pwd.struct_passwd) -> str:
        """Tell why this user gets no agent of this kind; empty when he does."""
        if user.pw_uid == 0 or user.pw_gid == 0:
            return "it is root, or of root's group"
        if user.pw_uid in self.own:
            return "a role of Penfold runs as this user"
        if kind is Kind.PROGRAM and user.pw_name == self.program_user:
            return ""
        if not self.low <= user.pw_uid <= self.high:
            return f"uid {user.pw_uid} is not from {self.low} to {self.high}"
        if kind is Kind.MAILBOX and not self.mailboxes:
            return "Unix users get no mail here"
        return ""


def permits(config: Config) -> Permits:
    """Read the rules off the configuration."""
    said, roles = config.delivery, config.roles
    low, high = said.unix_uids
    users = {roles.user_receive, roles.user_queue, roles.user_local, roles.user_auth}
    return Permits(
        low=max(low, 1),
        high=high,
        mailboxes=said.unix_users,
        program_user=said.program_user,
        own=frozenset(user.pw_uid for user in map(find_user, users) if user is not None),
    )


def find_user(login: str) -> pwd.struct_passwd | None:
    """Find a user by exactly this name; None where there is none or the name is no login name."""
    if not _LOGIN.fullmatch(login):
        return None
    try:
        user = pwd.getpwnam(login)
    except KeyError:
        return None
    return user if user.pw_name == login else None


def groups(kind: Kind, user: pwd.struct_passwd, spool_group: int | None) -> list[int]:
    """Give an agent's groups: the user's own; for mailboxes also the spool directory's, for programs never that one."""
    own = os.getgrouplist(user.pw_name, user.pw_gid)
    if kind is Kind.MAILBOX and spool_group is not None and spool_group not in own:
        own.append(spool_group)
    return own


def spool_group(config: Config) -> int | None:
    """Give the group ``mail`` where it is needed to lock and to make mailboxes: it may write to the spool directory.

    A directory writable by all with a sticky bit (1777), or a mailbox in the user's home, needs no group.
    """
    kind, _, path = config.delivery.unix_mailbox.partition(":")
    directory = os.path.dirname(path)
    if kind not in {"mbox", "mmdf"} or "{" in directory:
        return None
    try:
        facts = os.lstat(directory)
        group = grp.getgrnam(SPOOL_GROUP).gr_gid
    except (OSError, KeyError):
        return None
    needed = stat.S_ISDIR(facts.st_mode) and facts.st_gid == group and facts.st_mode & stat.S_IWGRP
    return group if needed and not facts.st_mode & stat.S_IWOTH else None
