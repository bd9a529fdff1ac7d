"""``penfold demo`` as a newcomer meets it: a real process, and the commands its table prints."""

import contextlib
import mailbox
import os
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from tests.system.host import PORTS

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0
NOBODY = 65534


def base_port():
    """A base whose ports are all free now."""
    for base in range(PORTS.start, PORTS.stop - 100, 100):
        with contextlib.ExitStack() as stack:
            try:
                for offset in (10, 24, 25, 43, 65, 87, 93, 95, 99):
                    probe = stack.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", base + offset))
            except OSError:
                continue
            return base
    raise AssertionError("no free ports")


class Demo:
    """A running demo, whose output is read line by line."""

    def __init__(self, *arguments, base=None):
        self.base = base or base_port()
        self.lines = []
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "penfold.cli.main", "demo", "--base-port", str(self.base), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=environment,
            text=True,
            start_new_session=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(PATIENCE)
            finally:
                if self.process.poll() is None:
                    os.killpg(self.process.pid, signal.SIGKILL)
        self.process.stdout.close()

    def until(self, true):
        """Read on until a line is as wanted; fails when that takes too long."""
        deadline = threading.Timer(PATIENCE, self.process.send_signal, [signal.SIGTERM])
        deadline.start()
        try:
            for line in self.process.stdout:
                self.lines.append(line.rstrip("\n"))
                if true(self.lines[-1]):
                    return self.lines[-1]
        finally:
            deadline.cancel()
            deadline.join()
        raise AssertionError("it ended, or took too long, before:\n" + "\n".join(self.lines))

    def ready(self):
        self.until(lambda line: line == "ready")
        return self

    def stop(self):
        """Press Ctrl-C; gives the exit code and the rest of the output."""
        os.killpg(self.process.pid, signal.SIGINT)
        rest = self.process.stdout.read()
        return self.process.wait(PATIENCE), rest

    @property
    def text(self):
        return "\n".join(self.lines)

    def commands(self):
        return re.findall(r"^  \d\. .*\n     (.*)$", self.text, re.MULTILINE)


