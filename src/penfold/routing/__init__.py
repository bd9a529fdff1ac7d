"""Where mail for an address goes: a pure function over recorded answers of tables."""

from penfold.routing.base import (
    Answer,
    Answers,
    Decision,
    Deliver,
    Expand,
    Found,
    Lookup,
    Missing,
    Need,
    NotNow,
    Question,
    Refuse,
    Router,
    SlowTable,
    Step,
    Table,
)
from penfold.routing.resolve import Resolver
from penfold.routing.rules import RouterSettings

__all__ = [
    "Answer",
    "Answers",
    "Decision",
    "Deliver",
    "Expand",
    "Found",
    "Lookup",
    "Missing",
    "Need",
    "NotNow",
    "Question",
    "Refuse",
    "Resolver",
    "Router",
    "RouterSettings",
    "SlowTable",
    "Step",
    "Table",
]
