"""The guide page "send through a smart host": its files are accepted together, and routing does what the page says."""

import re
from pathlib import Path

from penfold import config
from penfold.config.check import check
from penfold.directory.maps import read_transport
from penfold.model import Recipient, Route, parse_address
from penfold.routing.base import Deliver, Question
from penfold.service.compose import House

PAGE = (Path(__file__).parents[2] / "docs/guide/send-through-a-smart-host.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
TOML = [text for language, text in BLOCKS if language == "toml"]


def test_configuration_and_secrets_of_the_page_have_no_problem(tmp_path):
    (tmp_path / "penfold.toml").write_text(TOML[0])
    (tmp_path / "secrets.toml").write_text(TOML[1])
    (tmp_path / "secrets.toml").chmod(0o600)
    assert [str(finding) for finding in check(str(tmp_path / "penfold.toml")) if finding.severity == "error"] == []


def test_the_log_in_needs_tls_as_the_page_says(tmp_path):
    (tmp_path / "penfold.toml").write_text(
        TOML[0].replace("smart_host_login", 'smart_host_tls = "opportunistic"\nsmart_host_login')
    )
    (tmp_path / "secrets.toml").write_text(TOML[1])
    (tmp_path / "secrets.toml").chmod(0o600)
    assert any("in the clear" in finding.problem for finding in check(str(tmp_path / "penfold.toml")))


def test_mail_for_others_goes_to_the_smart_host_and_ours_stays():
    house = House(config.loads(TOML[0]))

    def route(address):
        recipient = Recipient(parse_address(address))
        found = house.routing.resolve(Question(recipient, None, "dispatch", "")).result
        assert isinstance(found, Deliver)
        return found.route

    assert route("friend@elsewhere.example").mailer == "smtp"
    assert route("friend@elsewhere.example").host == "[smtp.provider.example]:587"
    assert route("ada@example.test") == Route("local", "", "ada@example.test")


def test_the_transport_table_and_the_masquerade_are_read():
    (table,) = [text for language, text in BLOCKS if not language]
    assert set(read_transport(table, "page")) == {"partner.test", ".lab.test"}
    assert config.loads(TOML[2]).routing.masquerade == {"mail.example.test": "example.test"}
    assert config.loads(TOML[3]).routing.transports == "/transports"
