"""Delivery to Unix users, programs and files: real users, real rights, and the tricks that users may try."""

import contextlib
import grp
import os
import pwd
import secrets
import smtplib
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.system.host import DOMAIN, ROOT, Host, Settings, text_message, token, wait_until

pytestmark = [
    pytest.mark.xdist_group("host"),
    pytest.mark.root,
    pytest.mark.skipif(
        not ROOT and not os.environ.get("PENFOLD_CI"), reason="needs root: creates users and becomes them"
    ),
]
PROGRAM_USER = "games"
MAIL = grp.getgrnam("mail").gr_gid


class User:
    """A Unix user made for a test."""

    def __init__(self, *options: str) -> None:
        self.name = f"pf{secrets.token_hex(5)}"
        # A uid of its own: one that is used again would show the agents of the user before.
        uid = () if "-u" in options else ("-u", str(20_000 + secrets.randbelow(39_000)))
        subprocess.run(["useradd", "-m", *uid, *options, self.name], check=True, capture_output=True)
        entry = pwd.getpwnam(self.name)
        self.uid, self.gid, self.home = entry.pw_uid, entry.pw_gid, Path(entry.pw_dir)
        self.address = f"{self.name}@{DOMAIN}"

    def put(self, name: str, text: str, mode: int = 0o600) -> Path:
        """Write a file of the user's in the home."""
        path = self.home / name
        path.write_text(text)
        os.chown(path, self.uid, self.gid)
        path.chmod(mode)
        return path

    def remove(self) -> None:
        subprocess.run(["userdel", "-r", "-f", self.name], check=False, capture_output=True)


@pytest.fixture
def person() -> Iterator[Callable[..., User]]:
    made: list[User] = []

    def make(*options: str) -> User:
        made.append(User(*options))
        return made[-1]

    yield make
    for user in made:
        user.remove()


def settings(mailbox: str = "", aliases: str = "", **delivery: object) -> Settings:
    options: dict[str, dict[str, object]] = {
        "delivery": {"unix_users": True, "program_user": PROGRAM_USER, "lock_timeout": "1s", **delivery}
    }
    if mailbox:
        options["delivery"]["unix_mailbox"] = mailbox
    return Settings(options=options, accounts=(), files={"aliases": aliases})


class UnixHost(Host):
    """A host with a mail spool directory of its own, a place where programs may write, and aliases."""

    def __init__(self, said: Settings, spool_mode: int = 0o2775) -> None:
        super().__init__(said)
        self.spool = self.home / "mail-spool"
        self.out = self.home / "out"
        self.spool.mkdir()
        os.chown(self.spool, 0, MAIL)
        self.spool.chmod(spool_mode)
        self.out.mkdir()
        self.out.chmod(0o1777)
        options = said.options["delivery"]
        mailbox = str(options.get("unix_mailbox", "mbox:{spool}/{user}")).replace("{spool}", str(self.spool))
        aliases = {"aliases": [str(self.home / "aliases")]}
        self.write({"delivery": {"unix_mailbox": mailbox}, "routing": aliases, "": {"postmaster": f"root@{DOMAIN}"}})
        # ``{home}`` is the host's own folder in all it writes: a user's home is said as ~ here.
        self.config.write_text(self.config.read_text().replace(":~/", ":{home}/"))

    def script(self, name: str, text: str) -> str:
        """Write a program anybody may run; gives its path."""
        path = self.home / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    def whoami(self) -> str:
        """Write a program that tells who runs it, in a file named after it; gives its path."""
        return self.script("whoami", f'umask 022; cat > /dev/null; id > "{self.out}/$(id -un)"')

    def send(self, *to: str, subject: str = "hello", body: str = "A line.\n") -> None:
        with self.smtp() as client:
            client.sendmail("eve@other.test", list(to), text_message(subject, body))

    def mbox(self, user: User) -> bytes:
        """What lies in a user's mailbox in the spool directory."""
        with contextlib.suppress(FileNotFoundError):
            return (self.spool / user.name).read_bytes()
        return b""

    def wait_for_mbox(self, user: User, text: str = "A line.") -> bytes:
        """Wait until a mailbox holds a text."""
        wait_until(lambda: text.encode() in self.mbox(user), lambda: f"{text} for {user.name}\n{self.trouble()}", 15)
        return self.mbox(user)

    def wait_for_file(self, path: Path, seconds: float = 15) -> str:
        """Wait for a file that is not empty."""
        wait_until(lambda: path.exists() and path.stat().st_size, lambda: f"{path}\n{self.trouble()}", seconds)
        return path.read_text()

    def wait_for_refusal(self, text: str) -> dict[str, object]:
        """Wait for a failed attempt whose reply holds a text."""
        found: list[dict[str, object]] = []

        def there() -> bool:
            found[:] = [event for event in self.events("attempt") if text in str(event.get("reply", ""))]
            return bool(found)

        wait_until(there, lambda: f"no attempt says {text!r}\n{self.trouble()}", 15)
        return found[0]

    def trouble(self) -> str:
        return "\n".join(map(str, [*self.events("attempt")[-5:], self.log()[-3000:]]))


