"""Chart values that are allowed and cannot be meant: what is needed and absent, or was never filled in. Pure."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from astro_xcom import kubernetes

TOKEN_VARIABLES = ("ASTRO_AGENT_CLIENT_API_TOKEN", "ASTRO_AGENT_CLIENT_API_TOKEN_FILE")
COMPONENTS = ("dagProcessor", "triggerer")  # the sentinel has an image of its own
# Of the chart astro-remote-execution-agent 2.x.
KEYS = (
    "agentToken", "agentTokenFile", "agentTokenSecretName", "annotations", "astroDeploymentAPIURL", "commonEnv",
    "containerSecurityContext", "createNamespace", "dagBundleConfigList", "dagProcessor", "image", "imagePullPolicy",
    "imagePullSecretData", "imagePullSecretName", "labels", "logLevel", "loggingSidecar", "namespace", "openLineage",
    "podSecurityContext", "resourceNamePrefix", "secretBackend", "sentinel", "sentinelAuthSecret",
    "sentinelAuthSecretFile", "sentinelAuthSecretName", "serviceAccount", "stateStoreBackend", "triggerer", "workers",
    "xcomBackend",
)  # fmt: skip
FREE = ("config",)  # of the sentinel and the logging sidecar: nobody here knows what may stand there
# Not the name of a group in a regular expression, (?P<name>...).
PLACEHOLDER = re.compile(r"(?<![?P])<[A-Za-z][A-Za-z0-9 _./-]*>")


def likely_mistakes(values: Mapping[str, Any]) -> Iterator[str]:
    """What to say of a user's own chart values, merged."""
    yield from (
        f"the chart needs a value for {key}"
        for key in ("astroDeploymentAPIURL", "secretBackend")
        if not values.get(key)
    )
    if not values.get("image") and not all(_mapping(each).get("image") for each in _components(values)):
        yield "the chart needs a value for image"
    if not values.get("imagePullSecretName"):
        yield (
            "the chart needs a value for imagePullSecretName: a secret for the registries of your image and of the "
            "sentinel's, which is Astronomer's"
        )
    if not (values.get("agentTokenSecretName") or values.get("agentTokenFile") or _injected(values)):
        yield "no agent can register without a token: name its secret in agentTokenSecretName"
    bundles = values.get("dagBundleConfigList")
    if bundles is not None and not _holds_a_list(bundles):
        yield 'dagBundleConfigList: must be text that holds a JSON list, such as \'[{"name": "dags", ...}]\' in quotes'
    for key in values:
        near = [] if key in KEYS else difflib.get_close_matches(key, KEYS, n=1, cutoff=0.75)
        if near:
            yield f"{key}: the chart has no such value; did you mean {near[0]}?"
    for where, text in _placeholders(values):
        yield f"{where}: {text} was not filled in"


def _components(values: Mapping[str, Any]) -> Iterator[Any]:
    """Those that run the image of the user: the chart has a worker of its own where none is given."""
    workers = values.get("workers")
    yield from workers if isinstance(workers, list) and workers else [{}]
    yield from (values.get(component) for component in COMPONENTS)


def _injected(values: Mapping[str, Any]) -> bool:
    """Whether a token comes from elsewhere, as far as anybody can see."""
    return any(name in TOKEN_VARIABLES for _, name, _ in kubernetes.variables(values))


def _holds_a_list(bundles: Any) -> bool:
    try:
        return isinstance(bundles, str) and (not bundles or isinstance(json.loads(bundles), list))
    except (ValueError, RecursionError):
        return False


def _placeholders(values: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(values, str):
        if found := PLACEHOLDER.search(values):
            yield path, found[0]
    elif isinstance(values, Mapping):
        for key, value in values.items():
            if key not in FREE:
                yield from _placeholders(value, f"{path}.{key}" if path else f"{key}")
    elif isinstance(values, list):
        for position, value in enumerate(values):
            yield from _placeholders(value, f"{path}[{_mapping(value).get('name', position)}]")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
