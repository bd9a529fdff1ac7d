"""The ways out to other hosts as the configuration asks for them."""

import asyncio
import os

import pytest

from penfold.config.places import Endpoint
from penfold.config.sections import Concurrency, Config, Dns, Listener, Routing, Tls
from penfold.model import ConfigError
from penfold.net.answers import Found, Kind
from penfold.net.driver import Driver
from penfold.service import outgoing
from penfold.transport.mailers.hop import Account, Security

ME = Account("me", "secret")


def mailers(config, **options):
    async def build():
        return outgoing.ways_out(config, None, Driver(), **options)

    return asyncio.run(build())


def smart(**options):
    return Config(hostname="me.example", routing=Routing(smart_host="[smart.example]:587", **options))


def test_there_are_smtp_and_lmtp():
    smtp, lmtp = mailers(Config(hostname="me.example", concurrency=Concurrency(messages_per_connection=7)))
    assert (smtp.name, smtp.port, lmtp.name, lmtp.port) == ("smtp", 25, "lmtp", 24)
    assert smtp._settings.per_connection == 7
    assert smtp._settings.terms.security is Security.OPPORTUNISTIC
    assert not smtp._settings.client.lmtp
    assert lmtp._settings.client.lmtp


def test_the_smart_host_gets_our_log_in_and_must_be_who_it_says():
    terms = outgoing.smart_host(smart(smart_host_login="provider"), ME)["[smart.example]:587"]
    assert (terms.account, terms.security, terms.verify) == (ME, Security.REQUIRED, True)
    terms = outgoing.smart_host(smart(smart_host_tls="opportunistic"), ME)["[smart.example]:587"]
    assert (terms.account, terms.security, terms.verify) == (None, Security.OPPORTUNISTIC, False)


def with_login(path, text):
    path.write_text(text)
    os.chmod(path, 0o600)
    return Config(secrets=str(path), routing=Routing(smart_host="[smart.example]", smart_host_login="provider"))


def test_the_log_in_is_read_from_the_secrets_file(tmp_path):
    config = with_login(tmp_path / "secrets.toml", '[login.provider]\nuser = "me"\npassword = "secret"\n')
    (smtp, _) = mailers(config, account=outgoing.login(config))
    assert smtp._settings.special["[smart.example]"].account == ME


def test_a_log_in_that_is_not_there_is_told_before_any_mail_is_refused(tmp_path):
    config = with_login(tmp_path / "secrets.toml", "")
    with pytest.raises(ConfigError, match="no log-in 'provider'"):
        outgoing.login(config)
    with pytest.raises(ConfigError, match="was not read"):
        mailers(config)


def test_without_a_log_in_nothing_is_read():
    assert outgoing.login(Config()) is None


def test_authorities_that_cannot_be_read_are_told():
    with pytest.raises(ConfigError, match="cannot read"):
        mailers(Config(tls=Tls(client_ca="/nowhere/ca.pem")))


def test_our_listeners_are_known():
    def config(*places):
        return Config(listen=(Listener(addresses=tuple(Endpoint(host, port) for host, port in places)),))

    ours = outgoing.listening(config(("127.0.0.1", 2525)))
    assert ours("127.0.0.1", 2525)
    assert not ours("127.0.0.1", 2526)
    assert not ours("127.0.0.2", 2525)
    ours = outgoing.listening(config(("0.0.0.0", 25)))
    assert ours("127.0.0.2", 25)
    assert not ours("192.0.2.200", 25)


def test_names_of_the_configuration_need_no_name_server():
    resolver = outgoing.resolver(
        Config(dns=Dns(hosts={"mx.example": "127.0.0.9"}, resolvers=(Endpoint("127.0.0.1", 9),)))
    )
    assert asyncio.run(resolver.ask("mx.example", Kind.A)) == Found(("127.0.0.9",), canonical="mx.example")
