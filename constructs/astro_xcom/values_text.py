"""A values file without what the settings give, comments and all else as they were. Pure."""

from collections.abc import Callable, Iterator
from typing import Any

import yaml

from astro_xcom.errors import SettingError
from astro_xcom.user_values import IDENTITY_MARKS
from astro_xcom.vendor_values import BACKEND
from astro_xcom.xcom import STATE_STORE_VARIABLES, XCOM_VARIABLES
from astro_xcom.yaml_files import parse

OURS = ("xcomBackend", "stateStoreBackend", "resourceNamePrefix", "namespace", "createNamespace")
OF_HELM = "USER-SUPPLIED VALUES"
"""What `helm get values` writes above them."""
Path = tuple[str, ...]


def cleaned(text: str, connection: str | None = None) -> str:
    """The text without what the settings give; `connection` is the variable of an Airflow connection of theirs.

    A file in which that cannot be cut out by whole lines is left as it is: equal values are accepted.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        return text

    def given(path: Path) -> bool:
        variable = path[1] if len(path) == 2 and path[0] == "commonEnv" else ""
        return (
            path[-1] in IDENTITY_MARKS
            or (len(path) == 1 and path[0] in (*OURS, OF_HELM))
            or variable in (BACKEND, connection)
            or variable.startswith((XCOM_VARIABLES, STATE_STORE_VARIABLES))
        )

    lines = text.splitlines(keepends=True)
    gone = {line for first, last in _cut(root, (), given, lines) for line in range(first, last)}
    left = "".join(line for number, line in enumerate(lines) if number not in gone)
    try:
        same = parse(left or "{}") == _without(parse(text), (), given)
    except SettingError:
        same = False
    return left if same else text


def _cut(node: yaml.Node, path: Path, given: Callable[[Path], bool], lines: list[str]) -> Iterator[tuple[int, int]]:
    """The lines (first, one after the last) of what is given; a mapping or list that loses everything goes whole."""
    children = list(_children(node, path))
    for place, first, value in children:
        if given(place) or _all_given(value, place, given):
            yield first, _end(value, lines)
        else:
            yield from _cut(value, place, given, lines)


def _all_given(node: yaml.Node, path: Path, given: Callable[[Path], bool]) -> bool:
    children = list(_children(node, path))
    return bool(children) and all(given(place) or _all_given(value, place, given) for place, _, value in children)


def _children(node: yaml.Node, path: Path) -> Iterator[tuple[Path, int, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*path, str(key.value)), key.start_mark.line, value
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            pairs = item.value if isinstance(item, yaml.MappingNode) else ()
            name = next((str(value.value) for key, value in pairs if key.value == "name"), "")
            yield (*path, name), item.start_mark.line, item


def _end(node: yaml.Node, lines: list[str]) -> int:
    """One after the last line of a node: comments and blank lines that follow a block belong to what comes next."""
    end = node.end_mark.line + (
        1 if node.end_mark.column and lines[node.end_mark.line][: node.end_mark.column].strip() else 0
    )
    while end > node.start_mark.line + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    return max(end, node.start_mark.line + 1)


def _without(value: Any, path: Path, given: Callable[[Path], bool]) -> Any:
    if isinstance(value, dict):
        kept = {key: _without(item, (*path, key), given) for key, item in value.items() if not given((*path, key))}
        return {key: item for key, item in kept.items() if item not in ({}, []) or item == value[key]}
    if isinstance(value, list):
        named = [(item.get("name", "") if isinstance(item, dict) else "", item) for item in value]
        return [_without(item, (*path, name), given) for name, item in named if not given((*path, name))]
    return value
