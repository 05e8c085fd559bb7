"""Reads YAML the way Helm does, and refuses what Helm would silently change or lose."""

import functools
import re
from pathlib import Path
from typing import Any

import yaml

from astro_xcom.errors import SettingError, SettingErrors, quoted
from astro_xcom.files import read_text
from astro_xcom.yaml_mistakes import TEMPLATE, Own, in_words

TEXT, MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
LARGEST_FLOAT = 1e200  # CDKTF takes numbers of some 1e289 for its own tokens
LARGEST_FILE = 2**19
"""Bytes. Kubernetes stores no release of 1 MiB, and PyYAML takes seconds for what is half of that."""
LARGEST_CONTENT = 200_000
"""Scalars, lists and mappings, those that aliases repeat counted as often as they stand."""
DEEPEST = 100
UNSPEAKABLE = "__proto__"
"""A key that no mapping of JavaScript may have."""
LARGEST_INTEGER = 2**53  # Helm reads every number as a 64-bit float


class WrittenInt(int):
    """A whole number that is written in another way than it prints, such as 0123, with that text."""

    text: str


class WrittenFloat(float):
    """A number that is written in another way than it prints, such as 1.50, with that text."""

    text: str


def as_written(value: Any) -> str | None:
    """The text that a number was read from. None for what is no number: `yes` and `true` are the same when read."""
    if isinstance(value, (WrittenInt, WrittenFloat)):
        return value.text
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


class HelmLoader(yaml.SafeLoader):
    """YAML with the scalars of Helm's parser: `y` is true, `1e3` a number, `12:30` and dates are text.

    What the two would still read differently is refused: tags, keys that are not text, odd spellings of numbers.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - in place of all of PyYAML's

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: D102 - PyYAML's
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in self._open:
                raise _error(f"*{event.anchor} stands inside of what it names", event.start_mark)
            self._aliases = True
            return super().compose_node(parent, index)
        if event.tag not in (None, TEXT):
            raise _error(f"the tag {event.tag} is not read the same everywhere: leave it out", event.start_mark)
        if len(self._open) == DEEPEST:
            raise _error(f"is nested more than {DEEPEST} deep", event.start_mark)
        self._open.append(event.anchor)
        node = super().compose_node(parent, index)
        self._open.pop()
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
        if isinstance(node, yaml.CollectionNode):
            items = [item for pair in node.value for item in pair] if isinstance(node, yaml.MappingNode) else node.value
            self._sizes[id(node)] = 1 + sum(self._sizes.get(id(item), 1) for item in items)
            if self._sizes[id(node)] > LARGEST_CONTENT:
                what = "its aliases repeat too much" if self._aliases else "it is too large"
                raise _error(f"{what}: more than {LARGEST_CONTENT:,} values", event.start_mark)
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Put what `<<` names in front. Of one key the last value counts, while PyYAML 6.0.4 takes the first."""
        pairs: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            if key.tag != MERGE:
                pairs[key.value] = (key, value)
                continue
            merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
            if not all(isinstance(each, yaml.MappingNode) for each in merged):
                super().flatten_mapping(node)  # says what is wrong
            for each in reversed(merged):
                self.flatten_mapping(each)
                pairs |= {each_key.value: (each_key, item) for each_key, item in each.value}
        node.value = list(pairs.values())

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._open: list[str | None] = []  # the anchors of the nodes around
        self._sizes: dict[int, int] = {}  # of lists and mappings, by the id of their nodes
        self._aliases = False


def _error(problem: str, mark: Any) -> Own:
    return Own(problem=problem, problem_mark=mark)


def _check_keys(node: yaml.MappingNode) -> None:
    seen: dict[str, int] = {}
    for position, (key, _) in enumerate(node.value):
        if key.tag == MERGE:
            if position:
                raise _error("<< must come first in its mapping", key.start_mark)
        elif key.value == UNSPEAKABLE:
            raise _error(f"the key {UNSPEAKABLE} cannot be told to CDKTF: leave it out", key.start_mark)
        elif _is_template(node, key):
            raise _error(TEMPLATE, node.start_mark)
        elif not _is_text(key):
            raise _error(f"a key must be text: quote it{_meaning(key)}", key.start_mark)
        elif key.value in seen:
            first = seen[key.value]
            raise _error(
                f'the key "{key.value}" stands twice (first in line {first}): the first is lost', key.start_mark
            )
        else:
            seen[key.value] = key.start_mark.line + 1


def _is_text(key: yaml.Node) -> bool:
    maybe_number = key.tag == "tag:yaml.org,2002:int" and not NUMBER.fullmatch(key.value.replace("_", ""))
    return isinstance(key, yaml.ScalarNode) and (key.tag == TEXT or maybe_number)


