"""Lanes: how much goes to each destination at once, which destinations are down, whose turn it is.

A lane is a destination as its mailer names it. Its *window* is the number of jobs that may be under way there. The
window learns: a job that reached the destination widens it by 1/window (a whole window of successes by one), one that
did not narrows it by one. A lane is *dead* when a job failed to connect and nothing speaks for the destination: it has
not answered since it was last dead, nothing else is under way, or a window's worth of jobs failed in a row. A dead lane
is left alone until its back-off ends; then one job probes it. All lanes of a mailer take turns, and share its total.

Pure; memory is bounded: lanes with mail are bounded by the recipients claimed, remembered ones by ``MEMORY``.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from penfold.model import Reply
from penfold.transport.dispatch.parcel import Parcel

MEMORY = 10_000  # lanes without mail whose back-off or window is remembered: about 400 octets each


@dataclass(frozen=True, slots=True, kw_only=True)
class LanePolicy:
    """How a mailer wants its jobs.

    ``initial`` and ``most`` bound a lane's window (jobs under way); ``per_call`` the jobs handed over in one call;
    ``calls`` the calls under way in a lane (0: as many as the window allows); ``total`` the jobs under way over all
    lanes of the mailer; ``recipients`` those of one job; ``share`` the claimed recipients one lane may hold;
    ``learns`` whether failures change the window and make the lane dead.
    """

    initial: int = 5
    most: int = 20
    per_call: int = 20
    calls: int = 0
    total: int = 200
    recipients: int = 50
    share: int = 500
    learns: bool = True


SMTP = LanePolicy()
BATCH = LanePolicy(
    initial=400, most=400, per_call=200, calls=2, total=400, recipients=100, share=1500, learns=False
)  # local mailboxes: big calls, two under way, what comes meanwhile makes the next call
PROGRAMS = LanePolicy(initial=5, most=5, per_call=5, total=20, recipients=1, share=250, learns=False)

POLICIES: Mapping[str, LanePolicy] = {
    "local": BATCH,
    "unix": BATCH,
    "file": BATCH,
    "error": BATCH,
    "discard": BATCH,
    "pipe": PROGRAMS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BackOff:
    """How long a dead destination is left alone: ``first`` seconds, doubled each time, up to ``most``."""

    first: float = 60.0
    most: float = 3600.0

    def after(self, failures: int) -> float:
        """Tell the seconds after so many failures in a row (from 1)."""
        return min(self.most, self.first * 2.0 ** min(failures - 1, 30))


@dataclass(slots=True)
class _Group:
    """The lanes of one mailer that may go on, in turn, and the jobs under way."""

    policy: LanePolicy
    ready: "deque[Lane]" = field(default_factory=deque)
    running: int = 0


class Lane:
    """One destination."""

    __slots__ = (
        "backlog",
        "calls",
        "cohort",
        "dead_until",
        "failures",
        "group",
        "holds",
        "mailer",
        "name",
        "proven",
        "queued",
        "reply",
        "running",
        "slow",
        "window",
    )

    def __init__(self, name: str, mailer: str, group: _Group) -> None:
        self.name = name
        self.mailer = mailer
        self.group = group
        self.window = float(group.policy.initial)
        self.backlog: deque[Parcel] = deque()
        self.holds = 0  # recipients waiting here or under way
        self.running = 0  # jobs under way
        self.calls = 0
        self.failures = 0  # times dead in a row
        self.cohort = 0.0  # share of a window that failed since the last success
        self.proven = False
        self.dead_until = 0.0
        self.reply: Reply | None = None
        self.queued = False
        self.slow = False  # once its mail waited too long, until it is empty: it gets its share and no more

    def room(self) -> int:
        """Tell how many jobs may start. A wide window waits for a quarter of it, so that calls stay worth making."""
        policy = self.group.policy
        if policy.calls and self.calls >= policy.calls:
            return 0
        room = int(self.window) - self.running
        return room if room >= min(int(self.window) // 4, len(self.backlog)) else 0

    def idle(self) -> bool:
        """Tell whether there is nothing to do here."""
        return not (self.backlog or self.running or self.calls)

    def worth_remembering(self) -> bool:
        """Tell whether a new lane of this name would behave otherwise."""
        return self.failures > 0 or int(self.window) != self.group.policy.initial


class Lanes:
    """All lanes."""

    def __init__(
        self, policies: Mapping[str, LanePolicy] = POLICIES, back_off: BackOff | None = None, patience: float = 2.0
    ) -> None:
        """``patience``: seconds the head of an overfull lane may wait before the lane counts as slow."""
        self._policies = policies
        self._back_off = back_off or BackOff()
        self._patience = patience
        self._groups: dict[str, _Group] = {}
        self._lanes: dict[str, Lane] = {}
        self._remembered: OrderedDict[str, Lane] = OrderedDict()
        self._slow: set[Lane] = set()
        self.closed: set[str] = set()

    def __len__(self) -> int:
        return len(self._lanes) + len(self._remembered)

    def policy(self, mailer: str) -> LanePolicy:
        """Tell how a mailer wants its jobs; unknown ones are treated like SMTP."""
        return self._policies.get(mailer, SMTP)

    def dead(self, name: str, now: float) -> Lane | None:
        """Give the lane if it is to be left alone now (see its ``dead_until`` and ``reply``)."""
        lane = self._lanes.get(name) or self._remembered.get(name)
        return lane if lane is not None and lane.dead_until > now else None

    def push(self, name: str, mailer: str, parcel: Parcel) -> bool:
        """Let a parcel wait in its lane; False when that lane is full and slow: the queue shall keep the parcel."""
        lane = self._lanes.get(name) or self._recall(name, mailer)
        if lane.holds >= lane.group.policy.share and self._is_slow(lane, parcel.since):
            return False
        lane.backlog.append(parcel)
        lane.holds += parcel.left
        if lane.holds >= lane.group.policy.share:
            self.closed.add(name)
        self._enqueue(lane)
        return True

    def take(self) -> Iterator[tuple[Lane, list[Parcel]]]:
        """Give the calls to make now, lane by lane in turn; each counts as under way from here on."""
        for group in self._groups.values():
            ready = group.ready
            while ready and (spare := group.policy.total - group.running) > 0:
                lane = ready.popleft()
                lane.queued = False
                count = min(lane.room(), group.policy.per_call, spare, len(lane.backlog))
                if count <= 0:
                    continue
                parcels = [lane.backlog.popleft() for _ in range(count)]
                lane.running += count
                lane.calls += 1
                group.running += count
                self._enqueue(lane)
                yield lane, parcels

    def released(self, lane: Lane, recipients: int) -> None:
        """Count recipients as no longer in hand; a closed lane opens again at half its share."""
        lane.holds -= recipients
        if lane.name in self.closed and lane.holds * 2 <= lane.group.policy.share:
            self.closed.discard(lane.name)
        if lane.slow and not lane.holds:
            self._quicken(lane)

    def reached(self, lane: Lane) -> None:
        """Learn that a job reached the destination."""
        policy = lane.group.policy
        if not policy.learns:
            return
        if lane.proven:
            lane.window = min(lane.window + 1 / lane.window, policy.most)
        else:
            lane.proven = True
            lane.window = max(lane.window, policy.initial)
        lane.cohort = 0.0
        lane.failures = 0
        lane.dead_until = 0.0

    def missed(self, lane: Lane, reply: Reply, now: float, chance: float) -> list[Parcel]:
        """Learn that a job did not reach it; returns the parcels that need not try, if the lane died of it."""
        if not lane.group.policy.learns:
            return []
        lane.reply = reply
        lane.cohort += 1 / lane.window
        lane.window = max(1.0, lane.window - 1)
        if lane.dead_until > now or (lane.proven and lane.running > 1 and lane.cohort < 1):
            return []
        lane.failures += 1
        lane.cohort = 0.0
        lane.proven = False
        lane.window = 1.0
        lane.dead_until = now + self._back_off.after(lane.failures) * (0.9 + 0.2 * chance)
        doomed = list(lane.backlog)
        lane.backlog.clear()
        lane.holds -= sum(parcel.left for parcel in doomed)
        self.closed.discard(lane.name)
        return doomed

    def job_over(self, lane: Lane) -> None:
        """Count a job as over."""
        lane.running -= 1
        lane.group.running -= 1
        self._enqueue(lane)

    def call_over(self, lane: Lane) -> None:
        """Count a call as over."""
        lane.calls -= 1
        self._enqueue(lane)
        self._tidy(lane)

    def shed(self, now: float) -> list[tuple[Lane, Parcel]]:
        """Take from slow lanes what they hold beyond their share, newest first, so that others can be claimed."""
        out: list[tuple[Lane, Parcel]] = []
        for name in self.closed:
            lane = self._lanes[name]
            while lane.holds > lane.group.policy.share and lane.backlog and self._is_slow(lane, now):
                parcel = lane.backlog.pop()
                lane.holds -= parcel.left
                out.append((lane, parcel))
        return out

    def spare(self, room: int) -> int:
        """Tell how many recipients to claim at once, so that a slow lane that has just opened need not give back."""
        return min(
            [room, *(lane.group.policy.share - lane.holds for lane in self._slow if lane.name not in self.closed)]
        )

    def overfull(self) -> bool:
        """Tell whether some lane holds more than its share."""
        return any(self._lanes[name].holds > self._lanes[name].group.policy.share for name in self.closed)

    def drain(self) -> list[Parcel]:
        """Take all that waits, to give it back to the queue."""
        parcels: list[Parcel] = []
        for lane in self._lanes.values():
            parcels.extend(lane.backlog)
            lane.holds -= sum(parcel.left for parcel in lane.backlog)
            lane.backlog.clear()
        return parcels

    def _recall(self, name: str, mailer: str) -> Lane:
        lane = self._remembered.pop(name, None)
        if lane is None:
            group = self._groups.get(mailer)
            if group is None:
                group = self._groups[mailer] = _Group(self.policy(mailer))
            lane = Lane(name, mailer, group)
        self._lanes[name] = lane
        return lane

    def _tidy(self, lane: Lane) -> None:
        """Forget a lane that has nothing to do, or remember only what it learned."""
        if not lane.idle() or self._lanes.get(lane.name) is not lane:
            return
        del self._lanes[lane.name]
        self.closed.discard(lane.name)
        self._quicken(lane)
        if lane.worth_remembering():
            self._remembered[lane.name] = lane
            if len(self._remembered) > MEMORY:
                self._remembered.popitem(last=False)

    def _enqueue(self, lane: Lane) -> None:
        if lane.backlog and not lane.queued and lane.room() > 0:
            lane.queued = True
            lane.group.ready.append(lane)

    def _is_slow(self, lane: Lane, now: float) -> bool:
        if not lane.slow and lane.backlog and now - lane.backlog[0].since > self._patience:
            lane.slow = True
            self._slow.add(lane)
        return lane.slow

    def _quicken(self, lane: Lane) -> None:
        lane.slow = False
        self._slow.discard(lane)
