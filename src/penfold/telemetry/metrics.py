"""Counters, gauges and histograms over all processes, and their Prometheus text.

All metrics and all their label values are known beforehand (CATALOGUE), so that cardinality is bounded by construction
and the values are a table of doubles: a row per worker, a column per series. The table lies in anonymous shared memory
that the supervisor makes before it forks: a worker adds to its own row without a lock and opens no file, whoever is
asked adds the columns up, and a worker that died leaves its counters to its successor.

Standards: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4)
"""

import mmap
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, Literal

import msgspec

from penfold.telemetry import events

OTHER = "other"

Key = tuple[str, tuple[str, ...]]


class Metric(msgspec.Struct, frozen=True):
    """One metric: its name, kind, meaning, labels with their closed sets of values, and a histogram's upper bounds."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[tuple[str, tuple[str, ...]], ...] = ()
    buckets: tuple[float, ...] = ()

    def series(self) -> Iterator[tuple[str, ...]]:
        """List the combinations of label values, each label with ``other`` for what is in no set."""
        return product(*((*values, OTHER) for _, values in self.labels))

    @property
    def width(self) -> int:
        """Columns that one series takes: a histogram has one a bucket, one for the rest and one for the sum."""
        return len(self.buckets) + 2 if self.kind == "histogram" else 1


_ROLE = ("role", ("smtp", "submission", "submissions", "lmtp", "local"))
_CLASS = ("class", ("4yz", "5yz"))
_MAILER = ("mailer", ("local", "unix", "smtp", "lmtp", "pipe", "file", "error", "discard"))
_OUTCOME = ("outcome", ("delivered", "deferred", "failed", "expanded"))
_PROCESS = ("role", ("supervisor", "receive", "queue", "send", "local", "access", "auth", "exec", "web"))
_SECONDS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 300.0)
_OCTETS = (1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 10485760.0, 52428800.0)

CATALOGUE: tuple[Metric, ...] = (
    Metric("penfold_sessions_total", "counter", "Sessions opened by clients.", (_ROLE,)),
    Metric("penfold_sessions_open", "gauge", "Sessions open now."),
    Metric("penfold_session_seconds", "histogram", "How long sessions lasted.", (), _SECONDS),
    Metric("penfold_logins_total", "counter", "Log-ins tried.", (("result", ("granted", "refused")),)),
    Metric("penfold_commands_refused_total", "counter", "Commands that got a negative reply.", (_CLASS,)),
    Metric("penfold_recipients_refused_total", "counter", "Recipients refused at the door.", (_CLASS,)),
    Metric("penfold_relay_denied_total", "counter", "Recipients refused because strangers may not relay."),
    Metric(
        "penfold_policy_total",
        "counter",
        "Decisions of the guard's rules.",
        (("verdict", ("accept", "refuse", "defer", "tag", "score")),),
    ),
    Metric("penfold_messages_refused_total", "counter", "Messages refused after their content was seen.", (_CLASS,)),
    Metric("penfold_messages_accepted_total", "counter", "Messages the queue took custody of."),
    Metric("penfold_message_octets", "histogram", "Sizes of accepted messages.", (), _OCTETS),
    Metric("penfold_attempts_total", "counter", "Delivery attempts by way out and outcome.", (_MAILER, _OUTCOME)),
    Metric("penfold_attempt_seconds", "histogram", "How long delivery attempts took.", (_MAILER,), _SECONDS),
    Metric("penfold_delivered_total", "counter", "Recipients delivered or handed on.", (_MAILER,)),
    Metric("penfold_expanded_total", "counter", "Recipients replaced by others (aliases, forwards)."),
    Metric("penfold_deferred_total", "counter", "Times a recipient was put off."),
    Metric("penfold_hosts_down_total", "counter", "Times a destination was found dead."),
    Metric("penfold_warnings_total", "counter", "Senders told of a delay."),
    Metric("penfold_bounced_total", "counter", "Recipients failed for good.", (("told", ("yes", "no")),)),
    Metric("penfold_messages_finished_total", "counter", "Messages that left the queue."),
    Metric("penfold_queue_messages", "gauge", "Messages in the queue."),
    Metric(
        "penfold_queue_recipients",
        "gauge",
        "Recipients in the queue by state.",
        (("state", ("ready", "active", "deferred", "held")),),
    ),
    Metric("penfold_operator_orders_total", "counter", "Orders given to the queue by people."),
    Metric("penfold_reloads_total", "counter", "Configurations read again.", (("result", ("used", "refused")),)),
    Metric("penfold_role_starts_total", "counter", "Processes started.", (_PROCESS,)),
    Metric("penfold_role_deaths_total", "counter", "Processes that ended unasked.", (_PROCESS,)),
    Metric("penfold_trouble_total", "counter", "Troubles an operator should look at."),
    Metric("penfold_events_lost_octets_total", "counter", "Octets of the event log that could not be written."),
)


class Layout:
    """Which column each series has."""

    def __init__(self, catalogue: tuple[Metric, ...] = CATALOGUE) -> None:
        self.catalogue = catalogue
        self.columns: dict[Key, int] = {}
        self.metrics = {metric.name: metric for metric in catalogue}
        self.width = 0
        for metric in catalogue:
            for labels in metric.series():
                self.columns[metric.name, labels] = self.width
                self.width += metric.width

    def column(self, name: str, *labels: str) -> int:
        """Find the column of a series; a label value outside its set counts as ``other``. KeyError for a wrong name."""
        found = self.columns.get((name, labels))
        if found is not None:
            return found
        sets = self.metrics[name].labels
        known = tuple(label if label in values else OTHER for label, (_, values) in zip(labels, sets, strict=True))
        return self.columns[name, known]


class Metrics:
    """The table of values. One process makes it before it forks; each worker then takes a row of its own.

    As a Recorder it counts what passes by (COUNTED says what).
    """

    def __init__(self, rows: int = 1, layout: Layout | None = None) -> None:
        self.layout = layout or Layout()
        self._columns = self.layout.columns
        self.rows = rows
        self._memory = mmap.mmap(-1, max(rows * self.layout.width * 8, 1))
        self._values = memoryview(self._memory).cast("B")[: rows * self.layout.width * 8].cast("d")
        self._base = 0

    def take_row(self, row: int) -> None:
        """Make ``row`` this process's own, with no gauges left from whoever had it before."""
        if not 0 <= row < self.rows:
            raise IndexError(f"there are {self.rows} rows")
        self._base = row * self.layout.width
        for metric in self.layout.catalogue:
            if metric.kind == "gauge":
                for labels in metric.series():
                    self._values[self._base + self.layout.columns[metric.name, labels]] = 0.0

    # PERF: 0.23 us of CPU a call; an Attempt event counted, 0.73 us.
    def add(self, name: str, *labels: str, amount: float = 1.0) -> None:
        """Add to a counter or a gauge."""
        column = self._columns.get((name, labels))
        if column is None:
            column = self.layout.column(name, *labels)
        self._values[self._base + column] += amount

    def set(self, name: str, *labels: str, to: float) -> None:
        """Set a gauge of this process."""
        self._values[self._base + self.layout.column(name, *labels)] = to

    def observe(self, name: str, *labels: str, amount: float) -> None:
        """Put a value into a histogram."""
        found = self._columns.get((name, labels))
        column = self._base + (self.layout.column(name, *labels) if found is None else found)
        buckets = self.layout.metrics[name].buckets
        self._values[column + bisect_left(buckets, amount)] += 1.0
        self._values[column + len(buckets) + 1] += amount

    def total(self, name: str, *labels: str) -> float:
        """Add a counter or gauge up over all processes."""
        return self._sum(self.layout.column(name, *labels))

    def _sum(self, column: int) -> float:
        return sum(self._values[row * self.layout.width + column] for row in range(self.rows))

    def events_lost(self, octets: int) -> None:
        """Count octets of the event log that could not be written (an EventLog's ``on_loss``)."""
        self.add("penfold_events_lost_octets_total", amount=float(octets))

    def record(self, event: events.AnyEvent) -> None:
        """Count what an event means."""
        counted = COUNTED.get(type(event))
        if counted is not None:
            counted(self, event)

    def flush(self) -> None:
        """Do nothing: values are shared at once."""

    def exposition(self) -> str:
        """Write all metrics in Prometheus text format."""
        return "".join(line for metric in self.layout.catalogue for line in self._metric(metric))

    def _metric(self, metric: Metric) -> Iterator[str]:
        yield f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.kind}\n"
        names = [name for name, _ in metric.labels]
        for values in metric.series():
            labels = [f'{name}="{label}"' for name, label in zip(names, values, strict=True)]
            column = self.layout.columns[metric.name, values]
            if metric.kind == "histogram":
                yield from self._histogram(metric, labels, column)
            else:
                yield f"{metric.name}{_braced(labels)} {_number(self._sum(column))}\n"

    def _histogram(self, metric: Metric, labels: list[str], column: int) -> Iterator[str]:
        count = 0.0
        for index, bound in enumerate((*metric.buckets, float("inf"))):
            count += self._sum(column + index)
            upper = "+Inf" if bound == float("inf") else _number(bound)
            le = f'le="{upper}"'
            yield f"{metric.name}_bucket{_braced([*labels, le])} {_number(count)}\n"
        yield f"{metric.name}_sum{_braced(labels)} {_number(self._sum(column + len(metric.buckets) + 1))}\n"
        yield f"{metric.name}_count{_braced(labels)} {_number(count)}\n"


