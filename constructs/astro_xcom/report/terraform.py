"""Terraform JSON, with every reference that can be known filled in."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from astro_xcom.terraform_text import CODE_POINT

Body = dict[str, Any]
Computed = Mapping[str, Callable[[Body], str | None]]
"""`type.attribute` -> that attribute, from the arguments of its block; None when it cannot be told."""

TEMPLATE = re.compile(r'(?P<escaped>[$%])[$%]\{|\$\{(?P<expression>(?:"(?:\\.|[^"\\])*"|[^{}"])*)\}')
REFERENCE = re.compile(r"(?P<block>(data\.)?[a-z0-9_]+\.[\w-]+)\.(?P<attribute>.+)")
DOCUMENT = re.compile(r"yamlencode\(local\.([\w-]+)\)")
UNKNOWN = re.compile(r"\(known after apply[^()]*\)")


@dataclass(frozen=True, kw_only=True)
class Stack:
    """What is in a stack: planned, or applied."""

    resources: Mapping[str, list[Body]]
    """Type -> the arguments of each resource."""
    data: Mapping[str, list[Body]] = field(default_factory=dict)
    providers: Mapping[str, Body] = field(default_factory=dict)
    outputs: Mapping[str, Any]
    agent_values: Body
    settings: Body = field(default_factory=dict)
    """The terraform block, with its backend."""
    complete: bool = True
    """Whether more than the outputs is known."""
    tainted: tuple[str, ...] = ()
    """Addresses of what Terraform could not finish."""

    def all(self, type_: str) -> list[Body]:
        """The resources of a type."""
        return self.resources.get(type_, [])

    def one(self, type_: str) -> Body:
        """The first resource of a type; empty if there is none."""
        return next(iter(self.all(type_)), {})

    @property
    def workers(self) -> dict[str, Body]:
        """What the outputs say of each worker that has an identity of its own."""
        found: dict[str, Body] = self.outputs.get("worker_identities") or {}
        return found

    @property
    def subjects(self) -> list[str]:
        """Everybody that is trusted with an identity."""
        own = (subject for worker in self.workers.values() for subject in worker["trusted_subjects"])
        return list(dict.fromkeys((*self.outputs["trusted_subjects"], *own)))

    @property
    def release(self) -> dict[str, str]:
        """Name, namespace, chart and version of the Helm release; empty if there is none."""
        release = self.one("helm_release")
        return {key: release[key] for key in ("name", "namespace", "chart", "version") if key in release}


def block(value: Any) -> Body:
    """A nested block, which Terraform also writes as a list of one."""
    found = value[0] if isinstance(value, list) and value else value
    return found if isinstance(found, dict) else {}


@dataclass(frozen=True, kw_only=True)
class Known:
    """What an applied state knows: the values of blocks by address, or single references."""

    blocks: Mapping[str, Body] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)


def planned(body: Body, computed: Computed, known: Known) -> Stack:
    """What is in a synthesized stack."""
    return _Planned(body, computed, known).stack()


class _Planned:
    def __init__(self, body: Body, computed: Computed, known: Known) -> None:
        self.body, self.computed, self.known = body, computed, known

    def stack(self) -> Stack:
        outputs = {name: output["value"] for name, output in self.body["output"].items()}
        encoded = outputs.pop("agent_values")
        match = DOCUMENT.search(encoded)
        assert match, encoded  # noqa: S101 - AgentValues writes it so
        values = self._value(self.body["locals"][match[1]])
        return Stack(
            resources=self._by_type("resource"),
            data=self._by_type("data"),
            providers={name: self._value(blocks[0]) for name, blocks in self.body.get("provider", {}).items()},
            outputs={name: self._value(value) for name, value in outputs.items()},
            settings=self._value(self.body["terraform"]),
            agent_values=_without_code_points(values) if encoded.startswith("${replace(") else values,
        )

    def _by_type(self, kind: str) -> dict[str, list[Body]]:
        return {type_: [self._value(each) for each in of.values()] for type_, of in self.body.get(kind, {}).items()}

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return TEMPLATE.sub(self._filled_in, value)
        if isinstance(value, dict):
            return {self._value(key): self._value(item) for key, item in value.items()}
        return [self._value(item) for item in value] if isinstance(value, list) else value

    def _filled_in(self, match: re.Match[str]) -> str:
        if match["escaped"]:
            return match["escaped"] + "{"
        expression = match["expression"]
        if expression.startswith('"'):
            return str(json.loads(expression))
        if expression.startswith("jsonencode(local."):
            return _json(self._value(self.body["locals"][expression[len("jsonencode(local.") : -1]]))
        reference = REFERENCE.fullmatch(expression)
        return self._attribute(expression, **reference.groupdict()) if reference else "(known after apply)"

    def _attribute(self, reference: str, block: str, attribute: str) -> str:
        kind, type_, name = ("resource", *block.split(".")) if block.count(".") == 1 else block.split(".")
        arguments = self.body[kind][type_][name]
        if isinstance(arguments.get(attribute), str):
            return str(self._value(arguments[attribute]))
        arguments = self._value(arguments)
        compute = self.computed.get(f"{type_}.{attribute}")
        found = (compute(arguments) if compute else None) or self.known.references.get(reference)
        applied = self.known.blocks.get(block, {})
        if found is None and applied.get("name") == arguments.get("name", applied.get("name")):
            found = _at(applied, attribute)
        return found if isinstance(found, str) else _unknown(attribute.rpartition(".")[2], type_, arguments)


def _unknown(attribute: str, type_: str, arguments: Body) -> str:
    """Text for a value that only Terraform will know, which says whose it is."""
    name, region = arguments.get("name", arguments.get("project_id")), arguments.get("region")
    inner = UNKNOWN.search(json.dumps(arguments, ensure_ascii=False))
    if isinstance(name, str):
        owner = f"{name} in {region}" if region else name
    else:
        owner = inner[0][1:-1].partition(": ")[2] if inner else type_
    return f"(known after apply: {attribute} of {re.sub('[()]', '', owner)})"


def _at(values: Any, path: str) -> Any:
    for part in re.findall(r"[^.\[\]]+", path):
        try:
            values = values[int(part) if isinstance(values, list) else part]
        except (KeyError, IndexError, ValueError, TypeError):
            return None
    return values


def _json(value: Any) -> str:
    """As Terraform's jsonencode writes it."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return re.sub("[<>&\u2028\u2029]", lambda match: f"\\u{ord(match[0]):04x}", text)


