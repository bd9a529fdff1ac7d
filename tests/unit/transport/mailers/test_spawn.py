"""Programs that really run."""

import asyncio
import os
import pwd
import signal
import time

import pytest

from penfold.model import Transient
from penfold.transport.mailers.spawn import Command, LocalSpawner

ROOT = os.geteuid() == 0
USER = "nobody" if ROOT else ""
PATH = {"PATH": "/usr/local/bin:/usr/bin:/bin"}


def run(script, message=(b"hello\n",), *, user=USER, spawner=None, **more):
    command = Command(("sh", "-c", script), PATH, user, **more)
    return asyncio.run((spawner or LocalSpawner()).run(command, message))


def test_the_program_reads_the_message_and_its_words_and_status_come_back():
    ended = run("cat; echo err >&2; exit 69")
    assert (ended.status, ended.output, ended.late) == (69, b"hello\nerr\n", False)


def test_a_large_message_is_fed_while_the_program_talks():
    ended = run("cat; exit 3", [b"x" * 99_999] * 30, output=10)
    assert ended == type(ended)(3, b"x" * 10)


def test_a_program_that_does_not_read_is_no_error():
    assert run("exit 0", [b"x" * 99_999] * 30).status == 0


def test_a_program_that_outlasts_its_time_is_killed_with_its_children():
    start = time.monotonic()
    ended = run("sleep 60 & sleep 60", seconds=0.2)
    assert ended.late
    assert ended.status == -9
    assert time.monotonic() - start < 10


def test_a_child_left_behind_with_the_output_open_is_not_waited_for():
    start = time.monotonic()
    ended = run("sleep 60 & echo $!; exit 0", seconds=30)
    os.kill(int(ended.output), signal.SIGKILL)
    assert time.monotonic() - start < 10


def test_the_environment_is_clean_and_the_directory_is_the_root():
    os.environ["PENFOLD_SECRET"] = "x"
    try:
        ended = run("env; pwd")
    finally:
        del os.environ["PENFOLD_SECRET"]
    lines = ended.output.decode().splitlines()
    assert lines[-1] == "/"
    assert {line.partition("=")[0] for line in lines[:-1]} <= {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "PWD",
        "_",
        "SHLVL",
        "OLDPWD",
    }


def test_no_descriptor_is_inherited():
    read, write = os.pipe()
    os.set_inheritable(write, True)
    try:
        ended = run("ls /proc/self/fd")
    finally:
        os.close(read)
        os.close(write)
    # The three streams, and the one ls reads the directory with.
    assert len(ended.output.split()) == 4


def test_a_program_that_does_not_exist_cannot_be_started():
    with pytest.raises(Transient) as caught:
        asyncio.run(LocalSpawner().run(Command(("/does/not/exist",), PATH, USER), [b""]))
    assert caught.value.reply.status == "4.3.5"


def test_programs_never_run_as_root_and_never_as_nobody_we_know():
    root = pwd.struct_passwd(("root", "x", 0, 0, "", "/root", "/bin/sh"))
    for spawner in (LocalSpawner(find_user=lambda name: root), LocalSpawner(find_user={}.__getitem__)):
        with pytest.raises(Transient) as caught:
            run("id", user="somebody", spawner=spawner)
        assert caught.value.reply.status == "4.3.5"


def test_without_root_only_our_own_user_will_do():
    other = pwd.struct_passwd(("other", "x", 12345, 12345, "", "/", "/bin/sh"))
    with pytest.raises(Transient):
        run("id", user="other", spawner=LocalSpawner(find_user=lambda name: other, uid=lambda: 12346))


@pytest.mark.root
@pytest.mark.skipif(not ROOT, reason="becoming another user needs root")
def test_as_root_the_program_becomes_the_user_with_its_groups_alone():
    user = pwd.getpwnam("nobody")
    ended = run("id -u; id -g; id -G", user="nobody")
    uid, gid, groups = ended.output.decode().splitlines()
    assert (int(uid), int(gid)) == (user.pw_uid, user.pw_gid)
    assert set(map(int, groups.split())) == set(os.getgrouplist("nobody", user.pw_gid))


def test_cancelling_kills_the_program():
    async def scenario():
        loop, fed = asyncio.get_running_loop(), asyncio.Event()

        def message():
            loop.call_soon_threadsafe(fed.set)
            yield b"hello"

        task = asyncio.ensure_future(LocalSpawner().run(Command(("sleep", "60"), PATH, USER), message()))
        await fed.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    start = time.monotonic()
    asyncio.run(scenario())  # ends only when the attending thread has ended
    assert time.monotonic() - start < 10
