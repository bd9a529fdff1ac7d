"""Whose rights an agent may get."""

import os
import pwd

import pytest

from penfold.config.load import loads
from penfold.service import agents, permits, privileges, unix
from penfold.service.lines.execute import Kind
from penfold.service.permits import Permits

RULES = Permits(low=1000, high=2000, mailboxes=True, program_user="games", own=frozenset({1500, 33}))


def user(uid, gid=None, name="someone"):
    return pwd.struct_passwd((name, "x", uid, uid if gid is None else gid, "", f"/home/{name}", "/bin/sh"))


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (user(0, name="root"), "root"),
        (user(0, 1000, "toor"), "root"),
        (user(1001, 0), "root's group"),
        (user(0, name="games"), "root"),
        (user(1500), "a role of Penfold"),
        (user(33, name="games"), "a role of Penfold"),
        (user(999), "uid 999 is not from 1000 to 2000"),
        (user(2001), "uid 2001 is not from 1000 to 2000"),
        (user(65534, name="nobody"), "not from"),
    ],
)
def test_no_agent_for_root_roles_daemons_and_users_out_of_range(kind, entry, why):
    assert why in RULES.refusal(kind, entry)


def test_people_get_agents_and_the_program_user_one_for_programs_only():
    assert RULES.refusal(Kind.MAILBOX, user(1000)) == ""
    assert RULES.refusal(Kind.PROGRAM, user(2000)) == ""
    assert RULES.refusal(Kind.PROGRAM, user(5, name="games")) == ""
    assert "not from" in RULES.refusal(Kind.MAILBOX, user(5, name="games"))


def test_without_unix_users_there_are_no_mailboxes():
    rules = Permits(low=1000, high=2000, mailboxes=False, program_user="games")
    assert rules.refusal(Kind.MAILBOX, user(1000)) == "Unix users get no mail here"


def test_rules_know_the_users_of_our_roles():
    config = loads('[roles]\nuser_queue = "games"\nuser_local = "no-such-user-here"\n')
    assert pwd.getpwnam("games").pw_uid in permits.permits(config).own


@pytest.mark.parametrize("login", ["", "../etc", "a b", "-x", "a\nb", "x" * 40, "ünï", "no-such-user-here"])
def test_what_is_no_login_name_is_nobody(login):
    assert permits.find_user(login) is None


def test_the_spools_group_is_for_mailboxes_never_for_programs():
    games = pwd.getpwnam("games")
    assert permits.groups(Kind.PROGRAM, games, 8) == os.getgrouplist("games", games.pw_gid)
    assert 8 in permits.groups(Kind.MAILBOX, games, 8)


def test_a_mailbox_in_the_home_needs_no_group():
    assert permits.spool_group(loads('[delivery]\nunix_mailbox = "mbox:{home}/mbox"\n')) is None
    assert permits.spool_group(loads('[delivery]\nunix_mailbox = "maildir:/var/mail/{user}"\n')) is None


def test_nobody_becomes_root():
    with pytest.raises(privileges.CannotDropError):
        agents.become_user(user(0), [0])
    with pytest.raises(privileges.CannotDropError):
        agents.become_user(user(1000, 0), [1000])


def test_an_agent_opens_the_mailbox_of_its_user_alone():
    find = unix.only("ann", lambda login: login)
    assert find("ann") == "ann"
    assert find("Ann") == "ann"
    assert find("bob") is None
    assert find("") is None


def test_started_by_somebody_only_that_user_has_a_mailbox(monkeypatch):
    config = loads("[delivery]\nunix_users = true\n")
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    assert unix.within_rights(config).delivery.unix_uids == (1234, 1234)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert unix.within_rights(config) is config
