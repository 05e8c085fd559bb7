"""One thing that an apply does, and how bad it is."""

import json
from collections.abc import Iterable
from typing import Literal

from astro_xcom.report.model import Model

Kind = Literal["STOP", "QUIET", "SOON", "fine"]
KINDS: dict[Kind, str] = {
    "STOP": "something is lost for good, or Terraform does not see what runs",
    "QUIET": "agents are cut off",
    "SOON": "values expire earlier, costs start, or storage is not protected",
    "fine": "nothing is lost, and no agent is cut off",
}
"""The worst first."""


class Effect(Model):
    """One thing that the coming apply does."""

    kind: Kind
    code: str
    """A stable name, to allow a STOP by."""
    what: str
    instead: str | None = None
    """How to avoid it."""
    paste: str | None = None
    """Lines for the deployment that avoid it."""


def lines(section: str, setting: str, values: Iterable[str]) -> str:
    """A setting as lines of deployments.yaml."""
    return f"{section}:\n  {setting}:\n" + "".join(f"    - {json.dumps(value)}\n" for value in values)
