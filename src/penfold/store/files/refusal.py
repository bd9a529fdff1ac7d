"""A change that cannot be made, on its way from where that is found out to where it is answered."""

from penfold.model import MailError
from penfold.store.result import Problem, Refused


class Refusal(Exception):
    """Nothing was done; ``refused`` is the answer."""

    def __init__(self, problem: Problem, text: str) -> None:
        super().__init__(text)
        self.refused = Refused(problem, text)


def refused(problem: OSError | MailError) -> Refused:
    """Answer for a disk, or for a lock that was not to be had."""
    if isinstance(problem, MailError):
        return Refused(Problem.UNAVAILABLE, problem.reply.text)
    if isinstance(problem, FileNotFoundError):
        return Refused(Problem.NONEXISTENT, "the mailbox is not there any more")
    return Refused(Problem.UNAVAILABLE, f"the mailbox cannot be changed: {problem.strerror or problem}")
