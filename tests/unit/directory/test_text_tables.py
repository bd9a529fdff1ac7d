import os

import pytest

from penfold.directory.aliases import AliasFile, read_aliases
from penfold.directory.maps import read_transport, read_virtual, transport_file, virtual_file
from penfold.directory.secret_file import SecretFile
from penfold.directory.watched import WatchedFile
from penfold.model import ConfigError
from penfold.routing import Found, Missing


def write(path, text):
    path.write_text(text)
    return str(path)


def test_an_alias_file_is_a_table_that_names_its_lines(tmp_path):
    path = write(tmp_path / "aliases", '# x\nRoot: alice,\n bob\nauto: "|/bin/prog, y"\n')
    table = AliasFile(path)
    assert table.lookup("root") == Found(("alice", "bob"), f"{path}:2")
    assert table.lookup("auto").values == ("|/bin/prog, y",)
    assert isinstance(table.lookup("nobody"), Missing)
    assert sorted(table.names()) == ["auto", "root"]


def test_an_alias_that_stands_twice_is_an_error():
    with pytest.raises(ConfigError) as caught:
        read_aliases("a: b\nc: d\nA: e\n", "f")
    assert (caught.value.line, "line 1" in caught.value.problem) == (3, True)


def test_a_changed_file_is_read_again_and_a_bad_one_is_not_used(tmp_path):
    now = [0.0]
    reports = []
    path = tmp_path / "aliases"
    write(path, "a: b\n")
    file = WatchedFile(str(path), read_aliases, report=reports.append, interval=1.0, clock=lambda: now[0])
    write(tmp_path / "new", "a: c\n")
    os.replace(tmp_path / "new", path)
    assert file.current()["a"].values == ("b",)
    now[0] = 1.5
    assert file.current()["a"].values == ("c",)
    assert file.generation == 1
    write(tmp_path / "new", "a: d\nnonsense\n")
    os.replace(tmp_path / "new", path)
    for now[0] in (3.0, 5.0, 7.0):
        assert file.current()["a"].values == ("c",)
    assert [(error.line, error.file) for error in reports] == [(2, str(path))]
    path.unlink()
    for now[0] in (9.0, 11.0):
        assert file.current()["a"].values == ("c",)
    assert len(reports) == 2
    write(path, "a: e\n")
    now[0] = 13.0
    assert file.current()["a"].values == ("e",)


def test_the_first_reading_must_succeed(tmp_path):
    with pytest.raises(ConfigError) as caught:
        AliasFile(str(tmp_path / "none"))
    assert caught.value.hint
    (tmp_path / "latin").write_bytes(b"a: b\nb: \xff\n")
    with pytest.raises(ConfigError) as caught:
        AliasFile(str(tmp_path / "latin"))
    assert caught.value.line == 2


def test_a_virtual_table_is_read(tmp_path):
    path = write(
        tmp_path / "virtual",
        "# comment\nInfo@Virtual.test\talice@example.test,\n   bob\n@virtual.test @example.test\n"
        "@old.test  %1@new.test\ngone@virtual.test error:nouser Gone\nbücher@bücher.test x\n",
    )
    table = virtual_file(path)
    assert table.lookup("info@virtual.test") == Found(("alice@example.test", "bob"), f"{path}:2")
    assert table.lookup("@virtual.test").values == ("%1@example.test",)
    assert table.lookup("@old.test").values == ("%1@new.test",)
    assert table.lookup("gone@virtual.test").values == ("error:5.1.1:550 Gone",)
    assert table.lookup("bücher@xn--bcher-kva.test").values == ("x",)


@pytest.mark.parametrize(
    "line",
    [
        *("info alice", "info@x.test", "info@x.test |/bin/sh", "@x.test /var/file", "@ a", "a@b@c x", "i@x.test a b"),
        *("@bad..test a", "@x.test @bad_domain!"),
    ],
)
def test_a_bad_line_of_a_virtual_table_is_named_with_a_hint(line):
    with pytest.raises(ConfigError) as caught:
        read_virtual(f"ok@x.test a\n{line}\n", "f")
    assert (caught.value.file, caught.value.line) == ("f", 2)
    assert caught.value.hint


def test_a_transport_table_is_read(tmp_path):
    path = write(
        tmp_path / "transport", "Example.test smtp:[10.0.0.1]:2525\n.example.test :relay.test\n* error:5.1.2 no\n"
    )
    table = transport_file(path)
    assert table.lookup("example.test").values == ("smtp:[10.0.0.1]:2525",)
    assert table.lookup(".example.test").values == (":relay.test",)
    assert table.lookup("*").values == ("error:5.1.2 no",)


@pytest.mark.parametrize(
    "line", ["x.test nomailer:host", "x.test", "x.test smtp:a b", "x.test pipe:sh", ".bad..x smtp:y"]
)
def test_a_bad_line_of_a_transport_table_is_named_with_a_hint(line):
    with pytest.raises(ConfigError) as caught:
        read_transport(f"{line}\n", "f")
    assert caught.value.line == 1
    assert caught.value.hint


def test_a_key_that_stands_twice_is_an_error():
    with pytest.raises(ConfigError):
        read_virtual("a@x.test b\nA@X.test c\n", "f")


def test_a_password_file_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "passwords"
    write(path, "# x\nAlice@example.test:{PLAIN}a:b\n")
    path.chmod(0o644)
    with pytest.raises(ConfigError):
        SecretFile(str(path))
    path.chmod(0o640)
    secrets = SecretFile(str(path))
    assert secrets.verifier("alice@EXAMPLE.test") == "{PLAIN}a:b"
    assert secrets.verifier("bob@example.test") is None


@pytest.mark.parametrize(
    "text", ["alice\n", "alice:\n", ":x\n", "alice:{NOPE}secret-word\n", "a:{PLAIN}x\nA:{PLAIN}y\n"]
)
def test_a_bad_password_file_is_refused_without_showing_a_verifier(tmp_path, text):
    path = tmp_path / "passwords"
    write(path, text)
    path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        SecretFile(str(path))
    assert caught.value.line
    assert "secret-word" not in str(caught.value)
