"""What ``penfold status`` shows: processes, queue, traffic and disk as one value, and its text."""

import msgspec

from penfold.telemetry.escape import visible
from penfold.telemetry.metrics import Metrics


class RoleStatus(msgspec.Struct, frozen=True):
    """One process: ``since`` in POSIX seconds, ``memory`` in octets (PSS, 0 where unknown), restarts so far."""

    role: str
    pid: int
    since: float
    state: str = "running"
    restarts: int = 0
    memory: int = 0


class Traffic(msgspec.Struct, frozen=True):
    """Counts since the supervisor began."""

    sessions: int = 0
    sessions_open: int = 0
    accepted: int = 0
    refused: int = 0
    delivered: int = 0
    deferred: int = 0
    bounced: int = 0


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Everything at one moment (``at``, POSIX seconds). ``queue`` is what ``Custody.depth`` says, ``oldest`` when
    its oldest message came (0 for none); sizes in octets.
    """

    hostname: str
    version: str
    at: float
    started: float
    roles: tuple[RoleStatus, ...] = ()
    listeners: tuple[str, ...] = ()
    queue: dict[str, int] = {}
    oldest: float = 0.0
    traffic: Traffic = Traffic()
    disk_free: int = 0
    disk_reserve: int = 0
    trouble: tuple[str, ...] = ()


def traffic(metrics: Metrics) -> Traffic:
    """Read the traffic counts from the metrics of all processes."""
    return Traffic(
        sessions=_all(metrics, "penfold_sessions_total"),
        sessions_open=_all(metrics, "penfold_sessions_open"),
        accepted=_all(metrics, "penfold_messages_accepted_total"),
        refused=_all(metrics, "penfold_messages_refused_total") + _all(metrics, "penfold_recipients_refused_total"),
        delivered=_all(metrics, "penfold_delivered_total"),
        deferred=_all(metrics, "penfold_deferred_total"),
        bounced=_all(metrics, "penfold_bounced_total"),
    )


def _all(metrics: Metrics, name: str) -> int:
    return int(sum(metrics.total(name, *labels) for labels in metrics.layout.metrics[name].series()))


def render(status: Status) -> str:
    """Write a status for people."""
    up = _span(status.at - status.started)
    lines = [f"{visible(status.hostname)}: Penfold {visible(status.version)}, up {up}"]
    lines += [f"  listening  {visible(place)}" for place in status.listeners]
    lines += [_role(role, status.at) for role in status.roles]
    lines.append("  queue      " + (", ".join(f"{n} {visible(name)}" for name, n in status.queue.items()) or "empty"))
    if status.oldest:
        lines.append(f"  oldest     {_span(status.at - status.oldest)}")
    t = status.traffic
    lines.append(f"  sessions   {t.sessions} ({t.sessions_open} open)")
    lines.append(f"  messages   {t.accepted} accepted, {t.refused} refused")
    lines.append(f"  recipients {t.delivered} delivered, {t.deferred} deferred, {t.bounced} bounced")
    low = "  LOW: new mail is refused" if status.disk_free < status.disk_reserve else ""
    lines.append(f"  disk       {status.disk_free >> 20} MiB free{low}")
    lines += [f"  trouble    {visible(text)}" for text in status.trouble]
    return "\n".join(lines) + "\n"


def _role(role: RoleStatus, at: float) -> str:
    memory = f", {role.memory >> 20} MiB" if role.memory else ""
    again = f", restarted {role.restarts} times" if role.restarts else ""
    name = f"{visible(role.role):<10}"
    return f"  {name} {visible(role.state)} for {_span(at - role.since)}, process {role.pid}{memory}{again}"


def _span(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
