"""``python -m bench.torture --kills N``: kill processes of a mail host N times under load, and account for all mail.

Exits 1 when an acknowledged message was lost, one was garbled, or a repetition has no explanation. The account goes to
standard output, with the seed that chose the victims and the moments.
"""

import argparse
import sys

from tests.system.torture import torture


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=500, metavar="N", help="how many processes to kill (%(default)s)")
    parser.add_argument("--seed", type=int, metavar="S", help="choose as an earlier run did")
    args = parser.parse_args()
    report = torture(args.kills, seed=args.seed, tell=lambda line: print(line, file=sys.stderr, flush=True))
    print(report)
    bad = report.lost, report.delivered.garbled, report.strangers, report.unexplained
    for name, found in zip(("lost", "garbled", "never sent", "repeated without reason"), bad, strict=True):
        for each in found:
            print(f"{name}: {each}")
    return 1 if any(bad) else 0


if __name__ == "__main__":
    sys.exit(main())