def _is_template(node: yaml.MappingNode, key: yaml.Node) -> bool:
    """Whether this is {{ ... }}: to YAML a mapping whose key is a mapping."""
    between = (key.start_mark.index - node.start_mark.index, node.end_mark.index - key.end_mark.index)
    return isinstance(key, yaml.MappingNode) and between == (1, 1)


def _meaning(key: yaml.Node) -> str:
    """What an unquoted word stands for."""
    if not isinstance(key, yaml.ScalarNode) or not key.value:
        return ""
    kind = key.tag.rpartition(":")[2]
    means = {"bool": "true" if _is_true(key) else "false", "null": "null"}.get(kind)
    return f" ({key.value} means {means})" if means not in (None, key.value) else ""


def _number(loader: HelmLoader, node: yaml.ScalarNode) -> int | float | str:
    number = _value(node)
    if isinstance(number, str) or str(number) == node.value:
        return number
    written = WrittenInt(number) if isinstance(number, int) else WrittenFloat(number)
    written.text = node.value
    return written


def _value(node: yaml.ScalarNode) -> int | float | str:
    # In front of a dot Helm takes only underscores between digits; elsewhere it drops them all.
    plain = re.sub("(?<=[0-9])_(?=[0-9])" if node.value.startswith(".") else "_", "", node.value)
    digits = plain.lstrip("+-")
    if not NUMBER.fullmatch(plain):
        return str(node.value)
    if re.fullmatch("0[0-7]+", digits):
        digits = f"0o{digits}"
    try:
        number = int(digits, 0) if re.fullmatch("0[xXoObB].*|[1-9][0-9]{0,18}|0", digits) else float(digits)
    except ValueError:
        raise _error(f"an odd number, {node.value}: quote it, or write it plainly", node.start_mark) from None
    if number > LARGEST_INTEGER and (isinstance(number, int) or number > LARGEST_FLOAT or digits.isdigit()):
        raise _error(f"Helm cannot hold the number {node.value[:25]} exactly: quote it", node.start_mark)
    return -number if plain.startswith("-") else number


def _not_finite(loader: HelmLoader, node: yaml.ScalarNode) -> None:
    raise _error(f"Helm has no number {node.value}: quote it", node.start_mark)


def _true(loader: HelmLoader, node: yaml.ScalarNode) -> bool:
    return _is_true(node)


def _is_true(node: yaml.ScalarNode) -> bool:
    return node.value.lower() in ("y", "yes", "true", "on")


def _text(loader: HelmLoader, node: yaml.ScalarNode) -> str:
    if re.search("[\ud800-\udfff]", node.value):
        raise _error("half of a character (\\ud800 to \\udfff): write the character itself", node.start_mark)
    return str(node.value)


NUMBER = re.compile(
    r"[-+]?(0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][-+]?[01]+|(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?)"
)
for _tag, _pattern, _first, _read in (
    (
        "bool",
        r"y|Y|n|N|(yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)",
        "yYnNtTfFoO",
        _true,
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""], HelmLoader.construct_yaml_null),
    ("merge", r"<<", "<", None),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+.", _not_finite),
    ("int", r"[-+.0-9][-+.0-9a-fA-FxXoO_]*", "-+.0123456789", _number),  # whatever may be a number to Helm
    ("str", r"(?!)", "", _text),
):
    HelmLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))
    if _read:
        HelmLoader.add_constructor(f"tag:yaml.org,2002:{_tag}", _read)


@functools.lru_cache(maxsize=64)
def parse(text: str) -> Any:
    """The content of one YAML document. Do not change it: it is shared.

    Raises SettingError with the line for invalid YAML, a key given twice or not text, and numbers Helm cannot hold.
    """
    try:
        return yaml.load(text, Loader=HelmLoader)  # noqa: S506 - HelmLoader is a SafeLoader
    except yaml.MarkedYAMLError as error:
        raise SettingError(in_words(error, text)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SettingError(f"line {line}: the character {text[error.position]!r} is not allowed") from None
    except RecursionError:  # brackets that the scanner meets before
        raise SettingError(f"is nested more than {DEEPEST} deep") from None


def read_mapping(path: Path, *, name: str, place: str | None = None) -> dict[str, Any]:
    """The top-level mapping of a YAML file.

    Raises SettingErrors that start with `name`; where there is no such file to read, with `place` if that is given.
    """
    try:
        content = parse(read_text(path, largest=LARGEST_FILE))
    except SettingError as error:
        cause, problem = error.__cause__, str(error)
        if isinstance(cause, OSError):
            missing = isinstance(cause, FileNotFoundError)
            problem = "no such file" if missing else f"cannot be read: {cause.strerror}"
        if isinstance(cause, OSError) or not path.is_file():
            name = place or name
        raise SettingErrors([f"{name}: {problem}"]) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingErrors([f"{name}: must be a mapping of keys to values; got {quoted(content)}"])
    return content
