"""Landlock, where the kernel has it: tried in forked children, because it can't be undone."""

import os
import subprocess

import pytest

from penfold.service.confine import confine, supported
from penfold.service.privileges import seal

pytestmark = pytest.mark.skipif(not supported(), reason="this kernel has no Landlock")


def in_child(work):
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            seal()
            code = work()
        except OSError:
            code = 13
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_confined_process_writes_in_its_own_place_and_nowhere_else(tmp_path):
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    (other / "file").write_text("theirs")

    def work():
        assert confine([str(own)])
        (own / "a").write_text("x")
        (own / "a").rename(own / "b")
        for attempt in (
            lambda: (other / "new").write_text("x"),
            (other / "file").unlink,
            lambda: (other / "file").open("a"),
            lambda: (own / "b").rename(other / "b"),
        ):
            try:
                attempt()
            except OSError:
                continue
            return 1
        return 0 if (other / "file").read_text() == "theirs" else 2

    assert in_child(work) == 0
    assert (own / "b").exists()


@pytest.mark.parametrize(("execute", "code"), [(True, 0), (False, 7)])
def test_programs_run_only_where_that_is_the_role_s_work(execute, code):
    def work():
        confine([], execute=execute)
        try:
            return subprocess.run(["/bin/true"], check=False).returncode
        except PermissionError:
            return 7

    assert in_child(work) == code


def test_places_that_do_not_exist_are_left_out(tmp_path):
    assert in_child(lambda: 0 if confine([str(tmp_path / "missing")]) else 1) == 0
