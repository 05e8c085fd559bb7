"""Reads what is applied: `terraform show -json`, or `terraform output -json`. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from astro_xcom.errors import SettingError, quoted
from astro_xcom.json_files import parse_json, shaped
from astro_xcom.report.terraform import Body, Known, Stack, references_in
from astro_xcom.yaml_files import parse

NEEDED = ("xcom_path", "trusted_subjects", "agent_values")
SHOW = "terraform show -json"
OUTPUT = "terraform output -json"


class State:
    """What Terraform applied, as far as it was given."""

    def __init__(self, stack: Stack, blocks: Mapping[str, Body]) -> None:
        self.stack = stack
        self._blocks = blocks

    def known(self, body: Body) -> Known:
        """What this tells of a synthesized stack's references."""
        if self.stack.complete:
            return Known(blocks=self._blocks)
        return Known(references=dict(references_in(body, self.stack.outputs)))


def read_state(text: str) -> State:
    """The state of one deployment. Raises SettingError for anything else, with what to give instead."""
    rule = f"must be what `{SHOW}` or `{OUTPUT}` prints"
    try:
        document = parse_json(text.removeprefix("\ufeff"))
    except ValueError:
        raise SettingError(rule, got=text.strip()[:60], hint=f"`{SHOW}` in the stack's folder") from None
    if not isinstance(document, dict):
        raise SettingError(rule, got=document)
    if "planned_values" in document:
        raise SettingError(f"is a plan, which does not show what is applied; try `{SHOW}` without a file")
    if "lineage" in document or "serial" in document:
        raise SettingError(f"is Terraform's own state file; try `{SHOW}` with its path")
    if "format_version" in document:
        return _shown(document)
    if not all(isinstance(output, dict) and "value" in output for output in document.values()):
        raise SettingError(rule, got=document, hint=f"`{OUTPUT}` in the stack's folder")
    return State(_stack(document, {}, {}, complete=False), {})


def _shown(document: Body) -> State:
    values = document.get("values") or {}
    with shaped(f"looks like `{SHOW}`, but its values are not in that shape", got=values):
        resources = (values.get("root_module") or {}).get("resources") or []
        blocks = {resource["address"]: resource["values"] for resource in resources}
        by_mode: dict[str, dict[str, list[Body]]] = {"managed": {}, "data": {}}
        for resource in resources:
            by_mode[resource["mode"]].setdefault(resource["type"], []).append(resource["values"])
        outputs = dict(values.get("outputs") or {})
        for release in by_mode["managed"].get("helm_release", []):
            # Not the output: Terraform updates that even when the upgrade of the release fails.
            outputs["agent_values"] = {"value": release["values"][0]}
        stack = _stack(outputs, by_mode["managed"], by_mode["data"], complete=True)
        tainted = tuple(resource["address"] for resource in resources if resource.get("tainted"))
        return State(replace(stack, tainted=tainted), blocks)


def _stack(
    outputs: Body, resources: Mapping[str, list[Body]], data: Mapping[str, list[Body]], *, complete: bool
) -> Stack:
    values: dict[str, Any] = {name: output["value"] for name, output in outputs.items()}
    missing = [name for name in NEEDED if name not in values]
    if len(missing) == len(NEEDED):
        has = f"it has {', '.join(sorted(values))}" if values else "it has none: is the deployment applied?"
        raise SettingError(f"must have the outputs of a deployment ({', '.join(NEEDED)}); {has}")
    if missing:
        raise SettingError(f"must have the output {missing[0]}; apply the deployment once more, then check again")
    try:
        agent_values = parse(values.pop("agent_values"))
    except (SettingError, TypeError, AttributeError):
        agent_values = None
    if not isinstance(agent_values, dict) or not isinstance(values["trusted_subjects"], list):
        raise SettingError(f"has outputs that are not a deployment's: agent_values must be a YAML mapping, "
                      f"trusted_subjects a list; got {quoted(values['trusted_subjects'])}")  # fmt: skip
    return Stack(resources=resources, data=data, outputs=values, agent_values=agent_values, complete=complete)
