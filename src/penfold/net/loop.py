"""The event loop: uvloop where it can be imported, plain asyncio otherwise."""

import asyncio
import asyncio.sslproto
from collections.abc import Callable, Coroutine
from typing import Any, Literal, TypeVar

T = TypeVar("T")
Kind = Literal["auto", "uvloop", "asyncio"]

# PERF: asyncio gives every TLS connection a read buffer of 256 KiB; 32 KiB hold two full records.
_TLS_BUFFER = 32 * 1024


def factory(kind: Kind = "auto") -> Callable[[], asyncio.AbstractEventLoop]:
    """Choose a loop. Raises ImportError when uvloop is asked for by name and is not there."""
    if kind != "asyncio":
        try:
            import uvloop
        except ImportError:
            if kind == "uvloop":
                raise
        else:
            return uvloop.new_event_loop
    return _plain_loop


def run(main: Coroutine[Any, Any, T], kind: Kind = "auto") -> T:
    """Run ``main`` to its end on a fresh loop."""
    with asyncio.Runner(loop_factory=factory(kind)) as runner:
        return runner.run(main)


def _plain_loop() -> asyncio.AbstractEventLoop:
    protocol = getattr(asyncio.sslproto, "SSLProtocol", None)
    if isinstance(getattr(protocol, "max_size", None), int):
        protocol.max_size = _TLS_BUFFER  # type: ignore[union-attr]
    return asyncio.new_event_loop()
