"""SMTP in, durable in the queue, delivered into Maildirs: Postfix beside Penfold. Needs root.

Both deliver to 100 virtual mailboxes and make each message durable before "250" and again in its mailbox before the
queue forgets it. Penfold runs with its event log, relay rule and guard as shipped.
"""

from bench.family import Family
from bench.pairs import compare, run, show
from bench.record import keep
from bench.rig import LoadClient, Work, need_root, scratch
from bench.scenario import main
from bench.servers import Penfold, Postfix

WORKS = (
    Work("4 KB, one message a session", 3000, 4096, 1),
    Work("4 KB, 100 messages a session", 4000, 4096, 100),
    Work("100 KB, one message a session", 600, 102_400, 1),
)
WARM_UP = Work("warm-up", 300, 4096, 1)
MUST = """\
Must: twice the rate at half the CPU with one message a session, 1.5 times the rate with 100, 1.2 times with 100 KB.
Goal: three times the rate at a third of the CPU."""


def scenario() -> None:
    """Measure all works."""
    need_root()
    with scratch() as place:
        client = LoadClient(place)
        theirs, ours = Postfix(place), Penfold(place)
        try:
            for server in (theirs, ours):
                run(client, server, WARM_UP, lambda each: each.delivered())
            found = [compare(client, theirs, ours, work, lambda each: each.delivered()) for work in WORKS]
            roles = ", ".join(f"{name} ({len(pids)})" for name, pids in ours.roles().items())
            memory = _memory(theirs.family), _memory(ours.family)
        finally:
            theirs.stop()
            ours.stop()
    text = (
        f"20 sessions at once, 100 mailboxes, end to end. CPU: milliseconds per message over all processes of a side. "
        f"Roles of Penfold: {roles}.\n\n{show(found)}\n\n{MUST}\n\n"
        f"Memory after the runs, all processes (PSS): Postfix {memory[0]:.0f} MB, Penfold {memory[1]:.0f} MB."
    )
    facts = {"results": [each.facts() for each in found], "pss_mb": [round(each, 1) for each in memory]}
    keep("smtp_maildir", "SMTP to Maildir", text, facts)


def _memory(family: Family) -> float:
    return sum(family.pss().values()) / 1e6


if __name__ == "__main__":
    main(scenario)
