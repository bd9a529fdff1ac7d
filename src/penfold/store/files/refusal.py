"""What is answered when a disk, or a lock, stands in the way of a change."""

from penfold.model import MailError
from penfold.store.result import Problem, Refused


def refused(problem: OSError | MailError) -> Refused:
    """Answer for a disk, or for a lock that was not to be had."""
    if isinstance(problem, MailError):
        return Refused(Problem.UNAVAILABLE, problem.reply.text)
    if isinstance(problem, FileNotFoundError):
        return Refused(Problem.NONEXISTENT, "the mailbox is not there any more")
    return Refused(Problem.UNAVAILABLE, f"the mailbox cannot be changed: {problem.strerror or problem}")
