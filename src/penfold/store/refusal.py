"""A change that cannot be made, on its way from where that is found out to where it is answered."""

from penfold.store.result import Problem, Refused


class Refusal(Exception):
    """Nothing was done; ``refused`` is the answer."""

    def __init__(self, problem: Problem, text: str) -> None:
        super().__init__(text)
        self.refused = Refused(problem, text)
