"""What all settings have in common, and the checked types their fields are made of."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt

from astro_xcom import names
from astro_xcom.names import aws as rules


class Settings(BaseModel):
    """Frozen; an unknown key is an error, and so is a number or a truth value given as text."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, defer_build=True)


Flag = StrictBool
Count = StrictInt
Tags = dict[str, str]

ObjectPath = Annotated[
    str, AfterValidator(names.object_path), Field(json_schema_extra={"pattern": r"^[A-Za-z0-9_.=/-]*$"})
]
DnsLabel = Annotated[
    str, AfterValidator(names.namespace), Field(json_schema_extra={"pattern": r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"})
]
AwsRegion = Annotated[str, AfterValidator(rules.aws_region)]
