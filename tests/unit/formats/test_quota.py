from pathlib import Path

import pytest
from tests.mailbox_material import contents, message, wire

from penfold.formats import Mbox, Mh, Mmdf, Quota, Stored
from penfold.fs.posix import PosixFileSystem
from penfold.model import Permanent, Transient

FS = PosixFileSystem()


@pytest.mark.parametrize("kind", [Mbox, Mmdf, Mh])
def test_a_full_mailbox_is_452_and_keeps_what_it_has(tmp_path: Path, kind: type[Mbox] | type[Mmdf] | type[Mh]):
    box = kind(FS, str(tmp_path / "box"), quota=Quota(300))
    results = box.deliver([message(1), message(2), message(3)])
    refused = [result for result in results if not isinstance(result, Stored)]
    assert refused
    assert all(isinstance(result, Transient) and result.reply.code == 452 for result in refused)
    assert contents(box) == [wire(message(number)) for number in range(1, 4 - len(refused))]


@pytest.mark.parametrize("kind", [Mbox, Mmdf, Mh])
def test_a_message_larger_than_the_mailbox_is_552(tmp_path: Path, kind: type[Mbox] | type[Mmdf] | type[Mh]):
    large, small = kind(FS, str(tmp_path / "box"), quota=Quota(300)).deliver([message(1, b"x" * 400), message(2)])
    assert isinstance(large, Permanent)
    assert (large.reply.code, large.reply.status) == (552, "5.2.2")
    assert isinstance(small, Stored)


def test_mh_counts_messages_too(tmp_path: Path):
    box = Mh(FS, str(tmp_path / "box"), quota=Quota(0, 2, hard=True))
    results = [box.deliver([message(number)])[0] for number in range(3)]
    assert [isinstance(result, Stored) for result in results] == [True, True, False]
    assert isinstance(results[2], Permanent)


@pytest.mark.parametrize(
    ("quota", "text"), [(Quota(), ""), (Quota(5), "5S"), (Quota(0, 7), "7C"), (Quota(5, 7), "5S,7C")]
)
def test_a_quota_is_written_as_maildirsize_has_it(quota: Quota, text: str):
    assert str(quota) == text
