"""The operator's and the local user's commands against a running host: queue, mailq, why, status, metrics, sendmail."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.system.host import DOMAIN, ROOT, USERS, Host, Settings, free_port, token, wait_until

import penfold as package

pytestmark = pytest.mark.xdist_group("host")
STRANGER = 65533
FAR = "far.test"
SOURCE = Path(package.__file__).parents[1]


def settings(**telemetry):
    """A host whose mail for other domains finds nobody at home and waits."""
    options = {
        "": {"hostname": "mx.example.test"},
        "routing": {"smart_host": f"[127.0.0.1]:{free_port()}", "smart_host_tls": "none"},
        "queue": {"retry": ["1h"], "dead_host": "1s"},
        "telemetry": telemetry,
    }
    return Settings(options={name: said for name, said in options.items() if said})


@pytest.fixture
def host():
    with Host(settings(metrics=f"127.0.0.1:{free_port()}")) as running:
        yield running


def environment(host):
    return {**os.environ, "PYTHONPATH": str(SOURCE), "PENFOLD_CONFIG": str(host.config)}


def penfold(host, *words, code=0, text=None):
    argv = [sys.executable, "-m", "penfold.cli.main", *words]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment(host), input=text, check=False)
    assert code is None or done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout


def lines(host, *words):
    return [json.loads(line) for line in penfold(host, *words, "--json").splitlines()]


def sendmail(host, *words, text="Subject: x\n\nx\n", code=0, name="sendmail"):
    argv = [sys.executable, "-m", f"penfold.cli.{name}", *words]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment(host), input=text, check=False)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout


def send_away(host, *recipients, sender="eve@other.test"):
    """Give mail to a next hop that is not there; the queue ids."""
    sendmail(host, "-f", sender, *recipients)
    wait_until(
        lambda: len(deferred(host)) >= len(recipients), lambda: f"{penfold(host, 'queue', 'list')}\n{host.log()}"
    )
    return [line["id"] for line in deferred(host)]


def deferred(host):
    return lines(host, "queue", "list", "--state", "deferred")


# -- the queue


def test_the_queue_is_listed_held_released_edited_and_deleted(host):
    [id_, _] = send_away(host, f"bob@{FAR}", "carol@elsewhere.test")
    [line] = lines(host, "queue", "list", "--domain", FAR)
    assert (line["id"], line["sender"], line["recipient"]) == (id_, "eve@other.test", f"bob@{FAR}")
    assert line["reply"].startswith("4")
    assert f"eve@other.test -> bob@{FAR}" in penfold(host, "queue", "list", id_)
    assert penfold(host, "queue", "hold", "--recipient", f"bob@{FAR}") == "1 recipient held\n"
    assert [each["recipient"] for each in lines(host, "queue", "list", "--state", "held")] == [f"bob@{FAR}"]
    assert penfold(host, "queue", "release", id_) == "1 recipient released\n"
    assert penfold(host, "queue", "edit", id_, f"bob@{FAR}", "--to", f"alice@{DOMAIN}") == "1 recipient new\n"
    host.wait_for("alice")
    [shown] = lines(host, "queue", "show", id_)
    states = {each["recipient"]: each["state"] for each in shown["recipients"]}
    assert states[f"bob@{FAR}"] == "replaced"
    assert penfold(host, "queue", "delete", "--sender", "eve@*") == "1 recipient deleted\n"
    assert lines(host, "queue", "list") == []
    assert "Nothing in the queue" in penfold(host, "queue", "list")
    said = penfold(host, "why", id_)
    assert all(word in said for word in ("edit", "release", "root" if ROOT else ""))


def test_an_order_without_a_pattern_is_refused_and_a_wrong_one_explained(host):
    send_away(host, f"bob@{FAR}")
    for order in ("hold", "delete", "route"):
        penfold(host, "queue", order, code=64)
    penfold(host, "queue", "delete", "--older", "soon", code=64)
    penfold(host, "queue", "route", "--all", "--to", "pipe:/bin/sh", code=64)
    penfold(host, "queue", "show", "Z0000000001", code=69)
    assert penfold(host, "queue", "hold", "--all") == "1 recipient held\n"


def test_mail_goes_another_way_by_order_and_flush_tries_at_once(host):
    send_away(host, f"bob@{FAR}")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        way = f"smtp:[127.0.0.1]:{server.getsockname()[1]}"
        assert penfold(host, "queue", "route", "--domain", FAR, "--to", way) == "1 recipient rerouted\n"
        link, _ = server.accept()
        link.sendall(b"421 4.3.2 not today\r\n")
        link.close()
        wait_until(lambda: deferred(host) and "not today" in deferred(host)[0]["reply"], host.log)
        assert lines(host, "queue", "list")[0]["route"] == way
        # The next hop is left alone for a second after it failed.
        wait_until(lambda: sendmail(host, "-q") == "" and _calls(server), host.log)


def _calls(server):
    server.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        server.accept()[0].close()
        return True
    return False


def test_a_long_listing_comes_whole(host):
    body = "\n".join(f"To: r{number}@{FAR}" for number in range(1)) + "\n\nx\n"
    for start in range(0, 600, 200):
        sendmail(host, *(f"r{number}@{FAR}" for number in range(start, start + 200)), text=body)
    wait_until(lambda: len(lines(host, "queue", "list", "--all")) == 600, "the queue")
    assert len(lines(host, "queue", "list", "--limit", "50")) == 50
    assert sendmail(host, "-bp").count(f"@{FAR}") == 600


# -- everybody


@pytest.fixture
def code_for_all(tmp_path_factory):
    """The code where every user may read it."""
    folder = tmp_path_factory.mktemp("code", numbered=True)
    for part in (folder, *folder.parents):
        with contextlib.suppress(PermissionError):
            if part.stat().st_uid == os.geteuid() and part != Path("/"):
                part.chmod(part.stat().st_mode | 0o055 if part == folder else part.stat().st_mode | 0o011)
    shutil.copytree(SOURCE / "penfold", folder / "penfold", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)
    return folder


def as_stranger(host, folder, *words, text="Subject: by a stranger\n\nx\n", uid=STRANGER):
    argv = ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "/usr/bin/python3", "-m",
            "penfold.cli.sendmail", *words]  # fmt: skip
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "PENFOLD_CONFIG": str(host.config),
           "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
    return subprocess.run(argv, capture_output=True, text=True, env=env, input=text, cwd="/", check=False)


needs_other_users = pytest.mark.skipif(
    not ROOT or not shutil.which("setpriv") or not os.access("/usr/bin/python3", os.X_OK),
    reason="needs root, setpriv and a python3 that every user may run",
)


@needs_other_users
@pytest.mark.root
def test_any_user_may_list_and_send_and_nobody_but_operators_may_flush(host, code_for_all):
    send_away(host, f"bob@{FAR}")
    listed = as_stranger(host, code_for_all, "-bp")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert f"bob@{FAR}" in listed.stdout
    flushed = as_stranger(host, code_for_all, "-q")
    assert flushed.returncode == 77
    assert "only root" in flushed.stderr
    sent = as_stranger(host, code_for_all, "-f", "boss@other.test", f"alice@{DOMAIN}")
    assert (sent.returncode, sent.stderr) == (0, "")
    message = host.wait_for_text("alice", b"by a stranger")
    assert f"X-Authentication-Warning: mx.example.test: {STRANGER} set sender to boss@other.test".encode() in message


@needs_other_users
@pytest.mark.root
def test_the_sender_of_a_drop_is_its_owner_and_drops_of_others_cannot_be_seen(host, code_for_all):
    host.stop()
    sent = as_stranger(host, code_for_all, f"alice@{DOMAIN}")
    assert (sent.returncode, sent.stderr) == (0, "")
    drop = host.data / "maildrop"
    [left] = list(drop.iterdir())
    assert left.stat().st_uid == STRANGER
    peeking = ["setpriv", "--reuid", "65532", "--clear-groups", "sh", "-c", f"ls {drop}; cat {left}; rm -f {left}"]
    assert subprocess.run(peeking, capture_output=True, check=False).stdout == b""
    assert left.exists()
    host.start()
    message = host.wait_for_text("alice", b"by a stranger")
    assert f"from user {STRANGER}".encode() in message
    wait_until(lambda: list(drop.iterdir()) == [], "the maildrop")


# -- sendmail


def test_a_message_given_to_sendmail_is_durable_before_it_ends():
    """Exit 0, then all roles are killed: the message is there when the next ones have started."""
    word = token()
    with Host() as host:  # which tries again after a second: an agent may be missing for a moment
        for number in range(5):
            sendmail(host, f"alice@{DOMAIN}", text=f"Subject: {word} {number}\n\nx\n")
            for pid in host.roles():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            host.wait_for_text("alice", f"{word} {number}".encode())


def test_mail_left_while_no_host_ran_is_sent_at_the_next_start_and_counted_once(host):
    host.stop()
    word = token()
    for number in range(20):
        sendmail(host, "-t", text=f"To: alice@{DOMAIN}\nSubject: {word} {number}.\n\nx\n")
    (host.data / "maildrop" / "broken").write_bytes(b"no mail")
    (host.data / "maildrop" / "link").symlink_to("/etc/passwd")
    os.mkfifo(host.data / "maildrop" / "pipe")
    host.start()
    for number in range(20):
        host.wait_for_text("alice", f"{word} {number}.".encode())
    assert len([each for each in host.messages("alice") if word.encode() in each]) == 20
    assert not list((host.data / "maildrop").iterdir())
    kept = sorted(each.name.partition("-")[2] for each in (host.data / "maildrop-refused").iterdir())
    assert kept == ["broken", "link", "pipe"]
    wait_until(lambda: len(host.events("trouble")) >= 3, host.log)


def test_header_recipients_get_it_and_blind_ones_are_not_shown(host):
    text = f"To: Alice <alice@{DOMAIN}>\nCc: bob@{DOMAIN}\nBcc: carol@{DOMAIN}\nSubject: all\n\n.\nnot this\n"
    sendmail(host, "-t", "-F", "Eve Ex", text=text)
    for user in ("alice", "bob", "carol"):
        message = host.wait_for_text(user, b"Subject: all")
        assert b"Bcc" not in message
        assert b"not this" not in message
        assert re.search(rb"\nFrom: .?Eve Ex.? <", message)
        assert b"\nMessage-ID: <" in message
        assert b"\nDate: " in message


def test_smtp_on_standard_input_is_the_local_users(host):
    text = (
        f"EHLO here\r\nMAIL FROM:<eve@other.test>\r\nRCPT TO:<alice@{DOMAIN}>\r\nRCPT TO:<bob@{FAR}>\r\n"
        "DATA\r\nSubject: by bs\r\n\r\n..dot\r\n.\r\nQUIT\r\n"
    )
    said = sendmail(host, "-bs", text=text)
    assert [line[:3] for line in said.splitlines() if line[3:4] == " "] == [*["220", *["250"] * 4, "354", "250", "221"]]
    message = host.wait_for_text("alice", b"by bs")
    assert b"\n.dot\n" in message
    assert b"\nMessage-ID: <" in message


def test_addresses_are_verified_and_aliases_checked(host):
    said = sendmail(host, "-bv", f"alice@{DOMAIN}")
    assert "deliverable: mailer local" in said
    assert "550 5.1.1" in sendmail(host, "-bv", f"nobody-here@{DOMAIN}", code=67)
    assert sendmail(host, "-bi") == ""


def test_a_bad_recipient_sends_nothing_to_anybody(host):
    sendmail(host, f"alice@{DOMAIN}", "bad@@address", code=64)
    sendmail(host, f"alice@{DOMAIN}", text="Subject: after\n\nx\n")
    host.wait_for_text("alice", b"Subject: after")
    assert host.count("alice") == 1


# -- answers


def test_why_tells_the_story_back_and_ahead(host):
    word = token()
    sendmail(host, f"alice@{DOMAIN}", text=f"Message-ID: <{word}@x.test>\nSubject: y\n\nx\n")
    host.wait_for("alice")
    # Mail may be there before the events about it: those of other roles come in batches.
    wait_until(lambda: ": done\n" in penfold(host, "why", f"<{word}@x.test>", code=None), host.log)
    said = penfold(host, "why", f"alice@{DOMAIN}")
    assert "delivered" in said
    found = json.loads(penfold(host, "why", f"{word}@x.test", "--json"))
    assert found["stories"][0]["message_id"] == f"<{word}@x.test>"
    penfold(host, "why", "nobody-ever@nowhere.test", code=1)
    for running in (True, False):
        if not running:
            host.stop()
        [stop] = lines(host, "why", "--would", f"alice+x@{DOMAIN}")
        assert stop["route"]["mailer"] == "local"
        assert stop["steps"]
        assert "refused with 550 5.1.1" in penfold(host, "why", "--would", f"nobody-here@{DOMAIN}")
        penfold(host, "why", "--would", "<<>>", code=64)


def test_status_shows_roles_queue_and_room_and_fails_when_nothing_runs(host):
    send_away(host, f"bob@{FAR}")
    status = json.loads(penfold(host, "status", "--json"))
    assert {role["role"] for role in status["roles"]} >= {"supervisor", "receive", "queue", "local", "auth"}
    assert all(role["memory"] > 1 << 20 for role in status["roles"])
    assert status["queue"]["deferred"] == 1
    assert status["oldest"] <= status["at"]
    assert status["disk_free"] > 0
    assert status["traffic"]["accepted"] >= 1
    shown = penfold(host, "status")
    assert "1 deferred" in shown
    host.stop()
    penfold(host, "status", code=69)
    penfold(host, "queue", "list", code=69)


def test_metrics_of_all_processes_are_on_one_page(host):
    place = re.search(r'metrics = "([^"]+)"', host.config.read_text())[1]
    for _ in range(3):
        sendmail(host, f"alice@{DOMAIN}")
    host.wait_for("alice", 3)

    def page():
        with urllib.request.urlopen(f"http://{place}/metrics", timeout=10) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            return answer.read().decode()

    wait_until(lambda: 'penfold_delivered_total{mailer="local"} 3\n' in page(), page)
    assert "penfold_messages_accepted_total 3\n" in page()
    assert 'penfold_sessions_total{role="local"} 3\n' in page()
    assert 'penfold_role_starts_total{role="receive"} 2\n' in page()
    with pytest.raises(urllib.error.HTTPError, match="404") as error:
        urllib.request.urlopen(f"http://{place}/etc/passwd", timeout=10)
    error.value.close()


def test_a_verifier_made_here_lets_its_user_in(host):
    line = penfold(host, "password", f"alice@{DOMAIN}", text="open sesame\n")
    assert line.startswith(f'"alice@{DOMAIN}" = "{{ARGON2ID}}$argon2id$')
    assert "sesame" not in line
    assert USERS
