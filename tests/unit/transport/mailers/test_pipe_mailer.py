"""The mailer that runs programs, with a spawner that only remembers."""

from tests.unit.transport.mailers.mail_in_hand import BOB, TEXT, RecordingSpawner, Shelf, deliver, job

from penfold.model import Address, Deferred, Delivered, Failed, Recipient, Reply, Route, Transient
from penfold.transport.mailers.pipe import PipeMailer, PipeSettings
from penfold.transport.mailers.spawn import Ended


def pipe(spawner, body=TEXT, **settings):
    return PipeMailer(Shelf(body), spawner, PipeSettings(**settings))


def test_the_program_gets_the_message_with_lf_and_the_fields_of_final_delivery():
    spawner = RecordingSpawner()
    (settlement,) = deliver(pipe(spawner), job(Route("pipe", "bob", "/bin/filter -x")))
    assert isinstance(settlement.outcome, Delivered)
    assert settlement.number == 7
    assert spawner.commands[0].arguments == ("/bin/filter", "-x")
    assert spawner.messages == [
        b"From ann@there.example Thu Jan  1 00:00:00 1970\n"
        b"Return-Path: <ann@there.example>\nDelivered-To: bob+lists@here.example\n"
        b"Subject: hi\n\nFrom me\n"
    ]


def test_the_environment_tells_the_envelope_and_nothing_of_ours():
    spawner = RecordingSpawner()
    deliver(pipe(spawner), job(Route("pipe", "bob", "x")))
    assert spawner.commands[0].environment == {
        "SENDER": "ann@there.example",
        "RECIPIENT": "bob+lists@here.example",
        "LOCAL": "bob+lists",
        "DOMAIN": "here.example",
        "EXTENSION": "lists",
        "ORIGINAL_RECIPIENT": "bob+lists@here.example",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "SHELL": "/bin/sh",
        "LANG": "C",
    }


def test_characters_that_mean_something_to_a_shell_never_reach_the_environment():
    spawner = RecordingSpawner()
    sender = Address("() { :;}; $(reboot)`x`", "there.example")
    deliver(pipe(spawner), job(Route("pipe", "bob", "x"), sender=sender))
    assert not set(spawner.commands[0].environment["SENDER"]) & set("(){};$` \"'\\")


def test_the_program_runs_as_the_user_whose_file_named_it_or_as_the_configured_one():
    spawner = RecordingSpawner()
    mailer = pipe(spawner, user="nobody")
    deliver(mailer, job(Route("pipe", "bob", "x")), job(Route("pipe", "", "x")))
    assert sorted(command.user for command in spawner.commands) == ["bob", "nobody"]
    assert mailer.lane(Route("pipe", "bob", "x")) == "pipe:bob"
    assert mailer.lane(Route("pipe", "", "x")) == "pipe:nobody"


def test_the_null_reverse_path_is_an_empty_sender():
    spawner = RecordingSpawner()
    deliver(pipe(spawner), job(Route("pipe", "bob", "x"), sender=None))
    assert spawner.commands[0].environment["SENDER"] == ""
    assert spawner.messages[0].startswith(b"From MAILER-DAEMON ")
    assert b"Return-Path: <>\n" in spawner.messages[0]


def test_a_command_that_needs_a_shell_is_deferred_and_never_run():
    spawner = RecordingSpawner()
    (settlement,) = deliver(pipe(spawner), job(Route("pipe", "bob", "a; b")))
    assert isinstance(settlement.outcome, Deferred)
    assert settlement.outcome.reply.status == "4.3.5"
    assert spawner.commands == []


def test_a_message_that_was_delivered_to_this_address_before_goes_in_a_circle():
    spawner = RecordingSpawner()
    body = b"Delivered-To: bob+lists@HERE.example\r\n" + TEXT
    (settlement,) = deliver(pipe(spawner, body), job(Route("pipe", "bob", "x")))
    assert isinstance(settlement.outcome, Failed)
    assert settlement.outcome.reply.status == "5.4.6"
    assert spawner.commands == []


def test_a_message_beyond_the_size_limit_is_refused():
    spawner = RecordingSpawner()
    (settlement,) = deliver(pipe(spawner, most=10), job(Route("pipe", "bob", "x")))
    assert settlement.outcome.reply.status == "5.3.4"


def test_a_program_that_outlasts_its_time_and_one_that_cannot_start_are_deferred():
    for ended in (Ended(-9, b"", late=True), Transient(Reply.of(451, "4.3.5", "cannot"))):
        (settlement,) = deliver(pipe(RecordingSpawner(ended)), job(Route("pipe", "bob", "x")))
        assert isinstance(settlement.outcome, Deferred)


def test_or_exit_turns_any_failure_into_that_status():
    spawner = RecordingSpawner(Ended(1, b""))
    (settlement,) = deliver(pipe(spawner), job(Route("pipe", "bob", "exec x || exit 75")))
    assert isinstance(settlement.outcome, Deferred)


def test_the_program_stands_for_the_youngest_address_among_its_ancestors():
    spawner = RecordingSpawner()
    recipient = Recipient(
        Address("x", "|"), original=Address("team", "here.example"), parents=(BOB, Address("/list", ":include:"))
    )
    deliver(pipe(spawner), job(Route("pipe", "bob", "x"), recipient))
    assert spawner.commands[0].environment["RECIPIENT"] == "bob+lists@here.example"
    assert spawner.commands[0].environment["ORIGINAL_RECIPIENT"] == "team@here.example"
