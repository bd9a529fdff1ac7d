"""The event log, log lines and metrics: what happened and why."""

from penfold.telemetry.eventlog import Batch, EventLog, sweep
from penfold.telemetry.events import AnyEvent, Recorder, Remembered, Unrecorded

__all__ = ["AnyEvent", "Batch", "EventLog", "Recorder", "Remembered", "Unrecorded", "sweep"]
