"""The host as a whole: it starts, takes mail in, delivers it, and stops leaving nothing behind."""

import pytest
from tests.system.host import DOMAIN, Host, Settings, text_message

pytestmark = pytest.mark.xdist_group("host")


def test_a_message_for_an_account_ends_in_its_maildir():
    with Host() as host:
        with host.smtp() as client:
            client.sendmail("eve@other.test", [f"alice@{DOMAIN}"], text_message("thin end"))
        [message] = host.wait_for("alice")
        assert b"Subject: thin end\n" in message
        assert message.startswith(b"Return-Path: <eve@other.test>\n")


def test_mail_taken_in_before_a_stop_is_delivered_after_the_next_start():
    with Host() as host:
        with host.smtp() as client:
            for number in range(20):
                client.sendmail("eve@other.test", [f"alice@{DOMAIN}", f"bob@{DOMAIN}"], text_message(f"n{number}"))
        host.restart()
        assert len(host.wait_for("alice", 20)) == 20
        assert len(host.wait_for("bob", 20)) == 20


def test_it_works_under_the_closest_umask_and_its_roster_can_be_read():
    with Host(Settings(wrapper=("sh", "-c", 'umask 077; exec "$@"', "sh"))) as host:
        with host.smtp() as client:
            client.sendmail("eve@other.test", [f"alice@{DOMAIN}"], text_message("closed"))
        host.wait_for("alice")
        assert (host.data / "run/roster.json").stat().st_mode & 0o777 == 0o644


def test_a_role_tells_on_request_what_it_waits_for_and_goes_on():
    with Host() as host:
        before = host.roles()
        said = host.stacks()
        for pid in host.pids("queue") + host.pids("receive"):
            assert f"penfold[{pid}]: " in said
        assert "Dispatcher" in said or "dispatcher.py" in said
        assert host.roles() == before
        with host.smtp() as client:
            client.sendmail("eve@other.test", [f"alice@{DOMAIN}"], text_message("still there"))
        host.wait_for("alice")
