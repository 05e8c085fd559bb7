"""What the JSON requires of Terraform itself."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from astro_xcom.errors import SettingError
from astro_xcom.settings.base import Settings

PART = re.compile(r"(=|!=|>=|<=|>|<|~>)?\s*(\d+(?:\.\d+){0,2}(?:-[0-9A-Za-z.-]+)?)")
NUMBER = re.compile(r"\d+(?:\.\d+){0,2}")


def version_constraint(value: str) -> str:
    """A version constraint of Terraform, such as `~> 6.25`. Default: exactly the version of the bindings."""
    parts = [PART.fullmatch(part.strip()) for part in value.split(",")]
    if not all(parts):
        number = NUMBER.search(value)
        raise SettingError(
            "must be a version constraint of Terraform: versions of up to three numbers, each after =, !=, >, >=, <, "
            "<= or ~>, with a comma between two of them",
            got=value,
            hint=f'"~> {number[0]}"' if number else '"~> 6.25"',
        )
    return ", ".join(" ".join(filter(None, part.groups())) for part in parts if part)


VersionConstraint = Annotated[str, AfterValidator(version_constraint)]


class Providers(Settings):
    """Versions of providers, for a registry or policy that requires other versions than those of the bindings.

    Stay within the same major version: the JSON contains the arguments of the bindings' version. Each stack names only
    the providers that it uses.
    """

    aws: VersionConstraint | None = None
    azurerm: VersionConstraint | None = None
    google: VersionConstraint | None = None
    helm: VersionConstraint | None = None


class TerraformSettings(Settings):
    """What the JSON requires of Terraform itself."""

    providers: Providers = Field(default_factory=Providers)