def gone(group):
    """Whether no process of this group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def shell(command):
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def home():
    """A place that the user the demo becomes can reach: pytest's own folders are root's alone."""
    path = Path(tempfile.mkdtemp(prefix="penfold-demo-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def demo(home):
    began = time.monotonic()
    with Demo("--data", str(home / "data")) as running:
        running.ready()
        running.seconds = time.monotonic() - began
        running.data = home / "data"
        yield running


def subjects(folder):
    with contextlib.closing(folder):
        return sorted(message["subject"] for message in folder)


def test_it_is_ready_within_five_seconds(demo):
    assert demo.seconds < 5 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)), (
        "on a machine with nothing else to do"
    )


def test_all_ports_of_the_table_answer_in_their_protocol(demo):
    loose = ssl.create_default_context()
    loose.check_hostname, loose.verify_mode = False, ssl.CERT_NONE
    assert f"  {demo.base + 25} " in demo.text
    with smtplib.SMTP("127.0.0.1", demo.base + 25, timeout=PATIENCE) as smtp:
        assert smtp.ehlo()[0] == 250
    with smtplib.LMTP("127.0.0.1", demo.base + 24) as lmtp:
        assert lmtp.noop()[0] == 250
    for person in ("alice", "bob", "carol"):
        assert f"{person}-demo" in demo.text
        with smtplib.SMTP("127.0.0.1", demo.base + 87, timeout=PATIENCE) as submission:
            submission.starttls(context=loose)
            assert submission.login(f"{person}@example.test", f"{person}-demo")[0] == 235
    with smtplib.SMTP_SSL("127.0.0.1", demo.base + 65, context=loose, timeout=PATIENCE) as submissions:
        assert submissions.login("carol@example.test", "carol-demo")[0] == 235


def test_a_wrong_password_and_a_stranger_who_wants_to_relay_are_refused(demo):
    with smtplib.SMTP("127.0.0.1", demo.base + 25, timeout=PATIENCE) as smtp:
        smtp.ehlo()
        smtp.mail("ada@elsewhere.example")
        assert smtp.rcpt("friend@elsewhere.example")[0] == 550
        assert smtp.rcpt("nobody-here@example.test")[0] == 550
    with (
        smtplib.SMTP_SSL(
            "127.0.0.1", demo.base + 65, context=ssl._create_unverified_context(), timeout=PATIENCE
        ) as submissions,
        pytest.raises(smtplib.SMTPAuthenticationError),
    ):
        submissions.login("alice@example.test", "wrong")


def test_sample_mail_lies_where_the_table_says(demo):
    boxes = demo.data / "mail/example.test"
    assert subjects(mailbox.Maildir(boxes / "alice", create=False)) == ["An alias"]
    assert {"A .forward", "An alias"} <= set(subjects(mailbox.Maildir(boxes / "bob", create=False)))
    carol = subjects(mailbox.mbox(boxes / "carol", create=False))
    assert {"A .forward", "A virtual domain", "An alias"} <= set(carol)
    assert (demo.data / "notes.txt").read_text() == "ada@elsewhere.example wrote to note@example.test: A program\n"
    for name in ("alice", "bob", "carol"):
        assert str(boxes / name) in demo.text


def test_the_three_things_to_try_work_as_printed(demo):
    send, why, queue = demo.commands()
    assert "Hello, Carol!" in shell(send)
    assert "carol@example.test" in shell(why)
    assert "friend@elsewhere.example" in shell(queue)


def test_every_event_is_a_line_with_time_and_subject(demo):
    with smtplib.SMTP("127.0.0.1", demo.base + 25, "told.example", timeout=PATIENCE) as smtp:
        smtp.sendmail("ada@told.example", ["alice@example.test"], "Subject: told\n\nx\n")
    accepted = re.compile(r"^\d\d:\d\d:\d\d ([0-9A-Z]{12}) accepted by ESMTP .*ada@told\.example", re.MULTILINE)

    def told(_):  # processes write their events on their own: which comes first is chance
        found = accepted.search(demo.text)
        return found and f"{found[1]} <alice@example.test> is delivered into alice@example.test" in demo.text

    demo.until(told)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
@pytest.mark.root
def test_as_root_nothing_of_it_runs_as_root(demo):
    mine = [
        entry
        for entry in Path("/proc").glob("[0-9]*")
        if (entry / "stat").exists() and os.getpgid(int(entry.name)) == demo.process.pid
    ]
    assert len(mine) >= 6
    assert all(
        re.search(r"^Uid:\t([1-9]\d*)\t\1\t\1\t\1$", (entry / "status").read_text(), re.MULTILINE) for entry in mine
    )
    assert demo.data.stat().st_uid != 0


def test_a_second_demo_on_the_same_ports_says_what_to_do(demo):
    second = subprocess.run(
        [sys.executable, "-m", "penfold.cli.main", "demo", "--base-port", str(demo.base)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=PATIENCE,
        check=False,
    )
    assert second.returncode == 78
    assert re.search(rf"port {demo.base + 24} cannot be had: .*\n.*--base-port \d+", second.stderr)


def test_ctrl_c_ends_it_cleanly_and_mail_is_kept_for_the_next_time(home):
    data = home / "kept"
    with Demo("--data", str(data)) as first:
        code, rest = first.ready().stop()
        assert (code, "Traceback" in rest, gone(first.process.pid)) == (0, False, True)
    with Demo("--data", str(data), base=first.base) as second:
        second.ready()
        assert "An alias" in subjects(mailbox.Maildir(data / "mail/example.test/alice", create=False))
        assert len(subjects(mailbox.Maildir(data / "mail/example.test/alice", create=False))) == 1
        assert "friend@elsewhere.example" in shell(second.commands()[2])
        assert second.stop()[0] == 0


def test_without_a_directory_nothing_is_left(home):
    with Demo() as passing:
        passing.ready()
        (place,) = re.findall(r"running in (\S+)\. ", passing.text)
        assert Path(place, "penfold.toml").exists()
        assert passing.stop()[0] == 0
    assert not Path(place).exists()
    assert gone(passing.process.pid)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--base-port", "80"], "--base-port is from"),
        (["--base-port", "65530"], "--base-port is from"),
        (["--data", "/proc/none"], "name another --data"),
        (["--data", str(ROOT / "docs")], "not a demo's"),
    ],
)
def test_what_cannot_work_is_said_with_a_hint(arguments, complaint):
    done = subprocess.run(
        [sys.executable, "-m", "penfold.cli.main", "demo", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 78
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
