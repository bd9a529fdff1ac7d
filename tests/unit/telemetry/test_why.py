"""Reading the event log back: the story of a message, of an address, of a client."""

import os

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penfold.routing.base import Step
from penfold.telemetry import EventLog, eventlog, events, history
from penfold.telemetry.history import Budget, files, recent
from penfold.telemetry.metrics import Metrics
from penfold.telemetry.sentences import render_steps, tell
from penfold.telemetry.status import RoleStatus, Status, traffic
from penfold.telemetry.status import render as render_status
from penfold.telemetry.why import explain, kind_of, render

T = 1_700_000_000.0
ID = "A00000100001"
DSN = "A00000100002"


@pytest.fixture
def log(tmp_path):
    """Two processes write: receive takes the mail in, queue routes and delivers it."""
    moments = iter(range(int(T), int(T) + 1000))
    logs = {
        role: EventLog(str(tmp_path), role, pid=1, clock=lambda: float(next(moments)), file_size=600)
        for role in ("receive", "queue")
    }

    def write(role, *happened):
        for event in happened:
            logs[role].record(event)
            logs[role].flush()

    write(
        "receive",
        events.SessionOpened(at=T, session="s1", role="smtp", client="192.0.2.1"),
        events.RelayDenied(at=T + 1, session="s1", recipient="x@far.test", reply="550 5.7.1 no", client="192.0.2.1"),
        events.Accepted(
            at=T + 2,
            session="s1",
            id=ID,
            reverse_path="bob@far.test",
            recipients=("Ada@example.org", "c@example.org"),
            count=2,
            size=900,
            message_id="<m1@far.test>",
            protocol="ESMTP",
            client="192.0.2.1",
            helo="evil\x1b[2J",
        ),
        events.CommandRefused(at=T + 9, session="s1", command="VRFY", reply="502", client="192.0.2.1"),
        events.SessionClosed(at=T + 9, session="s1", reason="quit", client="192.0.2.1"),
        events.Accepted(
            at=T + 5, session="s9", id="A00000100009", reverse_path="", recipients=("z@example.org",), count=1, size=1
        ),
    )
    write(
        "queue",
        events.Expanded(
            at=T + 3,
            id=ID,
            number=1,
            recipient="Ada@example.org",
            recipients=("ada@inner.test",),
            via="aliases",
            steps=(Step("alias", "ada: ada@inner.test", "aliases:3"),),
        ),
        events.Routed(at=T + 3, id=ID, number=2, recipient="c@example.org", mailer="local", user="c"),
        events.Delivered(
            at=T + 4, id=ID, number=2, recipient="c@example.org", mailer="local", place="maildir:c", final=True
        ),
        events.Deferred(at=T + 4, id=ID, number=3, recipient="ada@inner.test", reply="451 4.4.1 down", due=T + 304),
        events.Bounced(at=T + 600, id=ID, number=3, recipient="ada@inner.test", reply="550 5.1.1 no", dsn=DSN),
        events.Finished(at=T + 601, id=ID),
    )
    for one in logs.values():
        one.close()
    return tmp_path


def texts(story):
    return [line.text for line in story.lines]


def test_a_queue_id_brings_the_story_of_the_message_in_order_over_all_files(log):
    assert len(files(str(log))) > 3
    explanation = explain(str(log), ID)
    (story,) = explanation.stories
    assert (explanation.kind, story.state, story.message_id) == ("queue-id", "done", "<m1@far.test>")
    told = texts(story)
    assert told[0] == "192.0.2.1 connected (smtp)"
    assert "may not send to <x@far.test>" in told[1]
    assert told[2].startswith("accepted by ESMTP from 192.0.2.1 calling itself evil\\x1b[2J")
    assert "<Ada@example.org> became <ada@inner.test> through aliases" in told
    assert "<c@example.org> is delivered into maildir:c" in told
    assert any("next attempt in 5 min" in text for text in told)
    assert f"the sender was told by message {DSN}" in told[-2]
    assert not any("VRFY" in text for text in told)
    assert story.lines[3].details == ("alias: ada: ada@inner.test (aliases:3)",)


@pytest.mark.parametrize(
    "question", ["<m1@far.test>", "m1@far.test", "ada@EXAMPLE.org", "bob@far.test", "192.0.2.1", DSN]
)
def test_a_message_is_found_by_all_its_names(log, question):
    assert [story.id for story in explain(str(log), question).stories] == [ID]


def test_what_was_refused_at_the_door_is_told_too(log):
    explanation = explain(str(log), "x@far.test")
    assert explanation.stories == ()
    assert "may not send to <x@far.test>" in explanation.refused[0].text
    assert "Refused at the door" in render(explanation)


def test_an_unknown_question_says_so_and_hostile_ones_are_harmless(log):
    assert "Nothing is known of nobody@nowhere.test" in render(explain(str(log), "nobody@nowhere.test"))
    assert "\x1b" not in render(explain(str(log), "\x1b[2J"))
    assert explain(str(log), ".*").stories == ()
    assert explain(str(log / "none"), ID).stories == ()


