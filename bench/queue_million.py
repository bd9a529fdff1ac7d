"""The queue with a million deferred messages: accept rate, restart to the first claim, memory, what lies on disk.

    python -m bench.queue_million [--messages 1000000] [--directory DIR]

"Must": accept rate within 20 % of an empty queue's; restart to first claim under 5 s; memory under 100 MB.
"""

import argparse
import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time

from bench.record import keep
from bench.rig import CannotMeasureError
from bench.scenario import main

from penfold.model import Address, Envelope, Origin, Recipient, Reply
from penfold.queue.base import Done, Later
from penfold.queue.spool.spool import Spool, open_spool

ORIGIN = Origin("ESMTP", "192.0.2.1", 4711, "client.example", "", "s-1", "")
BUSY = Reply.of(451, "4.4.1", "No answer from mx.example.net")
LANES = 5000
GROUP = 100


def memory() -> float:
    """Resident memory in MB."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def put(spool: Spool, body: bytes) -> None:
    writer = spool.queue.begin()
    writer.write(body)
    number = random.randrange(LANES)
    recipient = Recipient(Address("somebody", f"example{number}.test"))
    envelope = Envelope(Address("sender", "example.net"), time.time(), 0, ORIGIN, message_id="<1@example.net>")
    await spool.queue.accept(envelope, (recipient,), writer)


async def accept_rate(spool: Spool, count: int) -> str:
    """The median of three: messages a second, and CPU, of 4 KB messages in groups."""
    runs = sorted([await accept_once(spool, count) for _ in range(3)])
    rate, cpu = runs[1]
    return f"accept {rate:.0f}/s ({', '.join(f'{each:.0f}' for each, _ in runs)}), {cpu * 1e6:.0f} µs CPU"


async def accept_once(spool: Spool, count: int) -> tuple[float, float]:
    """Messages a second, and CPU seconds each; finished at once so that the depth stays."""
    body = b"x" * 4000
    begun, used = time.perf_counter(), time.process_time()
    for _ in range(count // GROUP):
        await asyncio.gather(*(put(spool, body) for _ in range(GROUP)))
    rate, cpu = count / (time.perf_counter() - begun), (time.process_time() - used) / count
    left = count
    while left:
        claims = await spool.custody.claim(time.time(), 1000, closed={f"smtp:{n}" for n in range(LANES)})
        await spool.custody.settle([Done(claim.id, each.number) for claim in claims for each in claim.pending])
        left -= len(claims)
    await spool.custody.flush()
    return rate, cpu


async def fill(spool: Spool, count: int) -> None:
    body = b"y" * 400
    for _ in range(count // 1000):
        await asyncio.gather(*(put(spool, body) for _ in range(1000)))
        now = time.time()
        claims = await spool.custody.claim(now, 1000)
        await spool.custody.settle(
            [
                Later(c.id, 0, now + random.uniform(900, 14400), f"smtp:{random.randrange(LANES)}", 1, BUSY)
                for c in claims
            ]
        )
    await spool.custody.flush()


def tree(root: str) -> str:
    names = {name: os.listdir(f"{root}/{name}") for name in ("intake", "carry", "body")}
    size = sum(os.path.getsize(f"{root}/intake/{name}") for name in names["intake"])
    files = ", ".join(f"{name} {len(each)}" for name, each in names.items())
    return f"files: {files}; segments {size / 1e6:.0f} MB, queue.db {os.path.getsize(f'{root}/queue.db') / 1e6:.0f} MB"


async def build(root: str, messages: int, rate_of: int) -> None:
    spool = open_spool(root)
    print(f"empty: {await accept_rate(spool, rate_of)}, memory {memory():.0f} MB", flush=True)
    begun = time.perf_counter()
    await fill(spool, messages)
    took = time.perf_counter() - begun
    print(f"filled with {messages} in {took:.0f} s ({messages / took:.0f}/s), memory {memory():.0f} MB", flush=True)
    print(f"full: {await accept_rate(spool, rate_of)}, memory {memory():.0f} MB", flush=True)
    print(tree(root), spool.custody.depth(), flush=True)
    os._exit(0)  # as kill -9 would


async def restart(root: str) -> None:
    begun = time.perf_counter()
    spool = open_spool(root)
    claims = await spool.custody.claim(time.time() + 7200, 100)
    took = time.perf_counter() - begun
    for claim in claims:
        spool.bodies.open(claim.body).read()
    print(f"restart to {len(claims)} claims: {took:.2f} s, memory {memory():.0f} MB, {spool.custody.depth()}")
    await spool.close()


def measure(messages: int, directory: str | None) -> None:
    """Build, kill, restart; prints a line a step."""
    with tempfile.TemporaryDirectory(dir=directory) as place:
        root = f"{place}/spool"
        if (child := os.fork()) == 0:
            asyncio.run(build(root, messages, 10_000))
        os.waitpid(child, 0)
        asyncio.run(restart(root))


MUST = """\
Must: the accept rate of a full queue within 20 % of an empty one's; restart to the first claim under 5 s; under 100 MB;
no directory of a million files."""


def scenario(messages: int, directory: str | None) -> None:
    """Measure in a process of its own, so that the memory told is the queue's, and keep what it says."""
    argv = [sys.executable, "-m", "bench.queue_million", "--measure", "--messages", str(messages)]
    argv += ["--directory", directory] if directory else []
    began = time.monotonic()
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise CannotMeasureError("the queue with a million messages failed")
    lines = done.stdout.splitlines()
    steps = "\n".join(f"- {line}" for line in lines)
    text = f"{messages:,} deferred messages for {LANES:,} destinations.\n\n{steps}\n\n{MUST}"
    seconds = round(time.monotonic() - began)
    keep("queue_million", "A million queued messages", text, {"messages": messages, "said": lines, "seconds": seconds})


def command() -> None:
    """Be the command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--directory")
    parser.add_argument("--measure", action="store_true", help="print only, keep nothing")
    said = parser.parse_args()
    if said.measure:
        measure(said.messages, said.directory)
    else:
        main(lambda: scenario(said.messages, said.directory))


if __name__ == "__main__":
    command()
