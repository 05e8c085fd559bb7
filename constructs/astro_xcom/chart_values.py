"""The agents' chart values: the user's own merged with ours. Pure.

Helm replaces lists whole and lets later files win without a word, so a second `commonEnv` would drop the XCom
variables. Here maps merge deeply, `commonEnv` and `workers` merge by `name`, and a disagreement is refused.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from astro_xcom.refusal import Refusals, shown
from astro_xcom.service_accounts import ServiceAccount, named_in_values
from astro_xcom.xcom import STATE_STORE_BACKEND, XCOM_BACKEND, XCOM_VARIABLES, PodIdentity
from astro_xcom.yaml_files import as_written

MERGED_BY_NAME = ("commonEnv", "workers")
COMPONENTS_WITH_ENV = ("dagProcessor", "triggerer", "sentinel")
MAPPINGS = [
    *((key,) for key in ("annotations", "labels", "openLineage", "serviceAccount", *COMPONENTS_WITH_ENV)),
    *(("serviceAccount", key) for key in ("annotations", "workers", *COMPONENTS_WITH_ENV)),
]

TEXT_MAPS = ("annotations", "labels", "nodeSelector", "podAnnotations", "podLabels")
TEXTS = [
    ("agentTokenSecretName",), ("agentTokenFile",), ("astroDeploymentAPIURL",), ("image",), ("imagePullSecretName",),
    ("secretBackend",), ("sentinelAuthSecretName",), ("openLineage", "apiKeySecret"),
]  # fmt: skip

# Values that would put a secret into Terraform's state in clear -> the value that names a Kubernetes secret instead.
SECRETS = {
    ("agentToken",): "agentTokenSecretName",
    ("imagePullSecretData",): "imagePullSecretName",
    ("sentinelAuthSecret",): "sentinelAuthSecretName",
    ("openLineage", "apiKey"): "openLineage.apiKeySecret",
}
SECRET_VARIABLES = ("ASTRO_AGENT_CLIENT_API_TOKEN",)

IDENTITY_MARKS = (
    "eks.amazonaws.com/role-arn",
    "azure.workload.identity/client-id",
    "azure.workload.identity/use",
    "iam.gke.io/gcp-service-account",
)

# Chart 2.2 and later refuse to render while this is not written out; without a URL and a key lineage cannot work.
DEFAULTS: dict[str, Any] = {"openLineage": {"enabled": False}}


@dataclass(frozen=True, kw_only=True)
class Source:
    """Chart values and where they come from, for messages."""

    name: str
    values: Mapping[str, Any]


def merge(sources: Iterable[Source]) -> dict[str, Any]:
    """One document from all sources, whatever their order.

    Maps merge deeply, `commonEnv` and `workers` by `name`. Raises Refusals that name the sources of every value that
    two of them give differently.
    """
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    problems: list[str] = []
    for source in sources:
        _merge_map(merged, source.values, "", source.name, origins, problems)
    if problems:
        raise Refusals(problems)
    return merged


def _merge_map(
    merged: dict[str, Any],
    values: Mapping[str, Any],
    path: str,
    name: str,
    origins: dict[str, str],
    problems: list[str],
) -> None:
    for key, value in values.items():
        where = f"{path}.{key}" if path else key
        known = merged.get(key)
        if where in MERGED_BY_NAME and isinstance(value, list) and isinstance(merged.get(key, []), list):
            origins.setdefault(where, name)
            merged[key] = _merge_named(known or [], value, where, name, origins, problems)
        elif isinstance(value, Mapping) and (isinstance(known, dict) or key not in merged):
            merged[key] = dict(known) if known else {}
            origins.setdefault(where, name)
            _merge_map(merged[key], value, where, name, origins, problems)
        elif key not in merged:
            merged[key] = value
            origins[where] = name
        elif not same(known, value):
            problems.append(
                f"{name}: {where}: {shown(value)} here, {shown(known)} in {origins[where]}; keep one of them"
            )


def _merge_named(
    merged: list[Any], entries: list[Any], path: str, name: str, origins: dict[str, str], problems: list[str]
) -> list[Any]:
    by_name = {entry["name"]: dict(entry) for entry in merged}
    for entry in entries:
        where = f"{path}[{entry['name']}]"
        _merge_map(by_name.setdefault(entry["name"], {}), entry, where, name, origins, problems)
    return list(by_name.values())


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same type all the way down: 1, 1.0, true and "1" differ."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return _kind(one) is _kind(other) and bool(one == other)


def _kind(value: Any) -> type:
    """The type, however a number was written."""
    return next((kind for kind in (bool, int, float) if isinstance(value, kind)), type(value))


def check_source(source: Source) -> None:
    """Refuse user values that cannot work, or that would silently undo what this project sets.

    Raises Refusals with every problem of the source.
    """
    front = f"{source.name}: " if source.name else ""
    problems = [front + line for line in _problems(source.values)]
    if problems:
        raise Refusals(problems)


def check_owned(source: Source, owned: Mapping[str, tuple[str, Any]]) -> None:
    """Refuse user values that contradict a setting. `owned`: chart key -> (the setting, its value).

    A blank is not given.
    """
    problems = [
        f"{source.name}: {key}: {shown(source.values[key])} here, {shown(value)} in {setting}; keep one of them"
        for key, (setting, value) in owned.items()
        if source.values.get(key) not in (None, "") and not same(source.values[key], value)
    ]
    if problems:
        raise Refusals(problems)


def check_variables(source: Source, owned: Mapping[str, str]) -> None:
    """Refuse user values that set a variable of this project's, anywhere. `owned`: variable -> the settings."""
    problems = [
        f"{source.name}: {where}[{entry['name']}]: is set from {owned[entry['name']]} in the settings; remove it here"
        for where, entries in _env_lists(source.values)
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, Mapping) and isinstance(entry.get("name"), str) and entry["name"] in owned
    ]
    if problems:
        raise Refusals(problems)