def _braced(labels: list[str]) -> str:
    return "{" + ",".join(labels) + "}" if labels else ""


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _class(reply: str) -> str:
    return f"{reply[:1]}yz"


def _session_opened(metrics: Metrics, event: events.SessionOpened) -> None:
    metrics.add("penfold_sessions_total", event.role)
    metrics.add("penfold_sessions_open")


def _session_closed(metrics: Metrics, event: events.SessionClosed | events.Pop3Closed) -> None:
    metrics.add("penfold_sessions_open", amount=-1.0)
    metrics.observe("penfold_session_seconds", amount=event.seconds)


def _accepted(metrics: Metrics, event: events.Accepted) -> None:
    metrics.add("penfold_messages_accepted_total")
    metrics.observe("penfold_message_octets", amount=event.size)


def _attempt(metrics: Metrics, event: events.Attempt) -> None:
    metrics.add("penfold_attempts_total", event.mailer, event.outcome)
    metrics.observe("penfold_attempt_seconds", event.mailer, amount=event.seconds)


def _counts(name: str, *labels: Callable[[Any], str]) -> Callable[[Metrics, Any], None]:
    def count(metrics: Metrics, event: object) -> None:
        metrics.add(name, *(label(event) for label in labels))

    return count


def _refused_role(metrics: Metrics, event: events.RoleEnded) -> None:
    if not event.expected:
        metrics.add("penfold_role_deaths_total", event.role)


