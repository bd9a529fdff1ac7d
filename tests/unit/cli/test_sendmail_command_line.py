"""The command line of sendmail: what programs write means what it means to the original, Postfix and Exim."""

import io
import os
import socket
import subprocess
import sys
import threading

import pytest

from penfold.cli import place, sendmail, submission
from penfold.protocols.base import NEED_DATA
from penfold.protocols.pickup.reader import Chunk, End, Head, Reader


def fields(*words, name="sendmail"):
    return dict(sendmail.parse(list(words), name).fields)


@pytest.mark.parametrize(
    ("words", "recipients", "from_header", "dots_end", "said"),
    [
        ("ada@x.test bob", ["ada@x.test", "bob"], False, True, {}),
        ("-t", [], True, True, {}),
        ("-t -i", [], True, False, {}),
        ("-ti", [], True, False, {}),
        ("-it -f eve@x.test", [], True, False, {"sender": "eve@x.test"}),
        ("-tif eve@x.test", [], True, False, {"sender": "eve@x.test"}),
        ("-tifeve@x.test", [], True, False, {"sender": "eve@x.test"}),
        ("-oi -t", [], True, False, {}),
        ("-oi -oem -odb -oee ada", ["ada"], False, False, {}),
        ("-i -f <> -- ada", ["ada"], False, False, {"sender": "<>"}),
        ("-f <eve@x.test> ada", ["ada"], False, True, {"sender": "eve@x.test"}),
        ("-r eve@x.test ada", ["ada"], False, True, {"sender": "eve@x.test"}),
        ("-f a@x.test -f b@x.test ada", ["ada"], False, True, {"sender": "b@x.test"}),
        ("-FRoot -i ada", ["ada"], False, False, {"full-name": "Root"}),
        ("-N success,failure -R hdrs -V id-1 ada", ["ada"], False, True,
         {"notify": "success,failure", "ret": "hdrs", "envid": "id-1"}),
        ("-Nnever ada", ["ada"], False, True, {"notify": "never"}),
        ("-B8BITMIME -Am -bm -v -m -n -U -G -em ada", ["ada"], False, True, {"body": "8BITMIME"}),
        ("-O IgnoreDots=true -O DeliveryMode=b -OQueueLA=5 ada", ["ada"], False, False, {}),
        ("-X /tmp/log -L tag -h 5 -p ESMTP:host -d0.1 ada", ["ada"], False, True, {}),
        ("ada -t", ["ada", "-t"], False, True, {}),
    ],
)  # fmt: skip
def test_words_mean_what_programs_mean_by_them(words, recipients, from_header, dots_end, said):
    call = sendmail.parse(words.split())
    assert (call.mode, call.recipients, call.from_header, call.dots_end) == ("m", recipients, from_header, dots_end)
    assert dict(call.fields) == said


def test_an_empty_sender_is_the_null_reverse_path():
    assert fields("-f", "", "ada") == {"sender": "<>"}


@pytest.mark.parametrize(
    ("words", "mode", "flush"),
    [("-bs", "s", None), ("-bp", "p", None), ("-b p", "p", None), ("-bi", "i", None), ("-I", "i", None),
     ("-bv", "v", None), ("-bd", "d", None), ("-bh", "h", None), ("-q", "m", {}), ("-qf", "m", {}), ("-q30m", "m", {}),
     ("-qIA0001", "m", {"ids": ["A0001"]}), ("-qRfar.test", "m", {"recipient": "*far.test*"}),
     ("-qSe*e", "m", {"sender": "*e[*]e*"})],
)  # fmt: skip
def test_modes_and_queue_runs(words, mode, flush):
    call = sendmail.parse(words.split())
    assert (call.mode, call.flush) == (mode, flush)


@pytest.mark.parametrize(("name", "mode"), [("mailq", "p"), ("newaliases", "i"), ("smtpd", "d"), ("runq", "q")])
def test_the_name_it_is_called_by_is_a_mode(name, mode):
    assert sendmail.parse([], name).mode == mode


@pytest.mark.parametrize("words", ["-Z", "-tZ", "-f", "-bx", "-ba", "-N maybe ada", "-N never,delay ada", "-R some ada",
                                   "-B 9bit ada", "", "-i"])  # fmt: skip
def test_a_wrong_command_line_is_ex_usage(words, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(SystemExit) as ended:
        sendmail.main(words.split(), "sendmail")
    assert ended.value.code == 64
    assert "usage: sendmail" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("octets", "dots_end", "content"),
    [(b"a\n.\nb\n", True, b"a\n"), (b"a\n.\nb\n", False, b"a\n.\nb\n"), (b"a\r\n.\r\nb", True, b"a\r\n"),
     (b"a\n..\n", True, b"a\n..\n"), (b"a\n.", True, b"a\n"), (b"", True, b""), (b"x" * 200_000, True, b"x" * 200_000)],
)  # fmt: skip
def test_a_dot_alone_ends_the_message_unless_told_otherwise(octets, dots_end, content):
    assert b"".join(submission.pieces(io.BytesIO(octets), dots_end=dots_end)) == content


# -- towards the daemon


def read_drop(octets):
    reader = Reader()
    reader.receive_data(octets)
    reader.receive_eof()
    found, content = [], b""
    while (event := reader.next_event()) is not NEED_DATA:
        found.append(type(event))
        content += event.data if isinstance(event, Chunk) else b""
    assert found[0] is Head
    assert found[-1] is End
    return content


