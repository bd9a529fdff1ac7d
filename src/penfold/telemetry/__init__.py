"""The event log, log lines and metrics: what happened and why."""
