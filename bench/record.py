"""Keeps what was measured: ``docs/measured/NAME.md`` for people, ``NAME.jsonl`` with every sitting for comparison."""

import json
import os
import platform
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.rig import ROOT

PLACE = ROOT / "docs" / "measured"


def machine() -> dict[str, str | int | float]:
    """Say what the figures were taken on."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "cores": os.cpu_count() or 0,
        "cpu": cpu[1] if cpu else platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def revision() -> str:
    """Name the version measured."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Render a table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def keep(name: str, title: str, text: str, facts: Mapping[str, object]) -> None:
    """Write the page, add a line to the history, and print the page."""
    PLACE.mkdir(parents=True, exist_ok=True)
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    about = machine()
    foot = (
        f"Measured {when}, revision {revision()}: {about['cores']} cores ({about['cpu']}), Linux {about['kernel']}, "
        f"Python {about['python']}, load average at the end {about['load']}. Method: [README](README.md). "
        f"Again: `python -m bench.{name}`."
    )
    page = f"# {title}\n\n{text}\n\n{foot}\n"
    (PLACE / f"{name}.md").write_text(page)
    line = {"at": when, "revision": revision(), "machine": about, **facts}
    with (PLACE / f"{name}.jsonl").open("a") as history:
        history.write(json.dumps(line) + "\n")
    print(page, flush=True)
