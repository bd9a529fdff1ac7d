"""Reload, stop and death of the supervisor while clients send: no connection and no message is lost."""

import signal
import time

import pytest
from tests.system.host import DOMAIN, Host, Settings, text_message, wait_until
from tests.system.torture import SETTINGS, Load, clients, settled

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("host")]


def account(host: Host, load: Load) -> None:
    """Every acknowledged message is there once."""
    delivered = settled(host, load)
    wanted = {(number, user) for number, users in load.acknowledged.items() for user in users}
    assert not wanted - set(delivered.copies)
    assert not delivered.garbled
    assert not [key for key, times in delivered.copies.items() if len(times) > 1]


def more(host: Host, load: Load, count: int) -> None:
    """Wait until so many more are acknowledged."""
    wanted = len(load.acknowledged) + count
    wait_until(lambda: len(load.acknowledged) >= wanted, host.stacks)


def generation(host: Host) -> set[int]:
    """The processes of all roles; the supervisor's helpers stay over a reload."""
    return {pid for pid, role in host.roles().items() if role != "?"}


def test_reloads_in_mid_load_lose_no_connection_and_no_message():
    load = Load()
    with Host(SETTINGS) as host:
        old = generation(host)
        with clients(host, load, seed=1):
            for _ in range(3):
                more(host, load, 50)
                host.reload()
            more(host, load, 50)
        wait_until(lambda: not old & generation(host), lambda: f"of the first generation are left: {host.roles()}")
        account(host, load)
        assert not load.lost_connections, f"a message under way was cut off:\n{host.log()}"
    print(f"{len(load.acknowledged)} acknowledged, refused: {dict(load.refused)}")
    # Sessions go on with the process that greeted them; only a message that had spilled into a file of the old queue is
    # put off, and the second change ends the sessions of the first generation.
    assert sum(count for reply, count in load.refused.items() if not reply.startswith("421")) < 10, load.refused


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2], ids=["reload", "upgrade"])
def test_a_session_under_way_at_a_change_goes_on_and_is_answered(number: signal.Signals):
    with Host(SETTINGS) as host, host.connect() as client:
        client.say("EHLO client.test")
        client.say("MAIL FROM:<eve@other.test>")
        client.say(f"RCPT TO:<alice@{DOMAIN}>")
        assert client.say("DATA").startswith(b"354")
        old = host.pids("queue")
        host.signal(number)
        wait_until(lambda: host.pids("queue") not in ([], old), host.log)
        client.send(text_message("over the change"))
        assert client.say(".").startswith(b"250")
        assert b"over the change" in host.wait_for("alice")[0]
        assert client.say("NOOP").startswith(b"250")
        assert client.say("QUIT").startswith(b"221")


def test_the_second_change_ends_the_sessions_from_before_the_first():
    with Host(SETTINGS) as host, host.connect() as client:
        client.say("EHLO client.test")
        host.reload()
        assert client.say("NOOP").startswith(b"250")
        host.reload()
        assert client.rest().startswith(b"421 4.3.2")


def test_a_stop_after_a_change_does_not_wait_for_the_sessions_from_before():
    with Host(SETTINGS) as host, host.connect() as client:
        client.say("EHLO client.test")
        host.reload()
        began = time.monotonic()
        host.stop()
        assert time.monotonic() - began < 10
        assert client.rest().startswith(b"421 4.3.2")


def test_a_table_in_error_at_a_reload_changes_nothing():
    good = "postmaster: alice\n"
    options = {**SETTINGS.options, "routing": {"aliases": ["{home}/aliases"]}}
    with Host(Settings(options, files={"aliases": good})) as host:
        (host.home / "aliases").write_text(good + "no colon here\n")
        host.reload()
        assert "the old configuration stays in force" in host.log()
        assert "aliases:2" in host.log().split("stays in force:")[1]


def test_a_bad_configuration_at_a_reload_changes_nothing():
    with Host(SETTINGS) as host:
        good = host.config.read_text()
        before = host.roles()
        host.config.write_text(good.replace("retry", "retyr"))
        host.reload()
        assert "the old configuration stays in force" in host.log()
        assert str(host.config) in host.log().split("stays in force:")[1]
        assert "retry" in host.log().split("stays in force:")[1], "it should name the option that was meant"
        assert host.roles() == before
        with host.smtp() as client:
            client.sendmail("eve@other.test", [f"alice@{DOMAIN}"], text_message("still"))
        host.wait_for("alice")
        host.config.write_text(good)
        host.reload()
        assert "configuration reloaded" in host.log()


def test_a_reload_changes_what_it_says():
    with Host(SETTINGS) as host:
        host.write({"limits": {"message_size": "1 MiB"}})
        host.reload()

        def announced() -> bool:
            with host.connect() as client:
                return b"SIZE 1048576" in client.say("EHLO client.test")

        wait_until(announced, host.log)


def test_a_stop_in_mid_load_loses_no_acknowledged_message():
    load = Load()
    with Host(SETTINGS) as host:
        with clients(host, load, seed=2):
            for _ in range(2):
                more(host, load, 100)
                host.restart()
        account(host, load)
    assert set(load.refused) <= {"421 4.3.2 Service shutting down, try again later"}, load.refused


def test_a_message_under_way_at_a_stop_is_finished_with_250():
    with Host(SETTINGS) as host:
        with host.connect() as client:
            client.say("EHLO client.test")
            client.say("MAIL FROM:<eve@other.test>")
            client.say(f"RCPT TO:<alice@{DOMAIN}>")
            assert client.say("DATA").startswith(b"354")
            client.send(text_message("at the end"))
            host.signal(signal.SIGTERM)
            wait_until(lambda: not accepts(host), host.log)
            assert client.say(".").startswith(b"250")
        host.stop()
        host.start()
        assert b"at the end" in host.wait_for("alice")[0]


def accepts(host: Host) -> bool:
    try:
        with host.connect(timeout=2):
            return True
    except OSError:
        return False


def test_nothing_outlives_a_killed_supervisor_and_nothing_is_lost():
    load = Load()
    with Host(SETTINGS) as host:
        with clients(host, load, seed=3):
            wait_until(lambda: len(load.acknowledged) > 100, host.log)
            host.kill()
            host.start()
            more(host, load, 100)
        account(host, load)


def test_an_idle_session_does_not_delay_a_stop():
    with Host(SETTINGS) as host, host.connect() as client:
        client.say("EHLO client.test")
        began = time.monotonic()
        host.stop()
        assert time.monotonic() - began < 10
        assert client.rest().startswith(b"421 4.3.2")
