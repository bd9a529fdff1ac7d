"""``python -m bench.torture --kills N``: kill processes of a mail host N times under load, and account for all mail.

``--calls R`` goes on with R rounds of kills in the place of chosen system calls, at every row of the queue's table of
crash points (where strace may watch processes).

Exits 1 when an acknowledged message was lost, one was garbled, or a repetition has no explanation. The account goes to
standard output, with the seed that chose the victims and the moments.
"""

import argparse
import sys

from tests.system import calls
from tests.system.torture import torture


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=500, metavar="N", help="how many processes to kill (%(default)s)")
    parser.add_argument("--seed", type=int, metavar="S", help="choose as an earlier run did")
    parser.add_argument("--calls", type=int, default=0, metavar="R", help="rounds of kills at chosen calls")
    args = parser.parse_args()
    report = torture(args.kills, seed=args.seed, tell=lambda line: print(line, file=sys.stderr, flush=True))
    print(report)
    bad = report.lost, report.delivered.garbled, report.strangers, report.unexplained
    for name, found in zip(("lost", "garbled", "never sent", "repeated without reason"), bad, strict=True):
        for each in found:
            print(f"{name}: {each}")
    return 1 if any(bad) or not _calls(args.calls) else 0


def _calls(rounds: int) -> bool:
    """Kill at every chosen call so many times; tells whether all mail is accounted for."""
    if not rounds:
        return True
    if reason := calls.permitted():
        print(f"no kills at chosen calls: {reason}")
        return False
    with calls.Range() as field:
        try:
            for number in range(rounds):
                for point, when in calls.SHOTS:
                    field.shoot(point, when)
                    field.judge()
                print(f"round {number + 1}: {len(field.shots)} kills", file=sys.stderr, flush=True)
            field.bring_home()
            field.judge()
        except AssertionError as error:
            print(error)
            return False
        print(field)
    return True


if __name__ == "__main__":
    sys.exit(main())
