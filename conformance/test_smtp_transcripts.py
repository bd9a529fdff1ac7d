"""Every SMTP transcript holds for the server core, and for the core behind a socket."""

import re

import pytest
from conformance.listening import listening
from conformance.smtp_runner import CorePeer, Transcript, run_over_core, run_over_tcp, transcripts

from penfold.protocols.sasl import SERVER_MECHANISMS
from penfold.protocols.smtp import Server, ServerSettings, capabilities

ALL = transcripts()


@pytest.mark.parametrize("transcript", ALL, ids=lambda transcript: transcript.name)
def test_transcript_holds_over_the_core(transcript: Transcript) -> None:
    run_over_core(transcript)


@pytest.mark.parametrize("transcript", ALL, ids=lambda transcript: transcript.name)
def test_transcript_names_its_standard(transcript: Transcript) -> None:
    assert re.match(r"RFC \d+ |https://", transcript.title), transcript.name


_PLAIN = [one for one in ALL if not one.core_only and not any(kind == "TLS" for _, kind, _ in one.steps)]


@pytest.mark.parametrize("transcript", _PLAIN, ids=lambda transcript: transcript.name)
def test_transcript_holds_over_tcp(transcript: Transcript) -> None:
    with listening(lambda: CorePeer(transcript)) as port:
        run_over_tcp(transcript, "127.0.0.1", port)


def _sent() -> set[str]:
    """Tell the verbs that clients of the transcripts send."""
    return {
        text.split()[0].upper() for one in ALL for _, kind, text in one.steps if kind in {"C:", "C|"} and text.split()
    }


def _found_announced() -> set[str]:
    """Tell the keywords that transcripts find in the answer to EHLO."""
    return {text.split()[0] for one in ALL for _, kind, text in one.steps if kind == "S+"}


def test_every_command_has_a_transcript() -> None:
    assert {verb.decode() for verb in Server._verbs} <= _sent()


def test_every_keyword_that_is_announced_has_a_transcript() -> None:
    everything = ServerSettings(hostname="mx.test", starttls=True, mechanisms=("PLAIN",), verify=True, expand=True)
    lines = capabilities.keywords(everything, tls=False, authenticated=False, xclient=True)
    assert {line.split()[0] for line in lines} <= _found_announced()


def test_every_mechanism_has_a_transcript() -> None:
    tried = {text.split()[1] for one in ALL for _, _, text in one.steps if text.startswith("AUTH ")}
    assert {"SCRAM-SHA-256", "PLAIN", "LOGIN"} <= tried & set(SERVER_MECHANISMS)
