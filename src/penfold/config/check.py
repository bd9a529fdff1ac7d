"""Cross-checks of a configuration: what is well-formed but wrong, dangerous, or will not work on this host.

Each rule is a function from the Subject to findings; the tables of rules stand in ``exposure`` and ``coherence``.
Nothing is changed, nothing is connected to; files are looked at, never written.
"""

import time

from penfold.config import coherence, exposure
from penfold.config.document import Document
from penfold.config.finding import Finding, Rule, Subject, from_error
from penfold.config.load import examine
from penfold.config.sections import Config
from penfold.model.errors import ConfigError

RULES: tuple[Rule, ...] = (*exposure.RULES, *coherence.RULES)


def check(path: str, *, hostname: str = "", now: float | None = None) -> list[Finding]:
    """Check a configuration file, form and content; errors first, then in the order of the file."""
    try:
        loaded = examine(path, hostname=hostname)
    except ConfigError as error:
        return [from_error(error)]
    if loaded.config is None:
        return [from_error(error) for error in loaded.problems]
    found = check_config(loaded.config, loaded.document, time.time() if now is None else now)
    return sorted(found, key=lambda finding: (finding.severity, finding.line, finding.column))


def check_config(config: Config, document: Document, now: float) -> list[Finding]:
    """Apply every rule to a loaded configuration."""
    subject = Subject(config, document, now)
    return [finding for rule in RULES for finding in rule(subject)]


def load_checked(path: str, *, hostname: str = "") -> tuple[Config, list[Finding]]:
    """Load a configuration that is fit to run with; gives the warnings too. Raises ConfigError at the first error."""
    findings = check(path, hostname=hostname)
    for finding in findings:
        if finding.severity == "error":
            where = {"file": finding.file, "hint": finding.hint}
            raise ConfigError(finding.problem, line=finding.line, column=finding.column, **where)
    loaded = examine(path, hostname=hostname)
    if loaded.config is None:  # the file changed between the two readings
        raise loaded.problems[0]
    return loaded.config, findings
