"""The command line: help that teaches, exit codes of sysexits, never a traceback."""

import io
import json
import os
import subprocess
import sys

import pytest

from penfold import config
from penfold.cli import main as cli
from penfold.cli.exits import EX_CONFIG, EX_IOERR, EX_OSERR, EX_UNAVAILABLE, EX_USAGE, INTERRUPTED


@pytest.fixture
def run(capsys):
    def call(*words):
        try:
            code = cli.main([str(word) for word in words])
        except SystemExit as stop:
            code = stop.code or 0
        out = capsys.readouterr()
        return code, out.out, out.err

    return call


def test_help_lists_every_command_and_a_way_to_begin(run):
    for words in ([], ["--help"]):
        code, out, _ = run(*words)
        assert code == 0
        assert all(f"  {command.name}" in out for command in cli.COMMANDS)
        assert "penfold demo" in out


def test_version(run):
    assert run("--version")[:2] == (0, "penfold 0.1.0\n")


def test_an_unknown_command_gets_a_suggestion(run):
    code, _, err = run("statsu")
    assert code == EX_USAGE
    assert "did you mean penfold status?" in err
    assert run("--frobnicate")[0] == EX_USAGE
    assert "lists the commands" in run("xyzzy")[2]


def test_a_command_that_is_not_installed_says_so(run, monkeypatch):
    monkeypatch.setattr(cli, "COMMANDS", (cli.Command("nothere", "is not there", "Try it"),))
    code, _, err = run("nothere")
    assert code == EX_UNAVAILABLE
    assert "does not have that command" in err


def test_help_of_a_command_and_help_as_a_word(run):
    assert "penfold config check" in run("config", "--help")[1]
    assert "penfold config check" in run("help", "config")[1]


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), INTERRUPTED), (OSError(5, "boom"), EX_OSERR), (PermissionError(1, "no", "f"), 77)],
)
def test_errors_become_exit_codes(run, monkeypatch, error, code):
    def fail(_words):
        raise error

    monkeypatch.setattr(cli, "_dispatch", fail)
    assert run("status")[0] == code


def test_check_points_at_the_line_and_exits_with_ex_config(run, tmp_path):
    path = tmp_path / "penfold.toml"
    path.write_text('hostname = "mx.test"\n[relay]\nnetworks = ["0.0.0.0/0"]\n')
    code, out, err = run("config", "check", "--config", path)
    assert code == EX_CONFIG
    assert err.startswith(f"{path}:3:13: error: 0.0.0.0/0 makes this host an open relay")
    assert out == ""
    code, out, _ = run("config", "check", "--json", "--config", path)
    assert code == EX_CONFIG
    assert json.loads(out)["findings"][0]["line"] == 3


def test_show_refuses_a_broken_file_without_a_traceback(run, tmp_path):
    path = tmp_path / "penfold.toml"
    path.write_text("[limits]\nmesage_size = 3\n")
    code, _, err = run("config", "show", "--config", path)
    assert code == EX_CONFIG
    assert f"{path}:2:1" in err
    assert "did you mean message_size?" in err


def test_show_and_explain_in_words_and_json(run, tmp_path):
    path = tmp_path / "penfold.toml"
    path.write_text('hostname = "mx.test"\n')
    assert 'hostname = "mx.test"' in run("config", "show", "--config", path)[1]
    assert run("config", "show", "--changed", "--config", path)[1] == 'hostname = "mx.test"  # default ""\n'
    assert json.loads(run("config", "show", "--json", "--config", path)[1])["hostname"] == "mx.test"
    assert json.loads(run("config", "show", "--json", "--changed", "--config", path)[1])[0]["line"] == 1
    assert 'default: "50MiB"' in run("config", "explain", "limits.message_size")[1]
    assert "[limits]" in run("config", "explain", "limits")[1]
    assert json.loads(run("config", "explain", "--json", "limits.errors")[1])["name"] == "limits.errors"
    assert "limits.errors" in run("config", "explain")[1]
    assert len(json.loads(run("config", "explain", "--json")[1])) > 10


def test_init_writes_a_file_that_check_accepts_and_a_private_secrets_file(run, tmp_path):
    path = tmp_path / "penfold.toml"
    words = ["--yes", "--hostname", "mx.example.org", "--account", "ada@example.org", "--data", tmp_path / "var"]
    code, out, _ = run("init", "--config", path, *words)
    assert code == 0
    assert "account ada@example.org has the password" in out
    assert run("config", "check", "--config", path)[0] == 0
    found = config.load(str(path))
    assert found.secrets == str(tmp_path / "secrets.toml")
    assert os.stat(found.secrets).st_mode & 0o777 == 0o600
    password = out.split("password ")[1].split()[0]
    hashed = config.load_secrets(found.secrets).passwords["ada@example.org"]
    assert password not in hashed
    from penfold.directory import passwords

    assert passwords.verify(hashed, password)
    assert passwords.scram(hashed), "clients that prefer SCRAM must be able to log in too"
    assert run("init", "--config", path, *words)[0] == EX_USAGE
    assert run("init", "--force", "--config", path, *words)[0] == 0


def test_init_asks_when_it_talks_to_a_person(run, tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(f"mx.asked.example\n{tmp_path}/data\n\nada@mx.asked.example\n"))
    assert run("init", "--config", tmp_path / "p.toml")[0] == 0
    found = config.load(str(tmp_path / "p.toml"))
    assert (found.hostname, found.data) == ("mx.asked.example", f"{tmp_path}/data")
    assert found.postmaster == "ada@mx.asked.example"


def test_only_the_command_asked_for_is_imported():
    program = "import sys; from penfold.cli.main import main; main(['--help']); print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "penfold.config" not in out.split()
    assert "asyncio" not in out.split()
    assert "ssl" not in out.split()


def test_a_reader_that_went_away_is_no_traceback():
    program = "import sys; from penfold.cli.main import main; sys.exit(main(['config', 'explain']))"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-c", program], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert done.returncode == EX_IOERR
    assert done.stderr == b""
