"""Every bench, one after another, each in a process of its own; the pages lie in ``docs/measured/`` afterwards.

Takes under ten minutes on two cores. What cannot be measured here is named, with what it needs, and the rest goes on.
"""

import subprocess
import sys
import time

SCENARIOS = ("smtp_maildir", "relay", "idle", "memory", "queue_million")
LONGEST = 400.0  # seconds for one


def main() -> int:
    """Run all; gives how many could not be measured."""
    missing = 0
    for name in SCENARIOS:
        began = time.monotonic()
        print(f"== {name}", flush=True)
        try:
            code = subprocess.run([sys.executable, "-m", f"bench.{name}"], timeout=LONGEST, check=False).returncode
        except subprocess.TimeoutExpired:
            print(f"bench: {name} took longer than {LONGEST:.0f} s and was ended", file=sys.stderr)
            code = 1
        missing += code != 0
        print(f"== {name}: {time.monotonic() - began:.0f} s\n", flush=True)
    return missing


if __name__ == "__main__":
    sys.exit(main())
