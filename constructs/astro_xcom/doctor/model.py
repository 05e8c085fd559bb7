"""The shape of a diagnosis; its JSON is what `astro-xcom doctor --json` prints."""

from typing import Literal

from astro_xcom.report.model import Model


class Check(Model):
    """One thing that was looked for."""

    check: str
    """What kind of thing: terraform, login, cluster, namespace, secret and so on."""
    of: str | None = None
    """Which of that kind."""
    status: Literal["ok", "missing", "unknown"]
    says: str
    """How it is; of what is unknown, why nobody can tell, in the command's own words."""
    create: str | None = None
    """The line that creates or mends what is missing."""


class Diagnosis(Model):
    """Everything `doctor --json` prints."""

    version: Literal[1] = 1
    """Changes when the shape changes in a way that readers notice."""
    file: str
    deployment: str
    checks: tuple[Check, ...]


def ok(check: str, of: str | None, says: str) -> Check:
    """It is there."""
    return Check(check=check, of=of, status="ok", says=says)


def missing(check: str, of: str | None, says: str, create: str | None) -> Check:
    """It is not there, or not as it has to be."""
    return Check(check=check, of=of, status="missing", says=says, create=create)


def unknown(check: str, of: str | None, says: str) -> Check:
    """Nobody can tell."""
    return Check(check=check, of=of, status="unknown", says=says)