def _problems(values: Mapping[str, Any]) -> Iterator[str]:
    for path, instead in SECRETS.items():
        if _at(values, path) not in (None, ""):
            yield f"{'.'.join(path)}: would stand in Terraform's state in clear; try {instead} with a secret you made"
    for path in MAPPINGS:
        if not isinstance(_at(values, path), (Mapping, type(None))):
            yield f"{'.'.join(path)}: must be a mapping; got {shown(_at(values, path))}"
    for where, worker in _workers(values):
        if not isinstance(worker.get("serviceAccount"), (Mapping, type(None))):
            yield f"{where}.serviceAccount: must be a mapping; got {shown(worker['serviceAccount'])}"
    for path in TEXTS:
        if not isinstance(_at(values, path), (str, type(None))):
            yield f"{'.'.join(path)}: {_not_text(_at(values, path))}"
    for where, texts in _text_maps(values):
        if isinstance(texts, (Mapping, type(None))):
            for key, text in (texts or {}).items():
                if not isinstance(text, (str, type(None))) and key not in IDENTITY_MARKS:  # those are refused whole
                    yield f"{where}.{key}: {_not_text(text)}"
        elif where not in ("annotations", "labels", "serviceAccount.annotations"):  # those are said above
            yield f"{where}: must be a mapping of texts; got {shown(texts)}"
    if not isinstance(_at(values, ("sentinel", "enabled")), (bool, type(None))):
        yield f"sentinel.enabled: must be true or false; got {shown(_at(values, ('sentinel', 'enabled')))}"
    yield from _named_list_problems(values, "commonEnv")
    yield from _named_list_problems(values, "workers")
    for where, entries in _env_lists(values):
        yield from _variable_problems(where, entries)
    for where, marks in _marks(values):
        for mark in IDENTITY_MARKS:
            if isinstance(marks, Mapping) and mark in marks:
                yield f"{where}.{mark}: is set by this project for every service account it trusts; remove it here"


def _at(values: Any, path: Sequence[str]) -> Any:
    for key in path:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values


def _named_list_problems(values: Mapping[str, Any], key: str) -> Iterator[str]:
    entries = values.get(key)
    if entries is None:
        return
    if not isinstance(entries, list):
        yield f"{key}: must be a list of entries with a name; got {shown(entries)}"
        return
    seen = set()
    for position, entry in enumerate(entries):
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if not isinstance(name, str) or not name:
            yield f"{key}[{position}]: must be a mapping with a name; got {shown(entry)}"
        elif name in seen:
            yield f"{key}[{name}]: is there twice; keep one of them"
        seen.add(name)


