"""The event log: any octets in a file are skipped or told, and what strangers said stays harmless."""

import os
import tempfile

from penfold.telemetry import eventlog, events
from penfold.telemetry.history import recent
from penfold.telemetry.log import line_of
from penfold.telemetry.why import explain, render

SEEDS: list[bytes] = [
    eventlog.encode(events.Finished(at=1.0, id="A00000100001")),
    eventlog.encode(events.Delivered(at=1.0, id="A00000100001", number=1, recipient="a@b.c", place="\x1b")),
    eventlog.encode(
        events.Accepted(
            at=1e9,
            session="s",
            id="A00000100001",
            reverse_path="",
            recipients=("a@b.c",),
            count=1,
            size=1,
            message_id="<m@x>",
        )
    ),
    b'{"kind":"accepted","at":1e9,"session":"s","id":"A00000100001","reverse_path":"","recipients":["a@b.c"],'
    b'"count":100000000,"size":1,"message_id":"<m@x>"}\n{"kind":"delivered","at":1e9,"id":"A00000100001","number":0,'
    b'"recipient":"a@b.c"}\n',
]


def target(data: bytes) -> None:
    """Read the octets as a file of the log, and ask for what it may hold."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, eventlog.file_name(1e9, "queue-1"))
        with open(path, "wb") as file:
            file.write(data)
        for event in recent(directory):
            assert "\n" not in line_of(event)
        for question in ("A00000100001", "a@b.c", data[:60].decode("latin-1")):
            assert "\x1b" not in render(explain(directory, question))
