"""The event log, log lines and metrics: what happened and why."""

from penfold.telemetry.eventlog import Batch, EventLog, sweep
from penfold.telemetry.events import AnyEvent, Recorder, Remembered, Unrecorded
from penfold.telemetry.log import Everyone, LogLines
from penfold.telemetry.metrics import Metrics
from penfold.telemetry.sentences import render_steps, tell

__all__ = [
    "AnyEvent",
    "Batch",
    "EventLog",
    "Everyone",
    "LogLines",
    "Metrics",
    "Recorder",
    "Remembered",
    "Unrecorded",
    "render_steps",
    "sweep",
    "tell",
]
