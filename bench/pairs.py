"""Two servers measured in turn, A B A B A B, and compared pair by pair.

Both run all the time (an idle one costs nothing), so that the two runs of a pair lie within seconds of each other: the
disk of a shared machine was seen to change its sync cost fivefold within minutes. The ratio quoted is the median of
the pairs' ratios.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from bench.record import table
from bench.rig import CannotMeasureError, LoadClient, Work
from bench.servers import Server

PAIRS = 3
PATIENCE = 20.0  # seconds without any delivery, after which a run is over


@dataclass(frozen=True, slots=True)
class Run:
    """What one run took."""

    server: str
    work: str
    messages: int
    rate: float  # messages a second, from the first connection to the last delivery
    accepted: float  # messages a second that the client saw accepted
    cpu: float  # seconds per 1000 messages, all processes of the server
    client_cpu: float  # seconds per 1000 messages
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """All runs of one work, theirs and ours in the order they ran."""

    work: Work
    theirs: list[Run]
    ours: list[Run]

    @property
    def faster(self) -> list[float]:
        """How many times our rate is theirs, pair by pair."""
        return [b.rate / a.rate for a, b in zip(self.theirs, self.ours, strict=True)]

    @property
    def cheaper(self) -> list[float]:
        """How many times their CPU is ours, pair by pair."""
        return [a.cpu / b.cpu for a, b in zip(self.theirs, self.ours, strict=True)]

    def facts(self) -> dict[str, object]:
        """Give what the history keeps."""
        return {
            "work": self.work.name,
            "rate_ratio": round(statistics.median(self.faster), 2),
            "cpu_ratio": round(statistics.median(self.cheaper), 2),
            "runs": [_rounded(run) for pair in zip(self.theirs, self.ours, strict=True) for run in pair],
        }


def _rounded(run: Run) -> dict[str, object]:
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in asdict(run).items()}


def compare(
    client: LoadClient, theirs: Server, ours: Server, work: Work, delivered: Callable[[Server], int], pairs: int = PAIRS
) -> Comparison:
    """Measure the pairs. Raises CannotMeasureError when mail was refused or did not arrive."""
    found = Comparison(work, [], [])
    for _ in range(pairs):
        found.theirs.append(run(client, theirs, work, delivered))
        found.ours.append(run(client, ours, work, delivered))
    return found


def run(client: LoadClient, server: Server, work: Work, delivered: Callable[[Server], int]) -> Run:
    """Measure once."""
    before, cpu, began = delivered(server), server.family.cpu(), time.monotonic()
    sent = client.run(server.port, work)
    if sent.failed:
        raise CannotMeasureError(f"{server.name} refused {sent.failed} messages")
    seconds = _wait(lambda: delivered(server) - before, work.messages, began, server.name)
    thousands = work.messages / 1000
    return Run(
        server.name,
        work.name,
        work.messages,
        work.messages / seconds,
        work.messages / sent.seconds,
        (server.family.cpu() - cpu) / thousands,
        sent.client_cpu / thousands,
        sent.p50_ms,
        sent.p99_ms,
    )


def _wait(arrived: Callable[[], int], wanted: int, began: float, name: str) -> float:
    last, moved = 0, time.monotonic()
    while (now := arrived()) < wanted:
        if now != last:
            last, moved = now, time.monotonic()
        elif time.monotonic() - moved > PATIENCE:
            raise CannotMeasureError(f"{name} delivered {now} of {wanted} messages and then nothing")
        time.sleep(0.02)
    return time.monotonic() - began


HEADS = ("work", "Postfix/s", "Penfold/s", "times as fast", "Postfix CPU ms", "Penfold CPU ms", "times as cheap")


def show(comparisons: list[Comparison]) -> str:
    """Render the comparisons: medians, and the ratio of each pair."""
    return table(HEADS, [_row(each) for each in comparisons])


def _row(each: Comparison) -> list[str]:
    def median(runs: list[Run], what: str) -> float:
        return statistics.median(getattr(run, what) for run in runs)

    return [
        each.work.name,
        f"{median(each.theirs, 'rate'):.0f}",
        f"{median(each.ours, 'rate'):.0f}",
        f"**{statistics.median(each.faster):.1f}** ({_list(each.faster)})",
        f"{median(each.theirs, 'cpu'):.2f}",
        f"{median(each.ours, 'cpu'):.2f}",
        f"**{statistics.median(each.cheaper):.1f}** ({_list(each.cheaper)})",
    ]


def _list(ratios: list[float]) -> str:
    return ", ".join(f"{ratio:.1f}" for ratio in ratios)
