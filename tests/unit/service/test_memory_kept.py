"""What the processes keep of memory."""

import hashlib

from penfold.service.memory import clean_text, let_go_of_text

SMAPS = """\
7f0000000000-7f0000002000 r--p 00000000 08:01 10 /lib/one.so
Anonymous:             0 kB
7f0000002000-7f0000006000 r-xp 00002000 08:01 10 /lib/one.so
Rss:                  16 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
7f0000006000-7f0000007000 rw-p 00006000 08:01 10 /lib/one.so
Anonymous:             4 kB
7f0000010000-7f0000012000 r-xp 00000000 08:01 11 /lib/relocated.so
Anonymous:             4 kB
7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
7f0000020000-7f0000021000 r-xp 00000000 00:00 0
Anonymous:             0 kB
"""


def test_only_code_of_files_that_nobody_wrote_to_is_let_go():
    assert list(clean_text(SMAPS.splitlines())) == [(0x7F0000002000, 0x7F0000006000)]


def test_where_the_kernel_tells_nothing_nothing_is_done(tmp_path):
    assert let_go_of_text(str(tmp_path / "none")) == 0


def test_a_process_goes_on_when_its_code_was_let_go():
    before = hashlib.sha256(b"x" * 100_000).hexdigest()
    assert let_go_of_text() > 1_000_000
    assert hashlib.sha256(b"x" * 100_000).hexdigest() == before
