"""SMTP in, durable in the queue, sent on to a sink: Postfix beside Penfold. Needs root.

The sink is Postfix's ``smtp-sink`` for both, its CPU counted for neither. Both are told to send everything to it
without a name lookup; connections are reused as each of them does by itself.
"""

from bench.pairs import compare, run, show
from bench.record import keep
from bench.rig import LoadClient, Work, need_root, scratch
from bench.scenario import main
from bench.servers import Penfold, Postfix, Server, Sink

WORKS = (
    Work("4 KB, one message a session", 3000, 4096, 1),
    Work("4 KB, 100 messages a session", 4000, 4096, 100),
)
WARM_UP = Work("warm-up", 300, 4096, 1)
DOMAIN = "elsewhere.example"
MUST = "Must: three times Postfix's rate. Goal: five times, at a fifth of its CPU."


def scenario() -> None:
    """Measure both works."""
    need_root()
    with scratch() as place:
        client = LoadClient(place, DOMAIN)
        sink = Sink(place)
        theirs, ours = Postfix(place, smart_host=sink.port), Penfold(place, smart_host=sink.port)

        def delivered(server: Server) -> int:
            del server  # only one of them is at work
            return sink.taken()

        try:
            for server in (theirs, ours):
                run(client, server, WARM_UP, delivered)
            found = [compare(client, theirs, ours, work, delivered) for work in WORKS]
        finally:
            for each in (theirs, ours, sink):
                each.stop()
    text = f"20 sessions at once in, one next hop. CPU: milliseconds per message.\n\n{show(found)}\n\n{MUST}"
    keep("relay", "Relay", text, {"results": [each.facts() for each in found]})


if __name__ == "__main__":
    main(scenario)
