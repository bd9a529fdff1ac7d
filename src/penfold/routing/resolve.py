r"""The router: ordered rules over recorded answers.

``Resolver.resolve`` makes one ``Walk`` a question. At stage ``dispatch`` one step is the decision; at stage ``rcpt`` an
expansion is followed to its ends, because what leads nowhere must be refused while the sender is still there.

What ``parents`` means: the addresses expanded on the way here. An address that is its own last parent is final (a list
that names its own name, or ``\user``): no alias, straight to the mailbox. Any other repetition is a loop.

Standards: RFC 5321 §3.6, §3.9, §4.5.1; RFC 5233
Trust: recipients come from anywhere; tables are administrators', lists and ``rights`` are users'.
"""

from penfold.model import Address
from penfold.routing.base import Answers, Decision, Need, Question
from penfold.routing.foreign import foreign
from penfold.routing.ours import ours
from penfold.routing.place import Ground
from penfold.routing.postmaster import postmaster
from penfold.routing.rules import RouterSettings
from penfold.routing.targets import include, loop, target
from penfold.routing.walk import Rule, Unanswered, Walk

RULES: tuple[Rule, ...] = (target, loop, include, foreign, ours)


class Resolver:
    """Routing by tables. Immutable: one a generation of the configuration; any thread may ask.

    PERF: a plain local recipient 7 µs, a foreign one 5.5 µs, tables in memory, reasons included.
    """

    def __init__(self, settings: RouterSettings) -> None:
        self.settings = settings
        self.ground = Ground(settings)

    def resolve(self, question: Question, answers: Answers) -> Decision | Need:
        """Decide, or name what must be looked up first. Pure; never raises for any recipient or answer."""
        walk = Walk(self.ground, answers, RULES, postmaster)
        try:
            result = walk.verify(question.recipient) if question.stage == "rcpt" else walk.step(question.recipient)
        except Unanswered as missing:
            return Need(missing.lookups)
        return Decision(result, tuple(walk.steps))

    def is_local(self, address: Address) -> bool:
        """Tell whether mail for the address ends here: a local or virtual domain, a literal of ours, or no domain."""
        return self.ground.is_local(address)
