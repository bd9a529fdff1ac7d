import asyncio
import os
import pwd

import pytest

from penfold.directory.include import IncludeTable
from penfold.routing import Found, NotNow

ME = pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture
def table():
    reports = []
    table = IncludeTable(administrators=frozenset(), limit=1000, report=lambda path, reason: reports.append(reason))
    table.reports = reports
    return table


@pytest.fixture
def members(tmp_path):
    path = tmp_path / "list"
    path.write_text('# list\nalice, bob@x.test\n"|/bin/prog a"\n')
    path.chmod(0o644)
    return path


def test_a_list_gives_its_entries_and_its_owner(table, members):
    assert asyncio.run(table.lookup(str(members))) == Found(("alice", "bob@x.test", "|/bin/prog a"), ME)


def test_an_administrators_list_is_owned_by_root(members):
    assert IncludeTable(administrators=frozenset({os.geteuid()})).read(str(members)).source == "root"


def test_a_list_without_members_is_not_an_error(table, members):
    members.write_text("# nobody\n")
    assert table.read(str(members)) == Found((":blackhole:",), ME)


@pytest.mark.parametrize("mode", [0o666, 0o664, 0o646])
def test_a_list_others_can_write_is_not_used(table, members, mode):
    members.chmod(mode)
    assert isinstance(table.read(str(members)), NotNow)
    assert "writable" in table.reports[0]


def test_a_list_in_a_directory_others_can_write_is_not_used(table, members):
    members.parent.chmod(0o777)
    assert isinstance(table.read(str(members)), NotNow)
    members.parent.chmod(0o1777)
    assert isinstance(table.read(str(members)), Found)
    members.parent.chmod(0o700)


def test_links_fifos_directories_and_what_is_not_there_are_not_now(table, members, tmp_path):
    (tmp_path / "link").symlink_to(members)
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo", ".", "none"):
        answer = table.read(str(tmp_path / name))
        assert isinstance(answer, NotNow), name
        assert answer.reply.code == 451
    assert isinstance(table.read("relative"), NotNow)
    assert isinstance(table.read("/nul\0"), NotNow)


def test_a_list_too_long_or_unreadable_as_text_is_not_now(table, members):
    members.write_text("a,\n" * 400)
    assert isinstance(table.read(str(members)), NotNow)
    members.write_text('"open\n')
    assert isinstance(table.read(str(members)), NotNow)
    assert "line 1" in table.reports[-1]
