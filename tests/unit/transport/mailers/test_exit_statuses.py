"""What exit statuses mean."""

import pytest

from penfold.model import Deferred, Delivered, Failed
from penfold.transport.mailers.exits import outcome_of


@pytest.mark.parametrize(
    ("status", "kind", "enhanced"),
    [
        (64, Failed, "5.3.0"),
        (65, Failed, "5.6.0"),
        (67, Failed, "5.1.1"),
        (68, Failed, "5.1.2"),
        (69, Failed, "5.3.0"),
        (71, Deferred, "4.3.0"),
        (73, Failed, "5.2.0"),
        (74, Deferred, "4.3.0"),
        (75, Deferred, "4.3.0"),
        (77, Failed, "5.7.1"),
        (78, Failed, "5.3.5"),
        (1, Failed, "5.3.0"),
        (99, Failed, "5.3.0"),
        (100, Failed, "5.3.0"),
        (111, Failed, "5.3.0"),
        (-9, Deferred, "4.3.0"),
    ],
)
def test_each_status_has_its_outcome(status, kind, enhanced):
    outcome = outcome_of(status, b"")
    assert isinstance(outcome, kind)
    assert outcome.reply.status == enhanced
    assert str(abs(status)) in outcome.reply.text or status in range(64, 79)


def test_success_is_final():
    outcome = outcome_of(0, b"noise")
    assert isinstance(outcome, Delivered)
    assert outcome.final


def test_the_words_of_the_program_are_in_the_reply():
    assert "The program said: no room" in outcome_of(69, b"no room\n\x1b[2Jx\n").reply.lines
    assert "\x1b" not in outcome_of(69, b"no room\n\x1b[2Jx\n").reply.text


def test_a_program_chooses_its_status_within_the_class_of_its_exit():
    assert outcome_of(69, b"5.2.2 Mailbox full\n").reply.status == "5.2.2"
    assert outcome_of(75, b"5.2.2 Mailbox full\n").reply.status == "4.3.0"
