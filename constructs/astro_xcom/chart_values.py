"""The agents' chart values: the user's own merged with ours. Pure.

Helm replaces lists whole and lets later files win without a word, so a second `commonEnv` would drop the XCom
variables. Here maps merge deeply, `commonEnv` and `workers` merge by `name`, and a disagreement is refused.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from astro_xcom.errors import SettingErrors, quoted
from astro_xcom.kubernetes import SOURCES, variables
from astro_xcom.service_accounts import ServiceAccount, named_in_values
from astro_xcom.workers import Worker, with_others
from astro_xcom.xcom import STATE_STORE_BACKEND, XCOM_BACKEND, PodIdentity

MERGED_BY_NAME = ("commonEnv", "workers")
IDENTITIES = "astro-xcom/identities"
"""An annotation: a pod has its identity from the time it starts, so another one needs other pods."""
AGENT_TOKEN_VARIABLES = ("ASTRO_AGENT_CLIENT_API_TOKEN", "ASTRO_AGENT_CLIENT_API_TOKEN_FILE")
AGENT_TOKENS = ("agentTokenSecretName", "agentToken", "agentTokenFile")
CHOICES = (
    AGENT_TOKENS,
    ("imagePullSecretName", "imagePullSecretData"),
    ("sentinelAuthSecretName", "sentinelAuthSecret", "sentinelAuthSecretFile"),
    ("openLineage.apiKeySecret", "openLineage.apiKey"),
)
"""Values of the chart of which at most one may be given."""
CHOICES_OF_A_VARIABLE = (("value", "valueFrom"), tuple(f"valueFrom.{source}" for source in SOURCES))

# Chart 2.2 and later refuse to render while this is not written out; without a URL and a key lineage cannot work.
DEFAULTS: dict[str, Any] = {"openLineage": {"enabled": False}}


@dataclass(frozen=True, kw_only=True)
class Source:
    """Chart values and where they come from, for messages."""

    name: str
    values: Mapping[str, Any]


def merge(sources: Iterable[Source]) -> dict[str, Any]:
    """One document from all sources, whatever their order.

    Maps merge deeply, `commonEnv` and `workers` by `name`. Raises SettingErrors that name the sources of every value
    that two of them give differently.
    """
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    problems: list[str] = []
    for source in sources:
        _merge_map(merged, source.values, "", source.name, origins, problems)
    problems += _chosen_twice(merged, origins)
    if problems:
        raise SettingErrors(problems)
    return merged


def _chosen_twice(merged: Mapping[str, Any], origins: Mapping[str, str]) -> Iterator[str]:
    """Alternatives that are both given, each with its source."""
    entries = merged.get("commonEnv")
    groups: list[tuple[str, Mapping[str, Any], Sequence[Sequence[str]]]] = [("", merged, CHOICES)]
    for entry in entries if isinstance(entries, list) else ():
        groups.append((f"commonEnv[{entry['name']}].", entry, CHOICES_OF_A_VARIABLE))
    for front, values, choices in groups:
        for choice in choices:
            given = [key for key in choice if at(values, key.split(".")) not in (None, "")]
            for other in given[1:]:
                where, first = f"{front}{other}", f"{front}{given[0]}"
                yield f"{origins[where]}: {where}: excludes {given[0]} in {origins[first]}; keep one of them"
    for token in (key for key in AGENT_TOKENS if merged.get(key)):
        for where, name, _ in variables(merged):
            if name in AGENT_TOKEN_VARIABLES:
                yield f"{origins[token]}: {token}: the chart sets {name} from it; keep one of them, here or in {where}"


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
                f"{name}: {where}: {quoted(value)} here, {quoted(known)} in {origins[where]}; keep one of them"
            )


def _merge_named(
    merged: list[Any], entries: list[Any], path: str, name: str, origins: dict[str, str], problems: list[str]
) -> list[Any]:
    by_name = {entry["name"]: dict(entry) for entry in merged}
    for entry in entries:
        where = f"{path}[{entry['name']}]"
        _merge_map(by_name.setdefault(entry["name"], {}), entry, where, name, origins, problems)
    return list(by_name.values())


def at(values: Any, path: Sequence[str]) -> Any:
    """What is there, or None."""
    for key in path:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values


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


def xcom_values(
    *,
    namespace: str,
    resource_name_prefix: str,
    accounts: Sequence[ServiceAccount],
    variables: Mapping[str, str],
    pod_identity: PodIdentity,
    workers: Mapping[str, PodIdentity] = MappingProxyType({}),
    state_store: bool,
    backend: str = XCOM_BACKEND,
) -> dict[str, Any]:
    """Our own chart values: names, service accounts, XCom backend, environment, identity marks.

    `workers` have an identity of their own. The top-level annotations reach every service account, so each then has
    its own; what stands there instead replaces the pods when an identity changes.
    """
    own = with_others(pod_identity, workers) if workers else {}
    annotations = {IDENTITIES: _told(own)} if own else dict(pod_identity.annotations)
    return {
        "resourceNamePrefix": resource_name_prefix,
        "namespace": namespace,
        "createNamespace": False,
        "xcomBackend": backend,
        **({"stateStoreBackend": STATE_STORE_BACKEND} if state_store else {}),
        "commonEnv": [{"name": name, "value": value} for name, value in variables.items()],
        "annotations": annotations,
        **({"labels": dict(pod_identity.labels)} if pod_identity.labels else {}),
        **named_in_values(accounts, {worker: identity.annotations for worker, identity in own.items()}),
    }


def _told(identities: Mapping[Worker, PodIdentity]) -> str:
    """Who acts as whom."""
    return " ".join(f"{worker}={of.holder}" if worker else of.holder for worker, of in identities.items())


def release_values(sources: Iterable[Source], ours: Mapping[str, Any]) -> dict[str, Any]:
    """The whole document: the user's values and ours. Raises SettingErrors where they disagree."""
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
        known = value if filled.get(key) is None else filled[key]  # a null stands for none of the chart's own
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        filled[key] = with_defaults(known, value) if both else known
    return filled
