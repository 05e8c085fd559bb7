"""Values that Terraform fills in later."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from cdktf import Token

T = TypeVar("T")


def is_known(value: Any) -> bool:
    """Whether a value can be read now, rather than filled in by Terraform."""
    if isinstance(value, Mapping):
        return all(is_known(item) for item in value.values())
    if (isinstance(value, str) and "${" in value) or Token.is_unresolved(value):
        return False
    return not isinstance(value, (list, tuple)) or all(is_known(item) for item in value)


def check(rule: Callable[[T], T], value: T | None) -> None:
    """Apply a rule of astro_xcom.names to a value that can be read."""
    if value is not None and is_known(value):
        rule(value)