def _without_code_points(value: Any) -> Any:
    """Undoes terraform_text.without_normalization."""
    if isinstance(value, str):
        return re.sub(f"{CODE_POINT}([0-9A-F]{{8}})", lambda match: chr(int(match[1], 16)), value)
    if isinstance(value, dict):
        return {_without_code_points(key): _without_code_points(item) for key, item in value.items()}
    return [_without_code_points(item) for item in value] if isinstance(value, list) else value


def references_in(body: Body, outputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(reference, its value), read off the applied outputs whose text has references in it."""
    templates = {name: output["value"] for name, output in body["output"].items()}
    for template, applied in _texts(templates, outputs):
        pattern, found, end = "", [], 0
        for match in TEMPLATE.finditer(template):
            pattern += re.escape(template[end : match.start()]) + "(.+)"
            found.append(match["expression"])
            end = match.end()
        values = re.fullmatch(pattern + re.escape(template[end:]), applied, re.DOTALL)
        yield from zip(found, values.groups(), strict=True) if values else ()


def _texts(template: Any, applied: Any) -> Iterator[tuple[str, str]]:
    """Texts that stand in the same place of both."""
    if isinstance(template, str) and isinstance(applied, str):
        yield template, applied
    elif isinstance(template, Mapping) and isinstance(applied, Mapping):
        for key in template.keys() & applied.keys():
            yield from _texts(template[key], applied[key])
