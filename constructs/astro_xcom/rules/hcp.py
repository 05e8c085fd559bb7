"""The rules of names in HCP Terraform, checked before anything is written. Pure; every check returns its argument."""

import re

from astro_xcom.errors import SettingError
from astro_xcom.rules.common import suggestion

HOSTNAME = "app.terraform.io"
LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"


def hostname(value: str) -> str:
    """The host of HCP Terraform or Terraform Enterprise, with a port if it is not 443. Always reached with https."""
    if not re.fullmatch(rf"{LABEL}(\.{LABEL})*(:[0-9]{{1,5}})?", value):
        plain = re.sub(r"^[a-z]+://", "", value.strip().lower()).partition("/")[0]
        raise SettingError(
            "must be a host's name in lower case, without https:// or a path",
            got=value,
            hint=suggestion(hostname, value, plain),
        )
    return value


def organization(value: str) -> str:
    """An organization by its name."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", value):
        raise SettingError("must be letters, digits, hyphens or underscores", got=value)
    return value


def workspace(value: str) -> str:
    """A workspace by its name, which is unique in its organization."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,90}", value):
        raise SettingError(
            "must be 1-90 letters, digits, hyphens or underscores",
            got=value,
            hint=suggestion(workspace, value, _plain(value)[:90], "astro-xcom"),
        )
    return value


def project(value: str) -> str:
    """A project by its name."""
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9 _-]{1,38}[A-Za-z0-9_-]", value):
        plain = re.sub(r"[^A-Za-z0-9 _-]+", "-", value)[:40].strip(" -")
        raise SettingError(
            "must be 3-40 letters, digits, spaces, hyphens or underscores, without a space at either end",
            got=value,
            hint=suggestion(project, value, plain, "Default Project"),
        )
    return value


def _plain(value: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", value).strip("-")
