import pytest

from penfold.formats import folder_names, folder_path


@pytest.mark.parametrize(
    ("names", "path"),
    [
        ((), "/m"),
        (("INBOX",), "/m"),
        (("inbox",), "/m"),
        (("Sent",), "/m/.Sent"),
        (("Sent", "2026"), "/m/.Sent.2026"),
        (("Entwürfe",), "/m/.Entw&APw-rfe"),
        (("A&B",), "/m/.A&-B"),
        (("日本語",), "/m/.&ZeVnLIqe-"),
        (("~peter", "台北"), "/m/.~peter.&U,BTFw-"),
    ],
)
def test_names_become_maildirs_and_back(names: tuple[str, ...], path: str):
    assert folder_path("/m", names) == path
    if path != "/m":
        assert folder_names(path.removeprefix("/m/")) == names


@pytest.mark.parametrize("names", [("",), ("a/b",), ("..",), ("a.b",), ("a\0",), ("a\n",), ("x" * 300,), ("a", "")])
def test_names_that_lead_elsewhere_are_impossible(names: tuple[str, ...]):
    with pytest.raises(ValueError, match="folder name"):
        folder_path("/m", names)


@pytest.mark.parametrize("text", [".&Z-", ".&!-", ".&ZeVnL-", ".&", ".a&b"])
def test_bad_encodings_are_shown_as_they_are(text: str):
    assert folder_names(text) == (text[1:],)
