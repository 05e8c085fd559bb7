"""The shape of evidence; its JSON is what `astro-xcom evidence --json` prints."""

from typing import Literal

from pydantic import Field

from astro_xcom.report.model import Finding, Model

Source = Literal["planned", "applied", "planned, not applied", "applied, not planned"]


class Fact(Model):
    """One fact."""

    what: str
    value: str
    source: Source
    """`planned`: the settings say so. `applied`: the state that was given says so."""
    prose: bool = Field(default=False, exclude=True)
    """Whether the value is a sentence, rather than what a cloud or Terraform calls it."""


class Section(Model):
    """Facts that answer one question."""

    title: str
    facts: tuple[Fact, ...]


class AcceptedFinding(Model):
    """What a scanner may find, and why that is right."""

    scanner: str
    id: str
    reason: str
    setting: str | None
    """What satisfies the check, where anything does."""


class Evidence(Model):
    """Everything of one deployment."""

    version: Literal[1] = 1
    """Changes when the shape changes in a way that readers notice."""
    file: str
    deployment: str
    cloud: str
    compared: Literal["nothing", "outputs", "state"]
    """What was given of the applied state."""
    sections: tuple[Section, ...]
    accepted: tuple[AcceptedFinding, ...]
    """By the settings, whatever is applied."""
    required: tuple[str, ...]
    """What others must do, outside of this deployment."""
    differences: tuple[Finding, ...]
    """Between the file and the applied state."""
