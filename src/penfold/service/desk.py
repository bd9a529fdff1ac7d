"""Carries the operator's requests out: a handler a request, every order recorded with who gave it.

Trust: whoever asks was checked by ``service.control``; what they say is decoded by ``service.requests``.
Durability: an order is durable in the queue when it is answered.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from penfold.directory.aliases import read_aliases
from penfold.directory.routing import Routing
from penfold.model import Address, QueueId, Recipient, Route, parse_address
from penfold.queue.admin import QueueAdmin, Selection
from penfold.routing.rules import RouterSettings
from penfold.routing.transport import parse_transport
from penfold.service import requests as ask
from penfold.service.control import EX_UNAVAILABLE, RefusedError, Say
from penfold.telemetry import events, why
from penfold.telemetry.status import Status
from penfold.transport.dispatch.explain import explain

_decoder: msgspec.json.Decoder[ask.AnyRequest] = msgspec.json.Decoder(ask.AnyRequest)
_ROUTES = frozenset({"smtp", "lmtp", "discard"})
_NOWHERE = Address("", "invalid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """What the desk works with: the queue, the router, the logs, and how things are."""

    admin: QueueAdmin
    routing: Routing
    settings: RouterSettings
    postmaster: Address | None
    recorder: events.Recorder
    clock: Callable[[], float]
    events: str
    aliases: tuple[str, ...]
    status: Callable[[], Awaitable[Status]]
    nudge: Callable[[], None]  # look into the maildrop


class OperatorDesk:
    """The desk."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def read(self, line: bytes) -> msgspec.Struct:
        """Understand a request."""
        return _decoder.decode(line)

    def public(self, request: msgspec.Struct) -> bool:
        """Tell whether anybody may ask this."""
        return isinstance(request, ask.PUBLIC)

    async def do(self, request: msgspec.Struct, who: str, say: Say) -> object:
        """Carry a request out."""
        order = self._ORDERS.get(type(request))
        if order is None:
            return await self._ANSWERS[type(request)](self, request, say)
        count = await order(self, request)
        self._note(request, who, count)
        return {"recipients": count}

    def _note(self, request: msgspec.Struct, who: str, count: int) -> None:
        said = msgspec.to_builtins(request)
        action = said.pop("do")
        detail = f"{count} recipients: {msgspec.json.encode(said).decode()}"
        id_ = getattr(request, "id", "")
        office = self._office
        office.recorder.record(events.Operator(at=office.clock(), id=id_, action=action, by=who, detail=detail))
        for each in _named(request):
            office.recorder.record(events.Operator(at=office.clock(), id=each, action=action, by=who, detail=detail))

    # -- answers

    async def _ping(self, request: ask.Ping, say: Say) -> object:
        del request, say
        return "here"

    async def _list(self, request: ask.List, say: Say) -> object:
        admin, count = self._office.admin, 0
        if request.limit <= 0:
            async for line in admin.each(request.selection):
                count += 1
                await say(line)
            return {"listed": count, "more": False}
        found = await admin.select(request.selection, request.limit + 1)
        for line in found[: request.limit]:
            await say(line)
        return {"listed": min(len(found), request.limit), "more": len(found) > request.limit}

    async def _show(self, request: ask.Show, say: Say) -> object:
        shown = await self._office.admin.show(QueueId(request.id))
        if shown is None:
            raise RefusedError(f"there is no message {request.id} in the queue", EX_UNAVAILABLE)
        await say(shown)
        return {"listed": 1}

    async def _status(self, request: ask.Status, say: Say) -> object:
        del request
        await say(await self._office.status())
        return {"listed": 1}

    async def _why(self, request: ask.Why, say: Say) -> object:
        found = await asyncio.to_thread(why.explain, self._office.events, request.question, most=request.most)
        await say(found)
        return {"listed": len(found.stories)}

    async def _would(self, request: ask.Would, say: Say) -> object:
        sender = None if request.sender in {"", "<>"} else parse_address(request.sender)
        found = await explain(
            self._office.routing,
            Recipient(parse_address(request.recipient)),
            reverse_path=sender,
            user=request.user,
            postmaster=self._office.postmaster,
        )
        for stop in found.stops:
            await say(stop)
        return {"listed": len(found.stops), "more": found.cut}

    async def _aliases(self, request: ask.Aliases, say: Say) -> object:
        del request
        for path in self._office.aliases:
            names, longest, octets = await asyncio.to_thread(_alias_facts, path)
            await say({"file": path, "aliases": names, "longest": longest, "octets": octets})
        return {"listed": len(self._office.aliases)}

    # -- orders

    async def _hold(self, request: ask.Hold) -> int:
        return await self._office.admin.hold(request.selection)

    async def _release(self, request: ask.Release) -> int:
        return await self._office.admin.release(request.selection)

    async def _flush(self, request: ask.Flush) -> int:
        self._office.nudge()
        return await self._office.admin.flush(request.selection)

    async def _delete(self, request: ask.Delete) -> int:
        return await self._office.admin.delete(request.selection)

    async def _route(self, request: ask.Route) -> int:
        return await self._office.admin.reroute(request.selection, read_route(request.to, self._office.settings))

    async def _edit(self, request: ask.Edit) -> int:
        number = request.number if request.number >= 0 else await self._number(request)
        addresses = [parse_address(text) for text in request.addresses]
        if not all(address.domain for address in addresses):
            raise RefusedError("write whole addresses, with their domain")
        return await self._office.admin.edit(QueueId(request.id), number, addresses)

    async def _number(self, request: ask.Edit) -> int:
        shown = await self._office.admin.show(QueueId(request.id))
        wanted = request.recipient.lower()
        for line in () if shown is None else shown.recipients:
            if line.recipient.lower() == wanted and line.state in {"ready", "deferred", "held"}:
                return line.number
        raise RefusedError(f"{request.id} has no waiting recipient {request.recipient}", EX_UNAVAILABLE)

    _ANSWERS: ClassVar[dict[type, Callable[["OperatorDesk", Any, Say], Awaitable[object]]]] = {
        ask.Ping: _ping,
        ask.List: _list,
        ask.Show: _show,
        ask.Status: _status,
        ask.Why: _why,
        ask.Would: _would,
        ask.Aliases: _aliases,
    }
    _ORDERS: ClassVar[dict[type, Callable[["OperatorDesk", Any], Awaitable[int]]]] = {
        ask.Hold: _hold,
        ask.Release: _release,
        ask.Flush: _flush,
        ask.Delete: _delete,
        ask.Route: _route,
        ask.Edit: _edit,
    }


def _named(request: msgspec.Struct) -> Sequence[str]:
    """Give the queue ids an order names, so that ``why`` finds it in each message's story."""
    selection = getattr(request, "selection", None)
    return selection.ids[:100] if isinstance(selection, Selection) else ()


def read_route(text: str, settings: RouterSettings) -> Route | None:
    """Read an order's way out, written as in the transport table; empty is None. Raises RefusedError.

    SECURITY: no programs and no files: an order is about where mail goes, not about what runs.
    """
    if not text:
        return None
    mailer, _, host = text.partition(":")
    found = parse_transport(text, _NOWHERE, settings) if mailer in _ROUTES and (host or mailer == "discard") else None
    if not isinstance(found, Route):
        raise RefusedError(f"{text!r} is no way out: write smtp:HOST, smtp:[HOST]:PORT, lmtp:HOST:PORT or discard:")
    return Route(found.mailer, found.host, "")


def _alias_facts(path: str) -> tuple[int, int, int]:
    """Count as newaliases does: aliases, the longest in octets, octets in all. Raises ConfigError."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    known = read_aliases(text, path)
    sizes = [len(" ".join(map(str, getattr(answer, "values", ())))) for answer in known.values()]
    return len(known), max(sizes, default=0), sum(sizes)
