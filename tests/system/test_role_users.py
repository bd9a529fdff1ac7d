"""``penfold init --users`` makes the users that the roles run as."""

import grp
import os
import pwd
import subprocess
import sys

import pytest

from penfold.config.sections import Roles
from penfold.model import ConfigError
from penfold.service.users import make, missing

NAMES = ("pftest", "pftest-net", "pftest-mail", "pftest-auth")
ROLES = Roles(user_queue=NAMES[0], user_receive=NAMES[1], user_local=NAMES[2], user_auth=NAMES[3], group="pftest")


def test_what_is_there_is_left_alone():
    there = Roles(user_queue="nobody", user_receive="nobody", user_local="nobody", user_auth="nobody", group="daemon")
    assert missing(there) == []
    assert make(there) == []


def test_somebody_else_than_root_is_told_what_root_would_type(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ConfigError, match="only root") as found:
        make(ROLES)
    assert "groupadd --system pftest; useradd --system --gid pftest" in found.value.hint


@pytest.fixture
def removed():
    yield
    for name in NAMES:
        subprocess.run(["userdel", name], check=False, capture_output=True)
    subprocess.run(["groupdel", "pftest"], check=False, capture_output=True)


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make users")
def test_users_are_made_without_home_shell_or_password(tmp_path, removed):
    config = tmp_path / "penfold.toml"
    users = "\n".join(
        f'user_{role} = "{name}"' for role, name in zip(("queue", "receive", "local", "auth"), NAMES, strict=True)
    )
    config.write_text(f'hostname = "mx.example.test"\n[roles]\ngroup = "pftest"\n{users}\n')
    command = [sys.executable, "-m", "penfold.cli.main", "init", "--users", "--config", str(config)]
    first = subprocess.run(command, check=True, capture_output=True, text=True)
    assert first.stdout == "made: pftest, pftest, pftest-net, pftest-mail, pftest-auth\n"
    group = grp.getgrnam("pftest").gr_gid
    for name in NAMES:
        entry = pwd.getpwnam(name)
        assert entry.pw_gid == group
        assert entry.pw_uid not in {0, 65534}
        assert (entry.pw_dir, entry.pw_shell) == ("/nonexistent", "/usr/sbin/nologin")
    assert "already" in subprocess.run(command, check=True, capture_output=True, text=True).stdout
