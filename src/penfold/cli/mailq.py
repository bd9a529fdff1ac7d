"""``mailq``: the queue, for everybody. It is ``sendmail -bp`` and takes all of sendmail's options."""

from penfold.cli.sendmail import main as sendmail


def main() -> int:
    """Run ``mailq``; returns the exit code (sysexits)."""
    return sendmail(name="mailq")


if __name__ == "__main__":
    raise SystemExit(main())