COUNTED: dict[type, Callable[[Metrics, Any], None]] = {
    events.SessionOpened: _session_opened,
    events.SessionClosed: _session_closed,
    events.Pop3Closed: _session_closed,
    events.LoggedIn: _counts("penfold_logins_total", lambda _: "granted"),
    events.LoginRefused: _counts("penfold_logins_total", lambda _: "refused"),
    events.CommandRefused: _counts("penfold_commands_refused_total", lambda event: _class(event.reply)),
    events.RecipientRefused: _counts("penfold_recipients_refused_total", lambda event: _class(event.reply)),
    events.RelayDenied: _counts("penfold_relay_denied_total"),
    events.Policy: _counts("penfold_policy_total", lambda event: event.verdict),
    events.MessageRefused: _counts("penfold_messages_refused_total", lambda event: _class(event.reply)),
    events.Accepted: _accepted,
    events.Expanded: _counts("penfold_expanded_total"),
    events.Attempt: _attempt,
    events.Delivered: _counts("penfold_delivered_total", lambda event: event.mailer),
    events.Deferred: _counts("penfold_deferred_total"),
    events.Warned: _counts("penfold_warnings_total"),
    events.Bounced: _counts("penfold_bounced_total", lambda event: "yes" if event.dsn else "no"),
    events.HostDown: _counts("penfold_hosts_down_total"),
    events.Finished: _counts("penfold_messages_finished_total"),
    events.Operator: _counts("penfold_operator_orders_total"),
    events.Reloaded: _counts("penfold_reloads_total", lambda event: "used" if event.ok else "refused"),
    events.RoleStarted: _counts("penfold_role_starts_total", lambda event: event.role),
    events.RoleEnded: _refused_role,
    events.Trouble: _counts("penfold_trouble_total"),
}
