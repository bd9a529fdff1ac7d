"""Where role local makes room for mailboxes before any mail comes."""

from penfold.service.roles.local import parents


def test_every_domain_below_the_mail_root_gets_its_directory():
    paths = ["/srv/mail/a.example/ada", "/srv/mail/a.example/bob", "/srv/mail/b.example/deep/eve"]
    assert parents("/srv/mail", paths) == ["/srv/mail/a.example", "/srv/mail/b.example/deep"]


def test_directories_outside_the_mail_root_are_the_administrators():
    paths = ["/srv/mail/top", "/home/ada/Maildir", "/srv/mail/../etc/box", "/srv/mailman/a.example/ada"]
    assert parents("/srv/mail", paths) == []
