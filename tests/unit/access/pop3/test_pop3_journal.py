"""What the event log hears of POP3 sessions: one line each, and who came in or did not."""

from tests.pop3_material import LOGIN, ONE, TWO, Talk

from penfold.access.pop3 import Journal
from penfold.net.link import Closing
from penfold.telemetry import events
from penfold.telemetry.events import Remembered
from penfold.telemetry.log import line_of
from penfold.telemetry.metrics import COUNTED
from penfold.telemetry.sentences import tell


def journalled(talk):
    recorder = Remembered()
    object.__setattr__(talk.house.office, "log", Journal(recorder, talk.house.clock))
    return recorder


def test_a_session_leaves_one_line_that_says_what_it_was():
    with Talk(ONE, TWO) as talk:
        recorder = journalled(talk)
        talk.login()
        talk.say("RETR 1", "TOP 2 0", "FOO bar", "DELE 1")
        talk.house.now += 2
        talk.say("QUIT")
        talk.session.closed(Closing.OURS)
        (ended,) = (event for event in recorder.events if isinstance(event, events.Pop3Closed))
        assert line_of(ended) == (
            "pop3 session=Ap000001 reason=quit client=192.0.2.1 user=alice held=2 retrieved=1 tops=1 "
            f"octets={len(ONE)} transmitted=0 removed=1 left=1 refused=1 seconds=2.000"
        )
        assert tell(ended) == "the POP3 session of alice ended (quit): 1 of 2 messages sent, 1 removed in 2.0 s"
        assert events.Pop3Closed in COUNTED
        assert [type(event).__name__ for event in recorder.events] == [
            *("SessionOpened", "LoggedIn", "CommandRefused", "Pop3Closed"),
        ]
        assert recorder.events[0].role == "pop3"
        assert (recorder.events[1].user, recorder.events[1].mechanism) == ("alice", "USER")
        assert (recorder.events[2].command, recorder.events[2].line) == ("FOO", "FOO bar")


def test_a_refused_log_in_is_recorded_without_its_password():
    with Talk(ONE) as talk:
        recorder = journalled(talk)
        talk.connect("USER alice", "PASS hunter2")
        talk.hang_up()
        (refused,) = (event for event in recorder.events if isinstance(event, events.LoginRefused))
        assert (refused.user, refused.mechanism) == ("alice", "USER")
        assert refused.reply == "-ERR [AUTH] Authentication failed"
        assert "hunter2" not in repr(recorder.events)
        assert recorder.events[-1].reason == "the peer closed it"
        assert "192.0.2.1 ended" in tell(recorder.events[-1])


def test_an_error_of_ours_is_trouble(monkeypatch):
    with Talk(ONE) as talk:
        recorder = journalled(talk)

        async def fail(_):
            raise RuntimeError("broken")

        monkeypatch.setattr(talk.store, "tree", fail)
        assert "-ERR [SYS/TEMP]" in talk.connect(*LOGIN)
        assert "RuntimeError: broken" in [event.detail for event in recorder.events if hasattr(event, "detail")]
