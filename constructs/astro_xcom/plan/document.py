"""Reads a plan: the output of `terraform show -json FILE`. No side effects, no cdktf import."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from astro_xcom.errors import SettingError
from astro_xcom.json_files import parse_json, shaped

HOW = "`terraform plan -out FILE`, then `terraform show -json FILE`"
Body = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Change:
    """What an apply does to one resource."""

    address: str
    type: str
    actions: tuple[str, ...]
    """create, update, delete, forget, read or no-op; a replacement is two of them, in their order."""
    before: Body
    after: Body
    """Without what only the apply will tell."""
    imported: str | None = None
    """The id by which it is imported, if it is."""
    replaced_for: tuple[str, ...] = ()
    """The arguments that force a replacement."""
    tainted: bool = False
    """Whether it is replaced because Terraform could not finish it before."""

    @property
    def destroys(self) -> bool:
        """Whether what is there now is deleted."""
        return "delete" in self.actions

    @property
    def replaces(self) -> bool:
        """Whether another one takes its place."""
        return self.destroys and "create" in self.actions

    @property
    def stays(self) -> bool:
        """Whether what is there now is there, and in the state, after the apply."""
        return bool(self.before) and not {"delete", "forget"} & set(self.actions)

    @property
    def name(self) -> str:
        """Its name, for readers."""
        found = (self.before.get(key) or self.after.get(key) for key in ("bucket", "name", "id"))
        return str(next(filter(None, found), self.address))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A plan, as far as this project reads it."""

    changes: tuple[Change, ...]
    gone: frozenset[str]
    """Addresses that the refresh no longer found: Terraform has dropped them from the state."""
    outputs: dict[str, tuple[Any, Any]]
    """Output -> (its value now, its value after); None where there is none, or only the apply will tell."""
    destroys: bool
    """Whether everything is destroyed: the plan of `terraform destroy`."""
    failed: bool
    """Whether Terraform could not finish it."""
    day: date | None
    """When it was planned."""

    def sides(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The outputs now, and after."""
        now, after = ({name: values[side] for name, values in self.outputs.items()} for side in (0, 1))
        return now, after

    def of(self, *types: str) -> Iterator[Change]:
        """The changes of these types of resource."""
        return (change for change in self.changes if change.type in types)


def read_plan(text: str) -> Plan:
    """The plan of one deployment. Raises SettingError for anything else, with what to give instead."""
    rule = "must be the JSON of a plan"
    try:
        document = parse_json(text.removeprefix("\ufeff"))
    except ValueError:
        raise SettingError(rule, got=text.strip()[:60], hint=HOW) from None
    if not isinstance(document, dict) or ("resource_changes" not in document and "planned_values" not in document):
        raise SettingError(rule, got=document, hint=HOW)
    with shaped("has another shape than Terraform gives a plan", hint=HOW):
        changes = document.get("resource_changes") or []
        return Plan(
            changes=tuple(_change(each) for each in changes if each["mode"] == "managed"),
            gone=frozenset(
                each["address"]
                for each in document.get("resource_drift") or []
                if each["change"]["actions"] == ["delete"]
            ),
            outputs={
                name: (each.get("before"), each.get("after"))
                for name, each in (document.get("output_changes") or {}).items()
            },
            destroys=document.get("output_changes", {}).get("xcom_path", {}).get("actions") == ["delete"],
            failed=bool(document.get("errored")),
            day=date.fromisoformat(document["timestamp"][:10]) if document.get("timestamp") else None,
        )


def _change(each: Body) -> Change:
    change = each["change"]
    return Change(
        address=each["address"],
        type=each["type"],
        actions=tuple(change["actions"]),
        before=change.get("before") or {},
        after=change.get("after") or {},
        imported=(change.get("importing") or {}).get("id"),
        replaced_for=tuple(".".join(map(str, path)) for path in change.get("replace_paths") or ()),
        tainted=each.get("action_reason") == "replace_because_tainted",
    )


def texts(value: Any) -> list[str]:
    """What a policy writes as one text or as a list."""
    return value if isinstance(value, list) else [] if value is None else [value]
