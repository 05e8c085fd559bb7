"""What all settings have in common, and the checked types their fields are made of."""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    StrictBool,
    StrictInt,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from typing_extensions import Self

from astro_xcom.errors import SettingError, SettingErrors
from astro_xcom.field_docstrings import describe
from astro_xcom.rules import aws as rules
from astro_xcom.rules import common

Rule = TypeVar("Rule", bound=Callable[[Any], Iterator[str | SettingError]])
VALID: ContextVar[dict[str, Any]] = ContextVar("VALID")
"""The fields of the section that is read now, as far as each is right alone."""


def together(rule: Rule) -> Rule:
    """A method of settings that yields, or raises, what is wrong with several fields of them together."""
    rule.of_several = True  # type: ignore[attr-defined]
    return rule


class Settings(BaseModel):
    """Frozen; an unknown key is an error, and so is a number or a truth value given as text.

    What is wrong with a field, and with fields together, is raised at once. A rule about several fields is left out
    where one of them is wrong itself.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra=describe, defer_build=True)

    @field_validator("*", mode="after")
    @classmethod
    def _keep(cls, value: Any, info: ValidationInfo) -> Any:
        VALID.get()[str(info.field_name)] = value
        return value

    @model_validator(mode="wrap")
    @classmethod
    def _at_once(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        valid: dict[str, Any] = {}
        outer = VALID.set(valid)
        try:
            found = handler(given)
        except ValidationError as error:
            wrong = {details["loc"][0] for details in error.errors() if details["loc"]}
            known = {name: value for name, value in valid.items() if name not in wrong}
            part = cls.model_construct(_fields_set=set(given) if isinstance(given, Mapping) else None, **known)
            for name in wrong:
                part.__dict__.pop(str(name), None)  # a rule that asks for it ends in an AttributeError
            problems = list(_problems(part, AttributeError)) if isinstance(given, Mapping) else []
            if not problems:
                raise
            raise ValidationError.from_exception_data(
                error.title, [*map(_again, error.errors()), _refused(given, problems)]
            ) from None
        finally:
            VALID.reset(outer)
        if problems := list(_problems(found)):
            raise ValidationError.from_exception_data(cls.__name__, [_refused(given, problems)])
        return found


def _problems(settings: Settings, *unknown: type[Exception]) -> Iterator[str | SettingError]:
    """What the rules about several fields find; a rule ends where it asks for what is `unknown`."""
    for name in _rules(type(settings)):
        try:
            yield from getattr(settings, name)()
        except SettingError as refused:
            yield refused
        except SettingErrors as refusals:
            yield from refusals.problems
        except unknown:
            continue


@functools.cache
def _rules(model: type[Settings]) -> list[str]:
    return [name for name in dir(model) if getattr(getattr(model, name, None), "of_several", False)]


def _again(details: Any) -> Any:
    """An error of pydantic, to be raised with others."""
    return {key: details[key] for key in ("type", "loc", "input", "ctx") if key in details}


def _refused(given: Any, problems: list[str | SettingError]) -> Any:
    return {"type": "value_error", "loc": (), "input": given, "ctx": {"error": SettingErrors(problems)}}


Flag = StrictBool
Count = StrictInt
Tags = dict[str, str]

ObjectPath = Annotated[
    str, AfterValidator(common.object_path), Field(json_schema_extra={"pattern": r"^[A-Za-z0-9_.=/-]*$"})
]
DnsLabel = Annotated[
    str, AfterValidator(common.namespace), Field(json_schema_extra={"pattern": r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"})
]
AwsRegion = Annotated[str, AfterValidator(rules.aws_region)]