def test_the_text_has_a_line_a_sentence_with_its_time(log):
    text = render(explain(str(log), ID))
    assert text.startswith(f"Message {ID} <m1@far.test>: done\n  2023-11-14T22:13:20.000Z  192.0.2.1 connected")
    assert "\n      - alias: ada: ada@inner.test (aliases:3)\n" in text
    assert "\x1b" not in text


def test_an_explanation_is_json(log):
    plain = msgspec.json.decode(msgspec.json.encode(explain(str(log), ID)))
    assert plain["stories"][0]["events"][2]["kind"] == "accepted"


def test_a_search_stops_at_its_budget_and_says_so(log):
    explanation = explain(str(log), ID, budget=Budget(events=3))
    assert explanation.incomplete
    assert "stopped early" in render(explanation)


def test_torn_and_foreign_lines_are_skipped_and_counted(log):
    path = log / eventlog.file_name(T + 5000, "queue-2")
    path.write_bytes(
        b'{"kind":"finished","at":1.0,"id":"%s"\n\xff\xfe\n{"kind":"new","at":1,"id":"%s"}\n' % ((ID.encode(),) * 2)
    )
    (log / eventlog.file_name(T + 6000, "queue-3")).write_bytes(b"")
    (log / "notes.txt").write_bytes(ID.encode())
    (log / "99999999T999999.000000-x.jsonl").write_bytes(b"\n")
    explanation = explain(str(log), ID)
    assert explanation.stories[0].state == "done"
    assert explanation.damaged >= 2


def test_the_last_events_are_merged_by_time(log):
    found = recent(str(log), 5)
    assert [event.at for event in found] == sorted(event.at for event in found)
    assert isinstance(found[-1], events.Finished)
    assert len(found) == 5
    assert len(recent(str(log))) == 12


def test_questions_are_told_apart():
    assert kind_of("2001:db8::1") == "client"
    assert kind_of("A00000100001") == "queue-id"
    assert kind_of("ada@example.org") == "address"


@given(st.binary(max_size=300))
def test_any_octets_in_a_file_end_without_an_error(data):
    for line in data.splitlines():
        history.decoded(line)


KINDS = msgspec.inspect.type_info(events.AnyEvent).types


@pytest.mark.parametrize("kind", [info.cls for info in KINDS])
def test_every_kind_is_told_in_a_sentence_whatever_strangers_said(kind):
    hostile = "\x1b\n\u202e\ud800"
    values = {"str": hostile, "int": 3, "float": 2.0, "bool": True}
    given = {}
    for field in msgspec.structs.fields(kind):
        name = getattr(field.type, "__name__", "")
        given[field.name] = values.get(name, (Step("r", hostile, hostile),) if field.name == "steps" else (hostile,))
    told = tell(kind(**given))
    assert told
    assert told.isprintable()
    assert "something of the kind" not in told
    line = eventlog.encode(kind(**given))
    assert type(msgspec.json.decode(line, type=events.AnyEvent)) is kind


def test_an_unknown_thing_is_told_too_and_steps_are_sentences():
    assert tell(3) == "something of the kind int happened"
    assert render_steps([Step("alias", "to bob", "aliases:3"), Step("mailbox", "bob")]) == [
        "alias: to bob (aliases:3)",
        "mailbox: bob",
    ]


def test_a_status_shows_roles_queue_traffic_and_a_full_disk():
    metrics = Metrics()
    metrics.add("penfold_sessions_total", "smtp", amount=7)
    metrics.add("penfold_delivered_total", "local", amount=2)
    status = Status(
        hostname="mx.test",
        version="0.1.0",
        at=T + 7200,
        started=T,
        roles=(RoleStatus("receive", 7, T, restarts=1, memory=9 << 20),),
        listeners=("smtp 127.0.0.1:25",),
        queue={"ready": 1, "deferred": 2},
        traffic=traffic(metrics),
        disk_free=1 << 20,
        disk_reserve=2 << 20,
        trouble=("segment 3 is damaged\x1b",),
    )
    text = render_status(status)
    for words in (
        "up 2 h",
        "receive",
        "restarted 1 times",
        "9 MiB",
        "1 ready, 2 deferred",
        "7 (0 open)",
        "LOW",
        "\\x1b",
    ):
        assert words in text
    assert msgspec.json.decode(msgspec.json.encode(status), type=Status) == status
    assert os.linesep in text


def test_a_damaged_count_of_recipients_costs_no_memory(tmp_path):
    accepted = events.Accepted(
        at=T, session="s", id=ID, reverse_path="", recipients=("a@b.c",), count=10**18, size=1, message_id="<m@x>"
    )
    delivered = events.Delivered(at=T + 1, id=ID, number=0, recipient="a@b.c", place="x")
    (tmp_path / eventlog.file_name(T, "queue-1")).write_bytes(eventlog.encode(accepted) + eventlog.encode(delivered))
    (story,) = explain(str(tmp_path), ID).stories
    assert story.state == "waiting"
