"""JSON that others wrote: read within limits, and refused in words where it has another shape."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from astro_xcom.errors import AstroXComError, SettingError

DEEPEST = 100
OTHER_SHAPE = (ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What Python raises when a list stands where a mapping should, a number is 1e30, or a text has a NUL."""


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError for what is none, or nested deeper than any real document."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError(f"it is nested more than {DEEPEST} deep") from None
    level = [value]
    for _ in range(DEEPEST):
        level = [item for each in level for item in _items(each)]
        if not level:
            return value
    raise ValueError(f"it is nested more than {DEEPEST} deep")


@contextmanager
def shaped(rule: str, **options: Any) -> Iterator[None]:
    """Read JSON as if it had its shape: what it then lacks is SettingError with this rule."""
    try:
        yield
    except AstroXComError:
        raise
    except OTHER_SHAPE as error:
        raise SettingError(rule, **options) from error


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
