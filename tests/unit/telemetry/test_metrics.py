"""Metrics: a closed table of values over all processes, and its Prometheus text."""

import os
import re

import pytest

from penfold.telemetry import events
from penfold.telemetry.metrics import CATALOGUE, COUNTED, Layout, Metric, Metrics


def test_values_of_all_rows_are_added_up():
    metrics = Metrics(rows=3)
    for row in range(3):
        metrics.take_row(row)
        metrics.add("penfold_delivered_total", "local", amount=row + 1)
    assert metrics.total("penfold_delivered_total", "local") == 6
    assert 'penfold_delivered_total{mailer="local"} 6\n' in metrics.exposition()


def test_a_forked_worker_adds_to_the_same_table():
    metrics = Metrics(rows=2)
    child = os.fork()
    if child == 0:
        metrics.take_row(1)
        metrics.add("penfold_relay_denied_total")
        os._exit(0)
    os.waitpid(child, 0)
    assert metrics.total("penfold_relay_denied_total") == 1


def test_a_successor_keeps_the_counters_of_a_row_and_drops_its_gauges():
    metrics = Metrics()
    metrics.take_row(0)
    metrics.add("penfold_sessions_open", amount=4)
    metrics.add("penfold_deferred_total")
    metrics.set("penfold_queue_recipients", "ready", to=9)
    metrics.take_row(0)
    assert metrics.total("penfold_sessions_open") == 0
    assert metrics.total("penfold_queue_recipients", "ready") == 0
    assert metrics.total("penfold_deferred_total") == 1
    with pytest.raises(IndexError):
        metrics.take_row(1)


def test_a_label_outside_its_set_counts_as_other_so_that_strangers_make_no_series():
    metrics = Metrics()
    before = len(metrics.exposition().splitlines())
    for number in range(100):
        metrics.add("penfold_sessions_total", f"evil{number}")
    assert metrics.total("penfold_sessions_total", "other") == 100
    assert len(metrics.exposition().splitlines()) == before
    with pytest.raises(KeyError):
        metrics.add("penfold_no_such_total")


def test_a_histogram_is_cumulative_and_ends_in_its_count():
    layout = Layout((Metric("h", "histogram", "H.", (("k", ("a",)),), (1.0, 2.5)),))
    metrics = Metrics(1, layout)
    for amount in (0.5, 1.0, 2.0, 99.0):
        metrics.observe("h", "a", amount=amount)
    lines = [line for line in metrics.exposition().splitlines() if 'k="a"' in line]
    assert lines == [
        'h_bucket{k="a",le="1"} 2',
        'h_bucket{k="a",le="2.5"} 3',
        'h_bucket{k="a",le="+Inf"} 4',
        'h_sum{k="a"} 102.5',
        'h_count{k="a"} 4',
    ]


def test_every_line_of_the_text_is_well_formed_and_every_metric_described():
    line = re.compile(r'[a-z_]+(\{[a-z]+="[^"\\]*"(,[a-z]+="[^"\\]*")*\})? [0-9.e+-]+|# (HELP|TYPE) [a-z_]+ .+')
    assert all(line.fullmatch(text) for text in Metrics().exposition().splitlines())
    for metric in CATALOGUE:
        assert metric.help.endswith(".")
        assert (metric.kind == "counter") == metric.name.endswith("_total")


@pytest.mark.parametrize(
    ("event", "name", "labels", "total"),
    [
        (events.SessionOpened(at=1.0, role="smtp", client=""), "penfold_sessions_open", (), 1),
        (events.SessionClosed(at=1.0, reason="quit", seconds=3.0), "penfold_sessions_open", (), -1),
        (events.LoggedIn(at=1.0, user="a", mechanism="PLAIN"), "penfold_logins_total", ("granted",), 1),
        (events.LoginRefused(at=1.0, reply="535", mechanism="x"), "penfold_logins_total", ("refused",), 1),
        (events.RecipientRefused(at=1.0, recipient="", reply="450 x"), "penfold_recipients_refused_total", ("4yz",), 1),
        (
            events.Attempt(at=1.0, number=1, mailer="smtp", outcome="failed"),
            "penfold_attempts_total",
            ("smtp", "failed"),
            1,
        ),
        (events.Bounced(at=1.0, number=1, recipient="", reply="5", dsn="B"), "penfold_bounced_total", ("yes",), 1),
        (events.RoleEnded(at=1.0, role="local", pid=1, expected=False), "penfold_role_deaths_total", ("local",), 1),
        (events.RoleEnded(at=1.0, role="local", pid=1), "penfold_role_deaths_total", ("local",), 0),
        (events.Reloaded(at=1.0, ok=False), "penfold_reloads_total", ("refused",), 1),
    ],
)
def test_events_are_counted_as_they_pass(event, name, labels, total):
    metrics = Metrics()
    metrics.record(event)
    metrics.flush()
    assert metrics.total(name, *labels) == total


def test_every_kind_that_is_counted_can_be_counted():
    metrics = Metrics()
    values = {int: 1, float: 1.0, str: "x", bool: True}
    for kind in COUNTED:
        given = {
            name: values.get(kind.__annotations__.get(name, str), ()) for name in kind.__struct_fields__ if name != "at"
        }
        metrics.record(kind(at=1.0, **given))
    assert sum("} 1" in line or " 1" in line for line in metrics.exposition().splitlines()) > 15
