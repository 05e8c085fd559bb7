"""Which Kubernetes secrets chart values name, and what must be in them. Pure."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from astro_xcom.chart_values import with_defaults
from astro_xcom.doctor.commands import at

Wanted = dict[str, set[str]]
"""Secret -> its keys; none where any will do."""

IMAGE = ".dockerconfigjson"
# Where a value is a secret's name -> the key that the chart reads.
NAMED = {
    ("agentTokenSecretName",): "token",
    ("imagePullSecretName",): IMAGE,
    ("sentinelAuthSecretName",): "secret",
    ("openLineage", "apiKeySecret"): "api-key",
}
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def wanted(values: Mapping[str, Any]) -> Wanted:
    """The secrets of a release with these chart values."""
    found: Wanted = {}
    values = with_defaults(values)
    off = {component for component in ("sentinel", "openLineage") if at(values, component, "enabled") is False}
    for path, key in NAMED.items():
        name = at(values, *path)
        if isinstance(name, str) and name and not any(path[0].startswith(component) for component in off):
            found.setdefault(name, set()).add(key)
    for name, keys in _referred({key: value for key, value in values.items() if key not in off}):
        found.setdefault(name, set()).update(keys)
    return found


def _referred(values: Any) -> Iterator[tuple[str, set[str]]]:
    """Every reference of environment and volumes, wherever the chart takes them, but for optional ones."""
    if isinstance(values, list):
        for each in values:
            yield from _referred(each)
    elif isinstance(values, Mapping):
        for kind in ("secretKeyRef", "secretRef", "secret"):
            name = at(values, kind, "name") or at(values, kind, "secretName")
            if isinstance(name, str) and at(values, kind, "optional") is not True:
                items = at(values, kind, "items")
                keys = [
                    at(values, kind, "key"),
                    *(at(item, "key") for item in (items if isinstance(items, list) else ())),
                ]
                yield name, {key for key in keys if isinstance(key, str)}
        for each in values.values():
            yield from _referred(each)


def create(namespace: str, name: str, keys: set[str]) -> str:
    """The line that creates a secret; its reader puts the values in."""
    front = f"kubectl -n {namespace} create secret"
    if IMAGE in keys:
        return (
            f"{front} docker-registry {shlex.quote(name)} --docker-server=... --docker-username=cli "
            "--docker-password=..."
        )
    literals = " ".join(f"{shlex.quote(f'--from-literal={key}')}=..." for key in sorted(keys) or ["KEY"])
    return f"{front} generic {shlex.quote(name)} {literals}"


def add(namespace: str, name: str, keys: set[str]) -> str:
    """The line that adds keys to a secret that is there."""
    data = json.dumps({"stringData": dict.fromkeys(sorted(keys), "...")})
    return f"kubectl -n {namespace} patch secret {shlex.quote(name)} -p {shlex.quote(data)}"