@pytest.fixture(scope="module")
def host() -> Iterator[UnixHost]:
    """One host for most tests: mbox in a spool directory of group mail, mode 2775."""
    if not ROOT:
        pytest.skip("needs root")
    with UnixHost(settings()) as running:
        yield running


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


# -- tricks


def _writable_by_all(ann: User, _: User) -> None:
    ann.put(".forward", "nobody@elsewhere.test\n", 0o666)


def _writable_by_the_group(ann: User, _: User) -> None:
    ann.put(".forward", "nobody@elsewhere.test\n", 0o664)


def _link_to_shadow(ann: User, _: User) -> None:
    (ann.home / ".forward").symlink_to("/etc/shadow")


def _hard_link(ann: User, bob: User) -> None:
    os.link(bob.put("precious", "secret@elsewhere.test\n"), ann.home / ".forward")


def _two_names(ann: User, _: User) -> None:
    os.link(ann.put("other", "x@elsewhere.test\n"), ann.home / ".forward")


def _fifo(ann: User, _: User) -> None:
    os.mkfifo(ann.home / ".forward")
    os.chown(ann.home / ".forward", ann.uid, ann.gid)


def _directory(ann: User, _: User) -> None:
    (ann.home / ".forward").mkdir()
    os.chown(ann.home / ".forward", ann.uid, ann.gid)


def _anothers(ann: User, bob: User) -> None:
    os.chown(ann.put(".forward", f"|{ann.home}/x\n", 0o644), bob.uid, bob.uid)


def _home_open_to_all(ann: User, _: User) -> None:
    ann.put(".forward", "nobody@elsewhere.test\n")
    ann.home.chmod(0o777)


def _too_large(ann: User, _: User) -> None:
    ann.put(".forward", "# a long comment\n" * 20_000)


def _nonsense(ann: User, _: User) -> None:
    ann.put(".forward", 'one@two@three@ "\n')


TRICKS = [
    _writable_by_all, _writable_by_the_group, _link_to_shadow, _hard_link, _two_names, _fifo, _directory, _anothers,
    _home_open_to_all, _too_large, _nonsense,
]  # fmt: skip


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.__name__.strip("_"))
def test_mail_waits_while_a_forward_is_not_safe_and_comes_when_it_is_mended(host, person, trick):
    ann, bob = person(), person()
    trick(ann, bob)
    host.send(ann.address, subject=ann.name)
    wait_until(lambda: _refusals(host, ann), host.trouble, 15)
    assert all(".forward" in reply and reply.startswith("451 ") for reply in _refusals(host, ann)), _refusals(host, ann)
    assert host.mbox(ann) == b""
    subprocess.run(["rm", "-rf", str(ann.home / ".forward")], check=True)
    ann.home.chmod(0o755)
    host.wait_for_mbox(ann)


def _refusals(host: UnixHost, user: User) -> list[str]:
    return [
        str(event["reply"])
        for event in host.events("attempt")
        if event.get("recipient") == user.address and event["outcome"] == "deferred"
    ]


def test_the_forward_of_one_gets_nothing_done_with_the_rights_of_another(host, person):
    ann, bob = person(), person()
    program = host.whoami()
    bob.put("list", f'"|{program}"\n', 0o644)
    ann.put(".forward", f":include:{bob.home}/list\n")
    host.send(ann.address)
    wait_until(lambda: _refusals(host, ann), host.trouble, 15)
    assert "belongs to another user" in _refusals(host, ann)[0]
    assert not (host.out / ann.name).exists()
    assert not (host.out / bob.name).exists()


def test_a_forward_cannot_append_to_the_file_of_another(host, person):
    ann, bob = person(), person()
    theirs = bob.put("diary", "dear diary\n", 0o666)
    ann.put(".forward", f"{theirs}\n")
    host.send(ann.address)
    host.wait_for_refusal("it belongs to another user")
    assert theirs.read_text() == "dear diary\n"


