"""Delivery to Unix users, programs and files: real users, real rights."""

import contextlib
import os
import pwd
import secrets
import smtplib
import stat
import time
from pathlib import Path

import pytest
from tests.system.host import DOMAIN, token, wait_until
from tests.system.unix_host import (
    MAIL,
    MARKS,
    PROGRAM_USER,
    UnixHost,
    User,
    commands_of,
    host,
    person,
    processes_of,
    settings,
)

pytestmark = MARKS
__all__ = ("host", "person")  # fixtures


# -- mailboxes


def test_an_mbox_in_the_spool_directory_is_the_users_and_nobody_elses(host, person):
    ann = person()
    host.send(ann.address)
    text = host.wait_for_mbox(ann)
    facts = os.stat(host.spool / ann.name)
    assert (facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode)) == (ann.uid, MAIL, 0o600)
    assert text.startswith(b"From eve@other.test ")
    assert b"\nReturn-Path: <eve@other.test>\nDelivered-To: " + ann.address.encode() + b"\n" in text
    lock = host.spool / f"{ann.name}.lock"
    wait_until(lambda: not lock.exists(), "the lock goes")


def test_a_mailbox_that_the_distribution_made_is_kept_as_it_is(host, person):
    ann = person()
    path = host.spool / ann.name
    path.write_bytes(b"From old Mon Jan  1 00:00:00 2024\n\nold\n\n")
    os.chown(path, ann.uid, MAIL)
    path.chmod(0o660)
    host.send(ann.address)
    assert host.wait_for_mbox(ann).startswith(b"From old ")
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_a_spool_directory_with_a_sticky_bit_needs_no_group(person):
    ann = person()
    with UnixHost(settings(), spool_mode=0o1777) as host:
        os.chown(host.spool, 0, 0)
        host.send(ann.address)
        host.wait_for_mbox(ann)
        facts = os.stat(host.spool / ann.name)
        assert (facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode)) == (ann.uid, ann.gid, 0o600)


def test_without_the_right_to_make_a_dot_lock_mail_waits(person):
    ann = person()
    with UnixHost(settings(), spool_mode=0o755) as host:
        (host.spool / ann.name).touch()
        os.chown(host.spool / ann.name, ann.uid, MAIL)
        host.send(ann.address)
        host.wait_for_refusal("its directory is not writable")
        host.spool.chmod(0o1777)
        host.wait_for_mbox(ann)


@pytest.mark.parametrize("kind", ["maildir:~/Maildir", "mh:~/Mail", "mmdf:~/mmdf"])
def test_mailboxes_in_the_home_are_the_users(person, kind):
    ann = person()
    with UnixHost(settings(kind)) as host:
        host.send(ann.address)
        folder = ann.home / kind.rpartition("/")[2]
        wait_until(lambda: any(map(_holds_the_line, _files(folder))), host.trouble, 15)
        for path in _files(folder):
            facts = path.stat()
            assert facts.st_uid == ann.uid
            assert not facts.st_mode & 0o077, path


def test_a_new_mailbox_has_the_mode_that_is_configured(person):
    ann = person()
    with UnixHost(settings(mode="0640")) as host:
        host.send(ann.address)
        host.wait_for_mbox(ann)
        assert stat.S_IMODE(os.stat(host.spool / ann.name).st_mode) == 0o640


def _files(folder: Path) -> list[Path]:
    return [folder] if folder.is_file() else [path for path in folder.rglob("*") if path.is_file()]


