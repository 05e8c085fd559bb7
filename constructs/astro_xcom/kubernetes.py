"""What Kubernetes takes in a pod: environment, text, names. What it does not, Helm would say at the last step. Pure."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from astro_xcom.errors import quoted
from astro_xcom.yaml_files import as_written

ENV_LISTS = ("env", "commonEnv")
CONTAINERS = ("containers", "initContainers", "extraContainers")
TEXT_MAPS = ("annotations", "labels", "nodeSelector", "podAnnotations", "podLabels", "matchLabels")
TEXT_LISTS = ("args", "command")
FREE = ("config",)  # in another program's own words
SOURCES = ("secretKeyRef", "configMapKeyRef", "fieldRef", "resourceFieldRef", "fileKeyRef")

LABEL = r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)"
PREFIX = r"(?=[^/]{1,253}/)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*/"
VARIABLE = r"[-._A-Za-z][-._A-Za-z0-9]*"  # Kubernetes 1.34 takes more; the chart supports 1.30


def walk(value: Any, path: str = "", *, free: bool = False) -> Iterator[tuple[str, str, Any]]:
    """(where, key, value) of everything in a mapping; entries of lists by their name, or else their place.

    `free`: also what is written in another program's words.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            where = f"{path}.{key}" if path else str(key)
            yield where, str(key), item
            if free or key not in FREE:
                yield from walk(item, where, free=free)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from walk(item, f"{path}[{_label(item, position)}]", free=free)


def _label(entry: Any, position: int) -> str | int:
    name = entry.get("name") if isinstance(entry, Mapping) else None
    return name if isinstance(name, str) and name else position


def env_lists(values: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """Every list of environment variables, wherever it stands: of the chart, a component or a container."""
    yield from ((where, value) for where, key, value in walk(values) if key in ENV_LISTS and isinstance(value, list))


def variables(values: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(where, name, entry) of every environment variable."""
    for where, entries in env_lists(values):
        for entry in entries:
            if isinstance(entry, Mapping) and isinstance(entry.get("name"), str):
                yield f"{where}[{entry['name']}]", entry["name"], entry


def env_from(values: Mapping[str, Any]) -> Iterator[str]:
    """Where variables come from objects of the cluster, so that nobody can read them here."""
    yield from (where for where, key, value in walk(values) if key == "envFrom" and value)


def env_problems(values: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the form of environment variables."""
    for where, value in _places_of_env(values):
        if value is not None and not isinstance(value, list):
            yield f"{where}: must be a list of entries with a name; got {outline(value)}"
    for where, entries in env_lists(values):
        seen = set()
        for position, entry in enumerate(entries):
            name = entry.get("name") if isinstance(entry, Mapping) else None
            if not isinstance(name, str) or not name:
                yield f"{where}[{position}]: must be a mapping with a name; got {outline(entry)}"
            elif name in seen:
                yield f"{where}[{name}]: is there twice; keep one of them"
            elif not re.fullmatch(VARIABLE, name):
                yield (
                    f"{where}[{position}].name: must be letters, digits and _ . - only, not starting with a digit, and "
                    f"its value stands in value; got {quoted(name)}"
                )
            if isinstance(name, str):
                seen.add(name)


def value_problem(entry: Mapping[str, Any]) -> str | None:
    """What is wrong with the value of an environment variable."""
    value, source = entry.get("value"), entry.get("valueFrom")
    if source is None:
        return None if isinstance(entry.get("value", ""), str) else not_text(value)
    if value not in (None, ""):
        return "has both value and valueFrom; keep one of them"
    given = [key for key in source if source[key] is not None] if isinstance(source, Mapping) else []
    if len(given) != 1 or given[0] not in SOURCES:
        return f"valueFrom must have exactly one of {', '.join(SOURCES)}; got {quoted(source)}"
    return None


def text_problems(values: Mapping[str, Any], *, but: Collection[str] = ()) -> Iterator[str]:
    """Where Kubernetes takes only text, and there is something else; and labels that it refuses.

    `but`: keys of which something else is said.
    """
    for where, key, value in walk(values):
        if key in TEXT_MAPS and value is not None:
            yield from _text_map(where, key, value, but)
        elif key in TEXT_LISTS and isinstance(value, list):
            yield from (
                f"{where}[{position}]: {not_text(item)}"
                for position, item in enumerate(value)
                if not isinstance(item, str)
            )
        elif key == "tolerations" and isinstance(value, list):
            for position, toleration in enumerate(value):
                for part in ("key", "operator", "value", "effect"):
                    text = toleration.get(part) if isinstance(toleration, Mapping) else None
                    if text is not None and not isinstance(text, str):
                        yield f"{where}[{position}].{part}: {not_text(text)}"
        elif key in ("matchExpressions", "matchFields") and isinstance(value, list):
            for position, expression in enumerate(value):
                texts = expression.get("values") if isinstance(expression, Mapping) else None
                for text in texts if isinstance(texts, list) else ():
                    if not isinstance(text, str):
                        yield f"{where}[{position}].values: {not_text(text)}"


def not_text(value: Any) -> str:
    """What to say of what should be text."""
    text = as_written(value)
    if text is not None:
        return f'must be text; got {text}; try "{text}" in quotes'
    if value is None:
        return 'must be text; got null; try "" in quotes'
    return f"must be text; got {quoted(value)}" + ("; put it in quotes" if isinstance(value, bool) else "")


def outline(value: Any) -> str:
    """A value for a message; of a mapping, which may hold what is secret, only the keys."""
    return f"a mapping of {quoted(list(value))}" if isinstance(value, Mapping) else quoted(value)


def _text_map(where: str, key: str, value: Any, but: Collection[str]) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{where}: must be a mapping of texts; got {quoted(value)}"
        return
    for name, text in value.items():
        if not isinstance(name, str) or not re.fullmatch(f"({PREFIX})?{LABEL}", name):
            yield (
                f"{where}: a key must be 1-63 letters, digits and _ . -, starting and ending with a letter or digit, "
                f"behind a domain and a slash if need be; got {quoted(name)}"
            )
        if text is None or name in but:
            continue
        if not isinstance(text, str):
            yield f"{where}.{name}: {not_text(text)}"
        elif not key.lower().endswith("annotations") and not re.fullmatch(f"{LABEL}?", text):
            yield (
                f"{where}.{name}: must be at most 63 letters, digits and _ . -, starting and ending with a letter or "
                f"digit; got {quoted(text)}"
            )


def _places_of_env(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Where the chart or Kubernetes reads an environment. Elsewhere, as in a node selector, env is a word as others."""
    yield "commonEnv", values.get("commonEnv")
    for key in ("loggingSidecar", "dagProcessor", "triggerer", "sentinel"):
        if isinstance(values.get(key), Mapping):
            yield f"{key}.env", values[key].get("env")
    for where, key, value in walk(values):
        if key in ("workers", *CONTAINERS) and isinstance(value, list):
            for position, entry in enumerate(value):
                if isinstance(entry, Mapping):
                    yield f"{where}[{_label(entry, position)}].env", entry.get("env")
