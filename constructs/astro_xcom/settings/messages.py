"""pydantic's errors in the words of the settings."""

import difflib
import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from astro_xcom.errors import SettingError, SettingErrors, quoted, with_hint
from astro_xcom.yaml_files import as_written

KINDS = {
    "string_type": "must be text (in quotes)",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "tuple_type": "must be a list",
    "string_too_short": "must not be empty",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
}
NAMED_BY = ("bucket", "account", "name", "role_name", "service_account_id", "path")
"""What a mapping is called by, where its name alone was given."""

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """Names places of the file: under their deployment, or under `defaults` when they stand only there."""

    name: str
    given: Mapping[str, Any]
    defaults: Mapping[str, Any]

    def of(self, path: Path) -> str:
        """A path as its reader would write it."""
        only_default = path and not _has(self.given, path) and _has(self.defaults, path)
        text = "defaults" if only_default else self.name
        for part in path:
            text += f"[{part}]" if isinstance(part, int) else f".{part}"
        return text if text.isprintable() else quoted(text)

    def position(self, path: Path) -> int:
        """Where the file comes to it; what is missing comes last."""
        keys = list(self.given)
        return keys.index(path[0]) if path and path[0] in keys else len(keys)


def explain(error: ValidationError, model: type[BaseModel], place: Place) -> list[str]:
    """A line for each error, in the order of the file: its place, the rule, what came, and what to try."""
    lines = []
    for details in sorted(error.errors(), key=lambda details: place.position(details["loc"])):
        path = details["loc"]
        cause = details.get("ctx", {}).get("error")
        if isinstance(cause, SettingErrors):
            lines += [f"{place.of(_at(path, problem))}: {problem}" for problem in cause.problems]
            continue
        if isinstance(cause, SettingError):
            path, text = _at(path, cause), str(cause)
        elif details["type"] == "missing":
            text = "is required"
        elif details["type"] == "extra_forbidden":
            text = unknown_key(str(path[-1]), _model_at(model, path[:-1]).model_fields)
        elif details["type"] == "literal_error":
            allowed = re.findall("'([^']*)'", details["ctx"]["expected"])
            near = difflib.get_close_matches(str(details["input"]).lower(), [each.lower() for each in allowed], n=1)
            hint = next((each for each in allowed if [each.lower()] == near), None)
            text = with_hint(f"must be {details['ctx']['expected']}; got {quoted(details['input'])}", hint)
        else:
            rule = KINDS.get(details["type"], details["msg"][:1].lower() + details["msg"][1:])
            rule = rule.format(**details.get("ctx", {}))
            hint = _in_quotes(details) or _as_mapping(details, model, path)
            text = with_hint(f"{rule}; got {quoted(details['input'])}", hint)
        lines.append(f"{place.of(path)}: {text}")
    return lines


def _at(path: Path, problem: str | SettingError) -> Path:
    """The path with the field of a refusal, `trusted_clusters[0].region` say."""
    field = problem.field if isinstance(problem, SettingError) else None
    parts = re.findall(r"[^.\[\]]+", field or "")
    return (*path, *(int(part) if part.isdigit() else part for part in parts))


def _in_quotes(details: Any) -> str | None:
    """For a number where text is asked for: the text as it was written."""
    written = as_written(details["input"]) if details["type"] == "string_type" else None
    return None if written is None else f'"{written}"'


def _as_mapping(details: Any, model: type[BaseModel], path: Path) -> str | None:
    """For a name where a mapping is asked for: that name under the key that takes it."""
    if details["type"] not in ("model_type", "model_attributes_type") or not isinstance(details["input"], str):
        return None
    key = next((key for key in NAMED_BY if key in _model_at(model, path).model_fields), None)
    return None if key is None else f"{{{key}: {quoted(details['input'])}}}"


def unknown_key(key: str, allowed: Iterable[str]) -> str:
    """What to say of a key that nothing reads."""
    name, colon, rest = key.partition(":")
    if colon and rest and name in allowed:
        return f'is not a setting: a space is missing after "{name}:"'
    near = difflib.get_close_matches(key, list(allowed), n=1)
    hint = f"; try {near[0]}" if near else ""
    return f"is not a setting; there are {', '.join(allowed)}{hint}"


def _has(values: Any, path: Path) -> bool:
    for part in path:
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _model_at(model: type[BaseModel], path: Path) -> type[BaseModel]:
    is_key = False
    for part in path:
        if isinstance(part, str) and not is_key:
            annotation = model.model_fields[part].annotation
            model, is_key = next(_models_in(annotation)), typing.get_origin(annotation) is dict
        else:
            is_key = False
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)
