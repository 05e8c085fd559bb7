"""Reads deployments.yaml: every deployment checked, every error reported at once."""

import difflib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from astro_xcom import siblings
from astro_xcom.errors import SettingError, SettingErrors, quoted
from astro_xcom.imports import import_blocks
from astro_xcom.rules import common
from astro_xcom.settings import AwsDeployment, AzureDeployment, Deployment, GcpDeployment
from astro_xcom.settings.deployment import check_state_place
from astro_xcom.settings.messages import Place, explain, unknown_key
from astro_xcom.yaml_files import read_mapping

CLOUDS: dict[str, type[Deployment]] = {"aws": AwsDeployment, "azure": AzureDeployment, "gcp": GcpDeployment}


def read_deployments(path: str | Path) -> dict[str, Deployment]:
    """The deployments of a file, by name. Relative paths in it start at its folder.

    Raises SettingErrors: a line for each problem, as `deployments.yaml: aws-example.storage.bucket: rule; got ...; try
    ...`.
    """
    path = Path(path)
    return deployments_in(read_mapping(path, name=path.name, place=str(path)), folder=path.parent, file=path.name)


def deployments_in(content: Mapping[str, Any], *, folder: Path, file: str) -> dict[str, Deployment]:
    """The same of what a file holds; it need not be written yet."""
    found: dict[str, Deployment] = {}
    problems = [
        f"{key}: {unknown_key(key, ALLOWED)}" for key in content if key not in ALLOWED and not key.startswith(IGNORED)
    ]
    defaults = content.get("defaults")
    deployments = content.get("deployments")
    if not isinstance(defaults, (dict, type(None))):
        problems.append(f"defaults: must be a mapping; got {quoted(defaults)}")
    defaults = defaults if isinstance(defaults, dict) else {}
    if not isinstance(deployments, dict) or not deployments:
        problems.append(f"deployments: must hold at least one deployment, by name; got {quoted(deployments)}")
        deployments = {}
    for name, given in deployments.items():
        try:
            common.deployment_name(name)
            found[name] = _deployment(name, given, defaults, folder=folder)
        except SettingError as error:
            place = Place(name, {}, {}).of(tuple(error.field.split(".")) if error.field else ())
            problems.append(f"{place}: {error}")
        except ValidationError as error:
            problems += explain(error, CLOUDS[given["cloud"]], Place(name, given, defaults))
    problems += [
        *_shared_state(found),
        *_state_that_agents_may_delete(found),
        *siblings.claimed_twice(found),
        *siblings.too_many_credentials(found),
        *siblings.expiring_state_stores(found),
        *siblings.adopted_from_another(found),
        *_imports(found),
    ]
    if problems:
        raise SettingErrors([f"{file}: {line}" for line in dict.fromkeys(problems)])
    return found


def chosen(deployments: Mapping[str, Deployment], names: Iterable[str], *, file: str) -> dict[str, Deployment]:
    """The deployments of these names, or all. Raises SettingErrors for names that are none."""
    wanted = list(dict.fromkeys(names)) or list(deployments)
    problems = []
    for name in wanted:
        if name not in deployments:
            near = difflib.get_close_matches(name, deployments, n=1)
            rule = f"a deployment must be one of {', '.join(deployments)}"
            problems.append(f"{file}: {SettingError(rule, got=name, hint=near[0] if near else None)}")
    if problems:
        raise SettingErrors(problems)
    return {name: deployments[name] for name in wanted}


OTHER_NAMES = {
    "amazon": "aws",
    "eks": "aws",
    "azurerm": "azure",
    "aks": "azure",
    "google": "gcp",
    "google-cloud": "gcp",
    "gcloud": "gcp",
    "gke": "gcp",
}
ALLOWED = ("defaults", "deployments")
IGNORED = "x-"
"""Keys at the top that start so are the author's own: a place for YAML anchors."""


def _deployment(name: str, given: Any, defaults: Mapping[str, Any], *, folder: Path) -> Deployment:
    if not isinstance(given, dict):
        raise SettingError("must be a mapping of settings", got=given)
    cloud = given.get("cloud", defaults.get("cloud"))
    if not isinstance(cloud, str) or cloud not in CLOUDS:
        near = [OTHER_NAMES.get(str(cloud).lower()), *difflib.get_close_matches(str(cloud).lower(), CLOUDS, n=1)]
        hint = next(filter(None, near), None)
        raise SettingError(f"must be one of {', '.join(CLOUDS)}", got=cloud, hint=hint, field="cloud")
    return CLOUDS[cloud].model_validate(_under(defaults, given), context={"folder": folder, "name": name})


def _under(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The given mapping over the defaults; maps merge deeply, anything else replaces."""
    merged = {**defaults, **given}
    for key in defaults.keys() & given.keys():
        if isinstance(defaults[key], dict) and isinstance(given[key], dict):
            merged[key] = _under(defaults[key], given[key])
    return merged


def _shared_state(deployments: Mapping[str, Deployment]) -> Iterator[str]:
    """Two deployments in one state file would destroy each other's resources."""
    owners: dict[tuple[str, ...], str] = {}
    for name, deployment in deployments.items():
        backend = deployment.backend()
        first = owners.setdefault(backend.identity(name), name)
        if first != name:
            yield (
                f"{name}.state: is the state of {first} too, and each apply would destroy the other's resources; "
                f"got {backend.own} {quoted(backend.own_name(name))}; try {backend.own} "
                f'"{backend.default.format(name)}"'
            )


def _state_that_agents_may_delete(deployments: Mapping[str, Deployment]) -> Iterator[str]:
    keepers: defaultdict[str, list[str]] = defaultdict(list)
    for keeper, agents in deployments.items():
        for part in set(agents.storage_is(keeper).name):  # the bucket, or the account, is one of them
            keepers[part].append(keeper)
    for name, deployment in deployments.items():
        backend = deployment.backend()
        for keeper in keepers[getattr(backend, backend.place[0])] if backend.place else ():
            try:
                check_state_place(name, backend, keeper, deployments[keeper])
            except SettingError as error:
                yield f"{name}.state.{error.field}: {error}"


def _imports(deployments: Mapping[str, Deployment]) -> Iterator[str]:
    for name, deployment in deployments.items():
        try:
            import_blocks(name, deployment)
        except SettingErrors as error:
            yield from (f"{name}.{line}" for line in error.lines)
