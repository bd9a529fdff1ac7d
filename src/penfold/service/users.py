"""Makes the users and the group that the roles run as: system users without a home, a shell or a password.

What is there already is left alone. The work is done by the system's ``groupadd`` and ``useradd``.
"""

import grp
import os
import pwd
import shutil
import subprocess

from penfold.config.sections import Roles
from penfold.model import ConfigError

_PLACES = "/usr/sbin:/sbin:/usr/bin:/bin"


def missing(roles: Roles) -> list[list[str]]:
    """Give the command lines that make what is not there yet."""
    commands = []
    try:
        grp.getgrnam(roles.group)
    except KeyError:
        commands.append(["groupadd", "--system", roles.group])
    users = (roles.user_queue, roles.user_receive, roles.user_local, roles.user_auth)
    for user in dict.fromkeys(users):
        try:
            pwd.getpwnam(user)
        except KeyError:
            commands.append(_useradd(user, roles.group))
    return commands


def _useradd(user: str, group: str) -> list[str]:
    plain = ["--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
    return ["useradd", "--system", "--gid", group, *plain, "--comment", "Penfold mail", user]


def make(roles: Roles) -> list[str]:
    """Make what is missing; gives the names made. Raises ConfigError, with the commands to type where it cannot."""
    commands = missing(roles)
    if not commands:
        return []
    by_hand = "; ".join(" ".join(command) for command in commands)
    if os.geteuid() != 0:
        raise ConfigError("only root can make users", hint=f"as root: {by_hand}")
    for command in commands:
        program = shutil.which(command[0], path=_PLACES)
        if program is None:
            raise ConfigError(f"this system has no {command[0]}", hint=f"make them by hand, as: {by_hand}")
        done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False, timeout=60)
        if done.returncode != 0:
            raise ConfigError(f"{command[-1]} could not be made: {done.stderr.strip()}", hint=f"by hand: {by_hand}")
    return [command[-1] for command in commands]
