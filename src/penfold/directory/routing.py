"""The router with its tables at hand: decides at once where all tables answer from memory, else asks to be awaited."""

from penfold.directory.answers import RecordedAnswers, Tables, decide
from penfold.model.soon import Soon
from penfold.routing.base import Decision, Question, Router


class Routing:
    """Answers routing questions for one generation of the configuration."""

    def __init__(self, router: Router, tables: Tables) -> None:
        self.router = router
        self.tables = tables

    def resolve(self, question: Question, answers: RecordedAnswers | None = None) -> Soon[Decision]:
        """Decide; ``answers`` (of ``tables.answers()``) afterwards holds every answer used, for ``why`` and replay."""
        known = self.tables.answers() if answers is None else answers
        decision = self.router.resolve(question, known)
        if isinstance(decision, Decision):
            return decision
        return decide(self.router, question, self.tables, known)