def test_a_forward_swapped_all_the_while_gives_the_rights_of_nobody_else(host, person):
    ann, bob = person(), person()
    program = host.whoami()
    theirs = bob.put("precious", f'"|{program}"\n', 0o600)
    good = ann.put("good", f"\\{ann.name}\n")
    link = ann.home / "link"
    link.symlink_to(theirs)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for source in (good, link):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(ann.home / "next")
                if source is good:
                    ann.put("next", f"\\{ann.name}\n")
                else:
                    (ann.home / "next").symlink_to(theirs)
                os.replace(ann.home / "next", ann.home / ".forward")

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for number in range(30):
            host.send(ann.address, subject=f"swap {number}.")
    finally:
        stop.set()
        swapper.join()
    (ann.home / ".forward").unlink()
    wait_until(lambda: host.mbox(ann).count(b"\nSubject: swap") == 30, host.trouble)
    assert not (host.out / bob.name).exists()
    assert not (host.out / ann.name).exists()


def _link_to_another(path: Path, theirs: Path) -> None:
    path.symlink_to(theirs)


def _hard_link_to_another(path: Path, theirs: Path) -> None:
    os.link(theirs, path)


def _mailbox_fifo(path: Path, _: Path) -> None:
    os.mkfifo(path)


def _mailbox_directory(path: Path, _: Path) -> None:
    path.mkdir()


def _mailbox_of_another(path: Path, _: Path) -> None:
    path.touch()
    path.chmod(0o666)


@pytest.mark.parametrize(
    "trick",
    [_link_to_another, _hard_link_to_another, _mailbox_fifo, _mailbox_directory, _mailbox_of_another],
    ids=lambda trick: trick.__name__.strip("_"),
)
def test_a_mailbox_that_is_not_the_users_own_file_is_left_alone(host, person, trick):
    ann, bob = person(), person()
    theirs = host.spool / bob.name
    theirs.write_text("theirs\n")
    os.chown(theirs, bob.uid, MAIL)
    theirs.chmod(0o666)
    path = host.spool / ann.name
    trick(path, theirs)
    os.chown(path, bob.uid, -1, follow_symlinks=False)
    host.send(ann.address)
    wait_until(lambda: _refusals(host, ann), host.trouble, 15)
    assert _refusals(host, ann)[0].startswith("451 4.2.0 Mailbox is not safe to write to")
    assert theirs.read_text() == "theirs\n"
    subprocess.run(["rm", "-rf", str(path)], check=True)
    theirs.unlink()
    host.wait_for_mbox(ann)


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
        wait_until(lambda: "sleep 987654" not in _commands_of(ann.uid), lambda: _commands_of(ann.uid))
        (ann.home / ".forward").unlink()


def test_a_role_s_user_gets_no_agent_even_as_program_user():
    said = settings(aliases='who: "|{home}/whoami"\n', program_user="proxy")
    with UnixHost(said) as host:
        host.whoami()
        host.send(f"who@{DOMAIN}")
        host.wait_for_refusal("No mail is delivered with the rights of this user here")
        assert not list(host.out.iterdir())


# -- agents


def _processes_of(uid: int) -> dict[int, dict[str, str]]:
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, ValueError):
                lines = Path(f"/proc/{entry}/status").read_text().splitlines()
                facts = dict(line.split(":", 1) for line in lines if ":" in line)
                if int(facts["Uid"].split()[1]) == uid and "Z" not in facts["State"]:
                    found[int(entry)] = facts
    return found


def _commands_of(uid: int) -> str:
    found = []
    for pid in _processes_of(uid):
        with contextlib.suppress(OSError):
            found.append(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode())
    return "\n".join(found)


def test_an_agent_is_its_user_for_good_and_exec_keeps_three_capabilities(host, person):
    ann = person()
    host.send(ann.address)
    host.wait_for_mbox(ann)
    [(pid, facts)] = _processes_of(ann.uid).items()
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
        assert len(_processes_of(ann.uid)) == 1
        wait_until(lambda: not _processes_of(ann.uid), "the agent goes", 20)
        host.send(ann.address)
        wait_until(lambda: host.mbox(ann).count(b"A line.") == 2, host.trouble)
        began = time.monotonic()
        host.stop()
        assert time.monotonic() - began < 10
        assert not _processes_of(ann.uid)


def test_a_user_who_kills_the_agent_gets_the_mail_later(host, person):
    ann = person()
    lock = host.spool / f"{ann.name}.lock"
    lock.write_text("1:elsewhere")
    host.send(ann.address)
    wait_until(lambda: _processes_of(ann.uid), host.trouble)
    for pid in _processes_of(ann.uid):
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
