"""Every test of this room that needs a loop runs on both."""

import asyncio

import pytest

from penfold.net.loop import run


@pytest.fixture(params=["uvloop", "asyncio"])
def on_loop(request):
    """Run a coroutine to its end on a fresh loop, within five seconds."""

    def runner(main):
        async def bounded():
            async with asyncio.timeout(5):
                return await main

        return run(bounded(), request.param)

    return runner
