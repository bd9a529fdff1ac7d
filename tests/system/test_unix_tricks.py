"""The tricks that Unix users may try on whoever delivers their mail: links, FIFOs, swaps, files of others."""

import contextlib
import os
import subprocess
import threading
from pathlib import Path

import pytest
from tests.system.host import wait_until
from tests.system.unix_host import (
    MAIL,
    MARKS,
    User,
    host,
    person,
    refusals,
)

pytestmark = MARKS
__all__ = ("host", "person")  # fixtures


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
    wait_until(lambda: refusals(host, ann), host.trouble, 15)
    assert all(".forward" in reply and reply.startswith("451 ") for reply in refusals(host, ann)), refusals(host, ann)
    assert host.mbox(ann) == b""
    subprocess.run(["rm", "-rf", str(ann.home / ".forward")], check=True)
    ann.home.chmod(0o755)
    host.wait_for_mbox(ann)


def test_the_forward_of_one_gets_nothing_done_with_the_rights_of_another(host, person):
    ann, bob = person(), person()
    program = host.whoami()
    bob.put("list", f'"|{program}"\n', 0o644)
    ann.put(".forward", f":include:{bob.home}/list\n")
    host.send(ann.address)
    wait_until(lambda: refusals(host, ann), host.trouble, 15)
    assert "belongs to another user" in refusals(host, ann)[0]
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
    wait_until(lambda: refusals(host, ann), host.trouble, 15)
    assert refusals(host, ann)[0].startswith("451 4.2.0 Mailbox is not safe to write to")
    assert theirs.read_text() == "theirs\n"
    subprocess.run(["rm", "-rf", str(path)], check=True)
    theirs.unlink()
    host.wait_for_mbox(ann)
