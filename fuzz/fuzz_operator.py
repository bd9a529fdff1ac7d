"""Requests at the operator's desk: whatever a local program writes to the socket, one answer, and nothing done."""

import json
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from penfold.model import Address, Envelope, Origin, QueueId
from penfold.net.link import Link
from penfold.queue.admin import Selection
from penfold.service import requests
from penfold.service.control import ControlSession, Say

_ENVELOPE = Envelope(Address("ada", "example.test"), 0.0, 1, Origin("ESMTP"))
_requests: msgspec.json.Decoder[requests.AnyRequest] = msgspec.json.Decoder(requests.AnyRequest)

SEEDS: list[bytes] = [
    b'{"do":"list","limit":3,"selection":{"recipient":"*@example.test"}}\n',
    b'{"do":"ping"}\n{"do":"delete"}',
    b'{"do":"delete","selection":{"ids":["A1"],"sender":"[a-z]*"}}\n',
    b'{"do":"edit","id":"A1","addresses":["x@y.z"],"number":2}\n',
    b'{"do":"why","question":"\\u001b[2J","most":99999999999999999999}\n',
    b"[" * 3000,
]
TOKENS = (b'"do":"show"', b'"route"', b'"selection":{', b'"ids":[', b"[[", b"{{", b"1e999", b"\\ud800", b"null", b"[!")


class Desk:
    """Reads as the real one does, and does nothing."""

    def read(self, line: bytes) -> msgspec.Struct:
        return _requests.decode(line)

    def public(self, request: msgspec.Struct) -> bool:
        return isinstance(request, requests.PUBLIC)

    async def do(self, request: msgspec.Struct, who: str, say: Say) -> object:
        selection = getattr(request, "selection", None)
        if isinstance(selection, Selection):
            selection.takes_message(QueueId("A00000100001"), _ENVELOPE, 0.0)
        await say(msgspec.to_builtins(request))
        return who


def target(data: bytes) -> None:
    """Write the octets to the desk, as its owner and as anybody, at once and in pieces."""
    for uid, step in ((0, max(len(data), 1)), (1, 100)):
        said = _answers(data, uid, step)
        assert said
        assert {"done", "error"} & set(said[-1])
        assert not any({"done", "error"} & set(line) for line in said[:-1] if "do" not in line)


def _answers(data: bytes, uid: int, step: int) -> list[dict[str, object]]:
    written = bytearray()
    link = SimpleNamespace(
        now=lambda: 0.0, deadline=lambda _: None, write=written.extend, close=lambda: None, congested=False,
        closing=False, credentials=SimpleNamespace(uid=uid),
    )  # fmt: skip
    session = ControlSession(Desk(), _run, operators=frozenset({0}), everything=True)
    session.connected(cast("Link", link))
    for at in range(0, len(data), step):
        session.received(memoryview(data[at : at + step]))
    session.eof()
    return [json.loads(line) for line in bytes(written).splitlines()]


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits for something")