def _holds_the_line(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return b"A line." in path.read_bytes()
    return False


def test_a_full_quota_makes_mail_wait_with_452(person):
    ann = person()
    with UnixHost(settings(quota="4 KiB")) as host:
        (host.spool / ann.name).write_bytes(b"From x Mon Jan  1 00:00:00 2024\n\n" + b"x" * 4000 + b"\n\n")
        os.chown(host.spool / ann.name, ann.uid, MAIL)
        host.send(ann.address)
        assert "452 4.2.2" in str(host.wait_for_refusal("4.2.2")["reply"])


def test_many_messages_at_once_come_each_once(host, person):
    users = [person() for _ in range(4)]
    for number in range(10):
        host.send(*(user.address for user in users), subject=f"number {number}.")
    for user in users:
        wait_until(lambda user=user: host.mbox(user).count(b"\nSubject: ") >= 10, host.trouble)
        assert sorted(host.mbox(user).count(f"number {n}.".encode()) for n in range(10)) == [1] * 10


def test_a_body_in_a_file_of_its_own_reaches_the_user(host, person):
    ann = person()
    host.send(ann.address, body="x" * 70 + "\n" + ("y" * 70 + "\n") * 8000 + "The end.\n")
    text = host.wait_for_mbox(ann, "The end.")
    assert len(text) > 8000 * 71


def test_system_users_and_users_out_of_range_get_no_mail(host, person):
    stranger = person("-u", str(60_100 + secrets.randbelow(3000)))
    with host.smtp() as client:
        client.ehlo()
        client.mail("eve@other.test")
        for name in ("root", "daemon", "nobody", stranger.name):
            assert client.rcpt(f"{name}@{DOMAIN}")[0] == 550, name


# -- .forward


def test_a_forward_leads_to_another_address(host, person):
    ann, bob = person(), person()
    ann.put(".forward", f"{bob.name}\n")
    host.send(ann.address)
    host.wait_for_mbox(bob)
    assert host.mbox(ann) == b""


def test_a_forward_keeps_a_copy_and_runs_a_program_as_its_owner(host, person):
    ann = person()
    ann.put(".forward", f'\\{ann.name}, "|{host.whoami()}"\n')
    host.send(ann.address)
    said = host.wait_for_file(host.out / ann.name)
    assert said.startswith(f"uid={ann.uid}({ann.name}) gid={ann.gid}({ann.name})")
    assert "mail" not in said.split("groups=")[1], "the spool's group is not for programs"
    host.wait_for_mbox(ann)


def test_a_program_can_gain_no_rights_and_sees_no_descriptor_of_ours(host, person):
    ann = person()
    probe = host.script(
        "probe",
        f"cat > /dev/null; exec > {host.out}/{ann.name}.probe; grep -e NoNewPrivs -e CapEff /proc/self/status; "
        "echo fds $(ls /proc/self/fd); echo core $(ulimit -c); umask; env | sort",
    )
    ann.put(".forward", f"|{probe}\n")
    host.send(ann.address)
    path = host.out / f"{ann.name}.probe"
    wait_until(lambda: path.exists() and "USER=" in path.read_text(), host.trouble, 15)
    said = path.read_text()
    assert "fds 0 1 2 3\n" in said, "3 is the directory that ls reads"
    assert "core 0\n" in said
    assert "NoNewPrivs:\t1\n" in said
    assert "CapEff:\t0000000000000000\n" in said
    assert f"HOME={ann.home}\n" in said
    assert "SENDER=eve@other.test\n" in said
    assert f"RECIPIENT={ann.address}\n" in said
    assert "PYTHONPATH" not in said
    assert "\n0077\n" in said


def test_a_forward_appends_to_a_file_of_its_owner(host, person):
    ann = person()
    ann.put(".forward", f"{ann.home}/archive\n")
    host.send(ann.address)
    archive = ann.home / "archive"
    assert "A line." in host.wait_for_file(archive)
    assert (archive.stat().st_uid, stat.S_IMODE(archive.stat().st_mode)) == (ann.uid, 0o600)


def test_a_list_of_the_owners_in_a_closed_home_is_read_as_the_owner(host, person):
    ann, bob = person(), person()
    ann.home.chmod(0o700)
    ann.put("friends", f"# friends\n{bob.name}\n")
    ann.put(".forward", f":include:{ann.home}/friends\n")
    host.send(ann.address)
    host.wait_for_mbox(bob)


def test_an_extension_has_a_forward_of_its_own(host, person):
    ann, bob = person(), person()
    ann.put(".forward+lists", f"{bob.name}\n")
    host.send(f"{ann.name}+lists@{DOMAIN}", subject="to the list")
    host.send(f"{ann.name}+other@{DOMAIN}", subject="to the rest")
    assert b"to the list" in host.wait_for_mbox(bob)
    assert b"to the rest" in host.wait_for_mbox(ann)
    assert b"to the list" not in host.mbox(ann)


def test_forward_files_are_not_read_where_the_administrator_forbids_them(person):
    ann, bob = person(), person()
    ann.put(".forward", f"{bob.name}\n")
    with UnixHost(settings(forward_files=False)) as host:
        host.send(ann.address)
        host.wait_for_mbox(ann)
        assert host.mbox(bob) == b""


# -- programs and files of administrators


def test_programs_and_files_of_aliases_belong_to_the_program_user():
    said = settings(aliases='who: "|{home}/whoami"\narchive: {home}/out/archive\nmean: "|/bin/sh -c id"\n')
    games = pwd.getpwnam(PROGRAM_USER)
    with UnixHost(said) as host:
        host.whoami()
        host.send(f"who@{DOMAIN}", f"archive@{DOMAIN}")
        assert host.wait_for_file(host.out / PROGRAM_USER).startswith(f"uid={games.pw_uid}({PROGRAM_USER}) ")
        assert "A line." in host.wait_for_file(host.out / "archive")
        assert (host.out / "archive").stat().st_uid == games.pw_uid


def test_a_users_program_does_not_take_the_place_of_an_administrators(person):
    ann = person()
    with UnixHost(settings(aliases='who: "|{home}/whoami"\n')) as host:
        ann.put(".forward", f'"|{host.whoami()}"\n')
        host.send(ann.address, f"who@{DOMAIN}")
        host.wait_for_file(host.out / PROGRAM_USER)
        host.wait_for_file(host.out / ann.name)


def test_a_program_out_of_time_is_killed_with_all_it_started(person):
    ann = person()
    with UnixHost(settings(program_timeout="1s")) as host:
        sleeper = host.script("sleeper", "cat > /dev/null; sleep 987654 & sleep 987654")
        ann.put(".forward", f"|{sleeper}\n")
        host.send(ann.address)
        host.wait_for_refusal("still running after 1 seconds")
        wait_until(lambda: "sleep 987654" not in commands_of(ann.uid), lambda: commands_of(ann.uid))
        (ann.home / ".forward").unlink()


def test_a_role_s_user_gets_no_agent_even_as_program_user():
    said = settings(aliases='who: "|{home}/whoami"\n', program_user="proxy")
    with UnixHost(said) as host:
        host.whoami()
        host.send(f"who@{DOMAIN}")
        host.wait_for_refusal("No mail is delivered with the rights of this user here")
        assert not list(host.out.iterdir())


# -- agents


def test_an_agent_is_its_user_for_good_and_exec_keeps_three_capabilities(host, person):
    ann = person()
    host.send(ann.address)
    host.wait_for_mbox(ann)
    [(pid, facts)] = processes_of(ann.uid).items()
    assert facts["Uid"].split() == [str(ann.uid)] * 4
    assert facts["Gid"].split() == [str(ann.gid)] * 4
    assert sorted(map(int, facts["Groups"].split())) == sorted({ann.gid, MAIL})
    assert facts["NoNewPrivs"].strip() == "1"
    assert {int(facts[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
    assert int(facts["Umask"], 8) == 0o077
    assert Path(f"/proc/{pid}/mem").stat().st_uid == 0, "its memory is not its user's to read"
    [parent] = host.pids("exec")
    status = Path(f"/proc/{parent}/status").read_text()
    assert "CapEff:\t00000000000000e0\n" in status
    assert "CapBnd:\t00000000000000e0\n" in status


@pytest.mark.slow
def test_agents_go_when_there_is_nothing_to_do_and_with_the_host(person):
    ann = person()
    with UnixHost(settings()) as host:
        host.send(ann.address)
        host.wait_for_mbox(ann)
        assert len(processes_of(ann.uid)) == 1
        wait_until(lambda: not processes_of(ann.uid), "the agent goes", 20)
        host.send(ann.address)
        wait_until(lambda: host.mbox(ann).count(b"A line.") == 2, host.trouble)
        began = time.monotonic()
        host.stop()
        assert time.monotonic() - began < 10
        assert not processes_of(ann.uid)


def test_a_user_who_kills_the_agent_gets_the_mail_later(host, person):
    ann = person()
    lock = host.spool / f"{ann.name}.lock"
    lock.write_text("1:elsewhere")
    host.send(ann.address)
    wait_until(lambda: processes_of(ann.uid), host.trouble)
    for pid in processes_of(ann.uid):
        os.kill(pid, 9)
    host.wait_for_refusal("The delivery agent died")
    lock.unlink()
    host.wait_for_mbox(ann)
    assert host.mbox(ann).count(b"A line.") == 1


def test_exec_that_is_killed_is_started_again_and_delivers(host, person):
    ann = person()
    [pid] = host.pids("exec")
    os.kill(pid, 9)
    wait_until(lambda: [other for other in host.pids("exec") if other != pid], host.trouble)
    host.send(ann.address)
    host.wait_for_mbox(ann)


def _taken(host: UnixHost, subject: str, *users: User) -> bool:
    """Send; while the queue gives way to its successor there may be no room for new mail."""
    try:
        host.send(*(user.address for user in users), subject=subject)
    except smtplib.SMTPResponseException as refusal:
        return refusal.smtp_code >= 500
    return True


def test_after_a_reload_new_agents_deliver(person):
    ann, bob = person(), person()
    with UnixHost(settings()) as host:
        host.send(ann.address)
        host.wait_for_mbox(ann)
        host.reload()
        subject = token()
        wait_until(lambda: _taken(host, subject, bob, ann), host.trouble)
        host.wait_for_mbox(bob)
        wait_until(lambda: host.mbox(ann).count(b"A line.") == 2, host.trouble)


# -- without root


def test_a_host_of_a_plain_user_works_as_that_user_and_no_other():
    games = pwd.getpwnam(PROGRAM_USER)
    rights = ("setpriv", f"--reuid={games.pw_uid}", f"--regid={games.pw_gid}", "--clear-groups")
    said = settings(
        "mbox:{spool}/{user}", aliases='who: "|{home}/whoami"\narchive: {home}/out/archive\n', program_user="nobody"
    )
    said.wrapper = rights
    host = UnixHost(said, spool_mode=0o1777)
    host.whoami()
    os.chown(host.home, games.pw_uid, games.pw_gid)
    with host:
        host.send(f"who@{DOMAIN}", f"archive@{DOMAIN}", f"{PROGRAM_USER}@{DOMAIN}")
        assert host.wait_for_file(host.out / PROGRAM_USER).startswith(f"uid={games.pw_uid}({PROGRAM_USER}) ")
        host.wait_for_file(host.out / "archive")
        host.wait_for_file(host.spool / PROGRAM_USER)
        assert "exec" not in host.roles().values()
        with host.smtp() as client:
            client.ehlo()
            client.mail("eve@other.test")
            assert client.rcpt(f"nobody@{DOMAIN}")[0] == 550
