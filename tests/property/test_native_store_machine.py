"""The native store does what the model does, also with compactions, checkpoints and kills in between."""

from hypothesis import settings
from hypothesis.stateful import rule
from hypothesis.stateful import run_state_machine_as_test as run_machine
from tests.property.test_store_machine import Machine
from tests.stores import ADA


class NativeMachine(Machine):
    driver = "native"

    @property
    def writer(self):
        return self.house.store._writer

    @rule()
    def compact(self) -> None:
        assert self.writer.compact(ADA)

    @rule()
    def checkpoint(self) -> None:
        self.writer.checkpoint()

    @rule()
    def kill(self) -> None:
        self.sessions.clear()
        self.writer.drop()
        self.house.opened = self.house.runner.run(self.house.driver.open(self.house.given))


def test_the_native_store_does_what_the_model_does_while_it_tidies_up():
    run_machine(NativeMachine, settings=settings(max_examples=40, stateful_step_count=40, deadline=None))
