"""What all settings have in common, and the checked types their fields are made of."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt

from astro_xcom import names


class Settings(BaseModel):
    """Frozen; an unknown key is an error, and so is a number or a truth value given as text."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=False)


def Text(check: Callable[[str], str], *, pattern: str | None = None, example: str | None = None) -> Any:  # noqa: N802
    """A text that follows one rule of astro_xcom.names; pattern and example are for editors."""
    return Annotated[
        str,
        AfterValidator(check),
        Field(examples=[example] if example else None, json_schema_extra={"pattern": pattern} if pattern else None),
    ]


Flag = StrictBool
Count = StrictInt
Tags = dict[str, str]

ObjectPath = Annotated[
    str, AfterValidator(names.object_path), Field(json_schema_extra={"pattern": r"^[A-Za-z0-9_.=/-]*$"})
]
DnsLabel = Annotated[
    str, AfterValidator(names.dns_label), Field(json_schema_extra={"pattern": r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"})
]
AwsRegion = Annotated[str, AfterValidator(names.aws_region)]
