"""A mailbox is rewritten whole, whatever happens on the way."""

import contextlib
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penfold.formats.rewriting import recover, rewrite
from penfold.fs.posix import PosixFileSystem

OLD = b"From a\n\none\n\nFrom b\n\ntwo\n\n"
MAIL = b"From m\n\nnew mail\n\n"


class Stopped(Exception):
    pass


class Stopping:
    """A file whose writes end after a number of octets; truncating counts one."""

    def __init__(self, file, allowed):
        self.file = file
        self.allowed = allowed

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write_at(self, offset, data):
        part = data[: self.allowed]
        self.file.write_at(offset, part)
        self.allowed -= len(part)
        if len(part) < len(data):
            raise Stopped

    def truncate(self, size):
        if self.allowed < 1:
            raise Stopped
        self.allowed -= 1
        self.file.truncate(size)


FS = PosixFileSystem()


def changed(old, places, size):
    text = bytearray(old.ljust(size, b"\0"))
    for place, octets in places:
        text[place : place + len(octets)] = octets
    return bytes(text[:size])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_rewrite_that_was_stopped_anywhere_is_completed_and_mail_appended_meanwhile_is_kept(tmp_path_factory, data):
    directory = tmp_path_factory.mktemp("box")
    path, recovery = str(directory / "box"), str(directory / "recovery")
    start = data.draw(st.integers(0, len(OLD)))
    new = data.draw(st.text("ABF\n", max_size=60).map(str.encode))
    places, size = [(start, new)], start + len(new)
    given_places = [(start, [new[:7], new[7:]])]
    mail = data.draw(st.sampled_from([b"", MAIL]))
    with open(path, "wb") as made:
        made.write(OLD)
    with contextlib.closing(FS.open(path, write=True)) as file:
        stopped = Stopping(file, data.draw(st.integers(0, 120)))
        with contextlib.suppress(Stopped):
            rewrite(FS, stopped, path, recovery, given_places, cut=True)
        file.append([mail])
        again = Stopping(file, data.draw(st.integers(0, 120)))
        with contextlib.suppress(Stopped):
            recover(FS, again, path, recovery)
        recover(FS, file, path, recovery)
    with open(path, "rb") as found:
        text = found.read()
    assert text == changed(OLD, places, size) + mail
    assert os.listdir(directory) == ["box"]


def test_patches_within_leave_the_rest(tmp_path):
    path = tmp_path / "box"
    path.write_bytes(OLD)
    with contextlib.closing(FS.open(str(path), write=True)) as file:
        rewrite(FS, file, str(path), str(tmp_path / "r"), [(5, [b"A"]), (18, [b"B"])], cut=False)
    assert path.read_bytes() == changed(OLD, [(5, b"A"), (18, b"B")], len(OLD))


def test_a_mailbox_that_is_another_by_now_is_left_alone(tmp_path):
    path, recovery = tmp_path / "box", tmp_path / "r"
    path.write_bytes(OLD)
    with contextlib.closing(FS.open(str(path), write=True)) as file, pytest.raises(Stopped):
        rewrite(FS, Stopping(file, 2), str(path), str(recovery), [(9, [b"XXXX"])], cut=False)
    path.write_bytes(b"something else")
    with contextlib.closing(FS.open(str(path), write=True)) as file:
        assert not recover(FS, file, str(path), str(recovery))
    assert path.read_bytes() == b"something else"
    assert sorted(os.listdir(tmp_path)) == ["box", "r.bad"]
