"""Names deployments that left a state on this machine when they were renamed or taken out of the file."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from astro_xcom.files import read_text
from astro_xcom.forgotten import address
from astro_xcom.json_files import OTHER_SHAPE, parse_json
from astro_xcom.settings import Deployment
from astro_xcom.settings.backend import LocalState
from astro_xcom.workers import construct_id, setting


def pinned(workers: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Address -> the argument that comes from the deployment's name, and the setting that keeps it."""
    found = {address("azurerm_storage_account", "storage-account", "account"): ("name", "storage.account")}
    for worker in (None, *workers):
        id_, place = construct_id(worker), setting(worker)
        found |= {
            address("aws_iam_role", id_, "role"): ("name", f"{place}.role_name"),
            address("azurerm_user_assigned_identity", id_, "identity"): ("name", f"{place}.name"),
            address("google_service_account", id_, "account"): ("account_id", f"{place}.service_account_id"),
        }
    return found


@dataclass(frozen=True, kw_only=True)
class Departed:
    """A state that no deployment of the file uses any more."""

    state: str
    """The file, beside deployments.yaml."""
    resources: int
    settings: dict[str, dict[str, Any]]
    """With these a deployment of another name has the same state and names, so that an apply changes nothing."""

    def __str__(self) -> str:
        return (
            f"{self.state}: holds {self.resources} resources of a deployment that is not in the file. "
            f"Renamed? These lines let its new name go on with them: {json.dumps(self.settings)}. "
            'Taken out? Put it back with storage: {"protect_from_destroy": false}, deploy it and destroy it; '
            "or, to keep what is there, move the file away."
        )


def departed(file: Path, deployments: Mapping[str, Deployment]) -> list[Departed]:
    """The states of the default name beside the file that hold something and belong to none of its deployments.

    States elsewhere are not looked for: nothing here says where they were.
    """
    used = {LocalState().own_name(name) for name in deployments}
    used |= {
        backend.own_name(name)
        for name, deployment in deployments.items()
        if isinstance(backend := deployment.backend(), LocalState)
    }
    found = (_read(path) for path in sorted(file.parent.glob(LocalState.default.format("*"))) if path.name not in used)
    return [each for each in found if each is not None]


def _read(path: Path) -> Departed | None:
    """What a state holds; None for one without resources, or of something else."""
    try:
        state = parse_json(read_text(path))
        held = [each for each in state["resources"] if each["mode"] == "managed"]
        if not held or "xcom_path" not in state["outputs"]:
            return None
        settings: dict[str, dict[str, Any]] = {"state": {"local": {"path": path.name}}}
        workers = state["outputs"].get("worker_identities", {"value": {}})["value"]
        for place, value in _names(held, pinned(workers)):
            *sections, last = place.split(".")
            within = settings
            for section in sections:
                within = within.setdefault(section, {})
            within[last] = value
    except OTHER_SHAPE:  # SettingError among them
        return None
    return Departed(state=path.name, resources=len(held), settings=settings)


def _names(held: list[Any], pins: Mapping[str, tuple[str, str]]) -> Iterator[tuple[str, Any]]:
    for each in held:
        if pin := pins.get(f"{each['type']}.{each['name']}"):
            argument, place = pin
            for instance in each["instances"][:1]:
                yield place, instance["attributes"][argument]
