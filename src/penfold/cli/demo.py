"""Run a whole mail host on loopback, to try everything.

It has accounts, sample mail, an alias, a .forward, a virtual domain and a program, on ports of your own, as any user
(started by root, it becomes another). It prints what there is and what to try, then the line "ready", then a line for
everything that happens. Ctrl-C ends it. Mail for other hosts waits in the queue: the demo talks to nobody outside.
"""

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--data", metavar="DIR", default="", help="where to live; kept (else a directory that goes)")
    parser.add_argument(
        "--base-port",
        metavar="N",
        type=int,
        default=2500,
        help="LMTP is at N+24, SMTP N+25, submissions (TLS) N+65, submission N+87 (%(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Run it."""
    from penfold.service.demo.run import run as run_demo

    return run_demo(args.data, args.base_port)
