"""Reads YAML the way Helm does, and refuses what Helm would silently change or lose."""

import functools
import math
import re
from pathlib import Path
from typing import Any

import yaml

from astro_xcom.refusal import Refusals, Refused

LARGEST_INTEGER = 2**53  # Helm reads every number as a 64-bit float


class HelmLoader(yaml.SafeLoader):
    """YAML with the scalars of Helm's parser: `y` is true, `1e3` a number, `12:30` and dates are text."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - in place of all of PyYAML's

    def construct_mapping(  # noqa: D102 - PyYAML's
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Any, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise yaml.MarkedYAMLError(problem="a key must be text: quote it", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f'the key "{key.value}" stands twice (first in line {seen[key.value]}): the first is lost',
                    problem_mark=key.start_mark,
                )
            seen[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)


def _number(loader: HelmLoader, node: yaml.ScalarNode) -> int | float:
    text = node.value.replace("_", "")
    sign, digits = (-1 if text[0] == "-" else 1), text.lstrip("+-")
    try:
        if re.fullmatch(r"0[0-7]+", digits):
            number: int | float = sign * int(digits, 8)
        elif re.fullmatch(r"0[xXoObB][0-9a-fA-F]+|[1-9]\d*|0", digits):
            number = sign * int(digits, 0)
        else:
            number = sign * float(digits)
    except ValueError:
        raise yaml.MarkedYAMLError(problem="not a number", problem_mark=node.start_mark) from None
    if math.isinf(number) or (isinstance(number, int) and abs(number) > LARGEST_INTEGER):
        raise yaml.MarkedYAMLError(
            problem=f"Helm cannot hold the number {node.value} exactly: quote it", problem_mark=node.start_mark
        )
    return number


def _not_finite(loader: HelmLoader, node: yaml.ScalarNode) -> None:
    raise yaml.MarkedYAMLError(problem=f"Helm has no number {node.value}: quote it", problem_mark=node.start_mark)


def _true(loader: HelmLoader, node: yaml.ScalarNode) -> bool:
    return node.value.lower() in ("y", "yes", "true", "on")


for _tag, _pattern, _first in (
    ("bool", r"y|Y|n|N|(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)", "yYnNtTfFoO"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
    (
        "int",  # all of Helm's numbers; whether one is a float shows in its text
        r"[-+]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?)",
        "-+.0123456789",
    ),
):
    HelmLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))
HelmLoader.add_constructor("tag:yaml.org,2002:int", _number)
HelmLoader.add_constructor("tag:yaml.org,2002:float", _not_finite)
HelmLoader.add_constructor("tag:yaml.org,2002:bool", _true)


@functools.lru_cache(maxsize=64)
def parse(text: str) -> Any:
    """The content of one YAML document. Do not change it: it is shared.

    Raises Refused with the line for invalid YAML, a key given twice or not text, and numbers Helm cannot hold.
    """
    try:
        return yaml.load(text, Loader=HelmLoader)  # noqa: S506 - HelmLoader is a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise Refused(f"{where}{error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise Refused(f"not YAML: {' '.join(str(error).split())}") from None


def read_mapping(path: Path, *, name: str) -> dict[str, Any]:
    """The top-level mapping of a YAML file. Raises Refusals that start with `name`."""
    try:
        content = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refusals([f"{name}: no such file"]) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise Refusals([f"{name}: cannot be read: {reason}"]) from None
    except Refused as error:
        raise Refusals([f"{name}: {error}"]) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise Refusals([f"{name}: must be a mapping of keys to values; got {type(content).__name__}"])
    return content
