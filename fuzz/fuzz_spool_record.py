"""A queue segment of any octets: whole records or none, and never an error."""

from penfold.fs.record import GROUP, Scan, pack
from penfold.fs.recording import RecordingFileSystem
from penfold.queue.spool.record import Type

LOG = 0x1122334455667788
SEEDS: list[bytes] = [
    b"".join(pack(Type.MESSAGE, LOG, 1, [b"payload"], flags=GROUP)),
    b"".join(pack(Type.HEAD, LOG, 0, [b""], flags=GROUP) + pack(Type.MESSAGE, LOG, 1, [b"x" * 40])),
]


def target(data: bytes) -> None:
    """Scan it with and without knowing the log's id."""
    disk = RecordingFileSystem()
    file = disk.create("/log")
    file.append([data])
    for log_id in (None, LOG):
        scan = Scan(file, log_id=log_id)
        for record in scan:
            assert 0 <= record.offset < record.end <= len(data)
        assert scan.end <= len(data)