def _workers(values: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    workers = values.get("workers")
    for worker in workers if isinstance(workers, list) else ():
        if isinstance(worker, Mapping):
            yield f"workers[{worker.get('name')}]", worker


def _env_lists(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "commonEnv", values.get("commonEnv")
    for component in COMPONENTS_WITH_ENV:
        yield f"{component}.env", _at(values, (component, "env"))
    for where, worker in _workers(values):
        yield f"{where}.env", worker.get("env")


def _variable_problems(where: str, entries: Any) -> Iterator[str]:
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
            continue
        name = entry["name"]
        if name.startswith(XCOM_VARIABLES) or name == "AIRFLOW__CORE__XCOM_BACKEND":
            yield f"{where}[{name}]: is set from storage and xcom in the settings; remove it here"
        elif name in SECRET_VARIABLES:
            yield f"{where}[{name}]: would stand in Terraform's state in clear; try agentTokenSecretName"
        elif "value" in entry and not isinstance(entry["value"], str):
            yield f"{where}[{name}]: {_not_text(entry['value'])}"


def _not_text(value: Any) -> str:
    text = as_written(value)
    if text is not None:
        return f'must be text; got {text}; try "{text}" in quotes'
    if value is None:
        return 'must be text; got null; try "" in quotes'
    return f"must be text; got {shown(value)}" + ("; put it in quotes" if isinstance(value, bool) else "")


def _text_maps(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Where Kubernetes takes a mapping of texts and nothing else."""
    blocks = values.get("serviceAccount")
    places: list[tuple[str, Any]] = [
        ("", values),
        ("serviceAccount.", blocks),
        *(
            (f"serviceAccount.{component}.", _at(blocks, (component,)))
            for component in ("workers", *COMPONENTS_WITH_ENV)
        ),
    ]
    places += [(f"{component}.", values.get(component)) for component in COMPONENTS_WITH_ENV]
    for where, worker in _workers(values):
        places += [(f"{where}.", worker), (f"{where}.serviceAccount.", worker.get("serviceAccount"))]
    for front, block in places:
        if isinstance(block, Mapping):
            yield from ((f"{front}{key}", block[key]) for key in TEXT_MAPS if key in block)


def _marks(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "annotations", values.get("annotations")
    yield "labels", values.get("labels")
    blocks = values.get("serviceAccount")
    if isinstance(blocks, Mapping):
        yield "serviceAccount.annotations", blocks.get("annotations")
        for component in ("workers", *COMPONENTS_WITH_ENV):
            yield f"serviceAccount.{component}.annotations", _at(blocks, (component, "annotations"))
    for where, worker in _workers(values):
        yield f"{where}.serviceAccount.annotations", _at(worker, ("serviceAccount", "annotations"))


def xcom_values(
    *,
    namespace: str,
    resource_name_prefix: str,
    accounts: Sequence[ServiceAccount],
    variables: Mapping[str, str],
    pod_identity: PodIdentity,
    state_store: bool,
    backend: str = XCOM_BACKEND,
) -> dict[str, Any]:
    """Our own chart values: names, service accounts, XCom backend, environment, identity marks."""
    return {
        "resourceNamePrefix": resource_name_prefix,
        "namespace": namespace,
        "createNamespace": False,
        "xcomBackend": backend,
        **({"stateStoreBackend": STATE_STORE_BACKEND} if state_store else {}),
        "commonEnv": [{"name": name, "value": value} for name, value in variables.items()],
        "annotations": dict(pod_identity.annotations),
        **({"labels": dict(pod_identity.labels)} if pod_identity.labels else {}),
        **named_in_values(accounts),
    }


def release_values(sources: Iterable[Source], ours: Mapping[str, Any]) -> dict[str, Any]:
    """The whole document: the user's values and ours. Raises Refusals where they disagree."""
    users = [Source(name=source.name, values=_without_blanks(source.values, ours)) for source in sources]
    return with_defaults(merge([*users, Source(name="the XCom backend of this project", values=ours)]))


def _without_blanks(values: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """The values without the nulls and empty texts that stand where ours have something."""
    kept: dict[str, Any] = {}
    for key, value in values.items():
        own = ours.get(key)
        if value in (None, "") and own is not None:
            continue
        if isinstance(value, Mapping) and isinstance(own, Mapping):
            kept[key] = _without_blanks(value, own)
        elif key in MERGED_BY_NAME and isinstance(value, list) and isinstance(own, list):
            by_name = {entry["name"]: entry for entry in own}
            kept[key] = [_without_blanks(entry, by_name.get(entry["name"], {})) for entry in value]
        else:
            kept[key] = value
    return kept


def with_defaults(values: Mapping[str, Any], defaults: Mapping[str, Any] = DEFAULTS) -> dict[str, Any]:
    """The values, with what nobody set filled in."""
    filled = dict(values)
    for key, value in defaults.items():
        known = filled.get(key, value)
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        filled[key] = with_defaults(known, value) if both else known
    return filled