class Daemon:
    """Listens as the daemon does, hears one message, and answers (or ends without a word)."""

    def __init__(self, data, answer):
        (data / "run").mkdir()
        self.answer = answer
        self.heard = b""
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.bind(str(data / "run" / "sendmail.sock"))
        self._sock.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        link, _ = self._sock.accept()
        with link:
            while octets := link.recv(65536):
                self.heard += octets
                if self.answer is None and len(self.heard) > 10:
                    return
            link.sendall(self.answer or b"")

    def end(self):
        self._thread.join(10)
        self._sock.close()


def call(data, monkeypatch, octets, *words):
    config = data / "penfold.toml"
    config.write_text(f'data = "{data}"\n')
    monkeypatch.setenv("PENFOLD_CONFIG", str(config))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(octets)))
    return sendmail.main([*words], "sendmail")


@pytest.mark.parametrize(
    ("answer", "code"),
    [(b"250 2.0.0 Queued as A1\n", 0), (b"451 4.3.0 Later\n", 75), (b"550 5.1.1 No\n", 67), (b"501 5.1.3 Bad\n", 64),
     (b"552 5.3.4 Large\n", 69), (b"550 5.7.1 Denied\n", 77), (b"554 5.6.0 Broken\n", 65)],
)  # fmt: skip
def test_the_daemons_answer_becomes_the_exit_code(tmp_path, monkeypatch, capsys, answer, code):
    daemon = Daemon(tmp_path, answer)
    assert call(tmp_path, monkeypatch, b"Subject: x\n\nhello\n", "ada@x.test") == code
    daemon.end()
    assert read_drop(daemon.heard) == b"Subject: x\n\nhello\n"
    assert bool(capsys.readouterr().err) == bool(code)


@pytest.mark.parametrize("answer", [None, b"", b"250 2.0.0 Que", b"451 4.3.2 System not accepting messages now\n"])
def test_a_daemon_that_ends_without_an_answer_loses_nothing(tmp_path, monkeypatch, answer):
    (tmp_path / "maildrop").mkdir()
    daemon = Daemon(tmp_path, answer)
    octets = b"Subject: x\n\n" + b"line\n" * 100_000
    assert call(tmp_path, monkeypatch, octets, "ada@x.test") == 0
    daemon.end()
    [left] = (tmp_path / "maildrop").iterdir()
    assert read_drop(left.read_bytes()) == octets


def test_without_a_daemon_the_message_is_left_whole_and_for_its_owner_alone(tmp_path, monkeypatch):
    (tmp_path / "maildrop").mkdir()
    assert call(tmp_path, monkeypatch, b"Subject: x\n\nhello\n", "-f", "eve@x.test", "ada@x.test") == 0
    [left] = (tmp_path / "maildrop").iterdir()
    assert not left.name.startswith(".")
    assert left.stat().st_mode & 0o777 == 0o600
    assert read_drop(left.read_bytes()) == b"Subject: x\n\nhello\n"


def test_without_daemon_and_maildrop_the_caller_is_told_to_try_again(tmp_path, monkeypatch, capsys):
    assert call(tmp_path, monkeypatch, b"x\n", "ada@x.test") == 75
    assert "NOT sent" in capsys.readouterr().err


def test_a_full_disk_leaves_nothing_and_is_an_error(tmp_path, monkeypatch, capsys):
    (tmp_path / "maildrop").mkdir()

    def fail(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    assert call(tmp_path, monkeypatch, b"x\n", "ada@x.test") == 74
    assert "No space left" in capsys.readouterr().err
    assert list((tmp_path / "maildrop").iterdir()) == []


def test_a_control_character_in_an_argument_never_reaches_the_wire(tmp_path, monkeypatch):
    with pytest.raises(SystemExit) as ended:
        call(tmp_path, monkeypatch, b"x\n", "-F", "a\nrecipient root@x.test", "ada@x.test")
    assert ended.value.code == 64


# -- where it looks


@pytest.mark.parametrize(
    ("text", "data"),
    [('data = "/srv/mail"\n', "/srv/mail"), ("# x\nhostname='h'\n data='/a b'  # c\n[x]\n", "/a b"),
     ('data = "var"\n', "{here}/var"), ('[delivery]\ndata = "/no"\n', place.DEFAULT_DATA), ("", place.DEFAULT_DATA),
     ("data\n", place.DEFAULT_DATA), ("data = 3\n", place.DEFAULT_DATA)],
)  # fmt: skip
def test_the_data_directory_is_read_from_the_configuration(tmp_path, monkeypatch, text, data):
    (tmp_path / "p.toml").write_text(text)
    assert place.data_directory(str(tmp_path / "p.toml")) == data.format(here=tmp_path)
    monkeypatch.setenv("PENFOLD_CONFIG", str(tmp_path / "p.toml"))
    assert place.data_directory() == data.format(here=tmp_path)


def test_it_imports_next_to_nothing():
    heavy = "{'asyncio', 'ssl', 'email', 'msgspec', 'socket', 'typing', 'dataclasses', 'argparse', 're'}"
    new = f"print({heavy} & set(sys.modules) - before)"
    code = f"import sys; before = set(sys.modules); import penfold.cli.sendmail; {new}"
    out = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)
    assert out.stdout == "set()\n", out.stderr
