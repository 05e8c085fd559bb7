"""pydantic's errors in the words of the settings."""

import difflib
import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from astro_xcom.refusal import Refusals, Refused, shown
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
        return text if text.isprintable() else shown(text)

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
        if isinstance(cause, Refusals):
            lines += [f"{place.of(_at(path, problem))}: {problem}" for problem in cause.problems]
            continue
        if isinstance(cause, Refused):
            path, text = _at(path, cause), str(cause)
        elif details["type"] == "missing":
            text = "is required"
        elif details["type"] == "extra_forbidden":
            text = unknown_key(str(path[-1]), _model_at(model, path[:-1]).model_fields)
        elif details["type"] == "literal_error":
            text = f"must be {details['ctx']['expected']}; got {shown(details['input'])}"
        else:
            rule = KINDS.get(details["type"], details["msg"][:1].lower() + details["msg"][1:])
            rule = rule.format(**details.get("ctx", {}))
            text = f"{rule}; got {shown(details['input'])}{_in_quotes(details)}"
        lines.append(f"{place.of(path)}: {text}")
    return lines


def _at(path: Path, problem: str | Refused) -> Path:
    """The path with the field of a refusal, `trusted_clusters[0].region` say."""
    field = problem.field if isinstance(problem, Refused) else None
    parts = re.findall(r"[^.\[\]]+", field or "")
    return (*path, *(int(part) if part.isdigit() else part for part in parts))


def _in_quotes(details: Any) -> str:
    """For a number where text is asked for: the text as it was written."""
    written = as_written(details["input"]) if details["type"] == "string_type" else None
    return "" if written is None else f'; try "{written}"'


def unknown_key(key: str, allowed: Iterable[str]) -> str:
    """What to say of a key that nothing reads."""
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
    for part in path:
        if isinstance(part, str):
            model = next(_models_in(model.model_fields[part].annotation))
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)
