"""What all roles hold of memory (PSS), at rest and after work. Any user may run it; as root with a user for each role.

TLS, submission and log-in are on. Work is mail in three sizes and a log-in, so that nothing is still to be loaded.
"""

import contextlib
import smtplib
import time

from bench.family import pss_of
from bench.record import keep, table
from bench.rig import DOMAIN, LoadClient, Work, free_port, scratch
from bench.scenario import main
from bench.servers import Penfold

MUST = 100.0  # MB
WORKS = (Work("small", 3000, 4096, 1), Work("many", 3000, 4096, 100), Work("large", 300, 102_400, 1))


def scenario() -> None:
    """Measure."""
    submission = free_port()
    extra = (
        f'[tls]\ncertificate = "auto"\n[listen.submission]\nrole = "submission"\n'
        f'addresses = ["127.0.0.1:{submission}"]\nauth_without_tls = true\n'
    )
    with scratch() as place:
        client, server = LoadClient(place), Penfold(place, extra=extra)
        try:
            time.sleep(1.0)
            rest = _by_role(server)
            _wrong_login(submission)
            for work in WORKS:
                client.run(server.port, work)
            _settle(server, sum(work.messages for work in WORKS))
            worked = _by_role(server)
        finally:
            server.stop()
    rows = [(role, f"{rest[role]:.1f}", f"{worked[role]:.1f}") for role in rest]
    total = sum(rest.values()), sum(worked.values())
    rows.append(("**all**", f"**{total[0]:.1f}**", f"**{total[1]:.1f}**"))
    text = f"{table(('role', 'at rest, MB', 'after work, MB'), rows)}\n\nPSS. Must: {MUST:.0f} MB in all, both times."
    keep("memory", "Memory", text, {"rest_mb": _rounded(rest), "worked_mb": _rounded(worked)})


def _by_role(server: Penfold) -> dict[str, float]:
    return {role: sum(map(pss_of, pids)) / 1e6 for role, pids in server.roles().items()}


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {role: round(figure, 1) for role, figure in figures.items()}


def _wrong_login(port: int) -> None:
    """Log in as nobody: that costs a whole hash."""
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as smtp:
        smtp.ehlo("bench.example")
        with contextlib.suppress(smtplib.SMTPAuthenticationError):
            smtp.login(f"u0@{DOMAIN}", "wrong")


def _settle(server: Penfold, messages: int) -> None:
    limit = time.monotonic() + 60.0
    while server.delivered() < messages and time.monotonic() < limit:
        time.sleep(0.2)
    time.sleep(2.0)


if __name__ == "__main__":
    main(scenario)
