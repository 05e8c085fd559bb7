"""What users' own chart values must not hold: secrets, what this project sets, and what Kubernetes refuses. Pure."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from astro_xcom.chart_values import AGENT_TOKEN_VARIABLES, Source, at, same
from astro_xcom.environment import NAMES, clouds_of, overridden
from astro_xcom.errors import SettingErrors, quoted
from astro_xcom.kubernetes import (
    FREE,
    TEXT_LISTS,
    env_problems,
    not_text,
    outline,
    text_problems,
    value_problem,
    variables,
    walk,
)
from astro_xcom.secret_text import assigns_secret, holds_secret, is_secret
from astro_xcom.xcom import Cloud
from astro_xcom.yaml_files import DEEPEST, LARGEST_CONTENT, UNSPEAKABLE

COMPONENTS = ("dagProcessor", "triggerer", "sentinel")
MAPPINGS = [
    *((key,) for key in ("openLineage", "serviceAccount", *COMPONENTS)),
    *(("serviceAccount", key) for key in ("workers", *COMPONENTS)),
]

TEXTS = [
    ("agentTokenSecretName",), ("agentTokenFile",), ("astroDeploymentAPIURL",), ("image",), ("imagePullSecretName",),
    ("secretBackend",), ("sentinelAuthSecretName",), ("sentinelAuthSecretFile",), ("openLineage", "apiKeySecret"),
]  # fmt: skip
OF_SERVICE_ACCOUNTS = ("annotations", "workers", *COMPONENTS)

# Values that would put a secret into Terraform's state in clear -> the value that names a Kubernetes secret instead.
SECRETS = {
    ("agentToken",): "agentTokenSecretName",
    ("imagePullSecretData",): "imagePullSecretName",
    ("sentinelAuthSecret",): "sentinelAuthSecretName",
    ("openLineage", "apiKey"): "openLineage.apiKeySecret",
}
SECRET_KEYS = (
    "password", "passwd", "passphrase", "token", "api_key", "apiKey", "access_key", "accessKey", "secret_key",
    "secretKey", "secret_access_key", "secretAccessKey", "client_secret", "clientSecret", "private_key", "privateKey",
    "account_key", "accountKey", "connection_string", "connectionString",
)  # fmt: skip
"""Keys whose value is a secret wherever they stand."""

IDENTITY_MARKS = (
    "eks.amazonaws.com/role-arn",
    "eks.amazonaws.com/audience",
    "azure.workload.identity/client-id",
    "azure.workload.identity/use",
    "iam.gke.io/gcp-service-account",
)


def check_source(source: Source) -> None:
    """Refuse user values that cannot work, or that would silently undo what this project sets.

    Raises SettingErrors with every problem of the source.
    """
    front = f"{source.name}: " if source.name else ""
    problems = [front + line for line in _too_much(source.values) or _problems(source.values)]
    if problems:
        raise SettingErrors(problems)


def check_owned(source: Source, owned: Mapping[str, tuple[str, Any]]) -> None:
    """Refuse user values that contradict a setting. `owned`: chart key -> (the setting, its value).

    A blank is not given.
    """
    problems = [
        f"{source.name}: {key}: {quoted(source.values[key])} here, {quoted(value)} in {setting}; keep one of them"
        for key, (setting, value) in owned.items()
        if source.values.get(key) not in (None, "") and not same(source.values[key], value)
    ]
    if problems:
        raise SettingErrors(problems)


def check_environment(sources: Iterable[Source], clouds: Sequence[Cloud], owned: Mapping[str, str]) -> None:
    """Refuse variables, in any environment, that undo what this project sets in one of these clouds.

    `owned`: variables that are set for this deployment -> their settings.
    """
    lines = (
        f"{source.name}: {line}"
        for source in sources
        for cloud in clouds
        for line in overridden(source.values, cloud, owned)
    )
    problems = list(dict.fromkeys(lines))
    if problems:
        raise SettingErrors(problems)


def _too_much(values: Mapping[str, Any]) -> list[str]:
    """What no rule below could look at, nor CDKTF take; a YAML file has none of it."""
    level: list[tuple[str, Any]] = [("", values)]
    for _ in range(DEEPEST):
        below: list[tuple[str, Any]] = []
        for where, value in level:
            if isinstance(value, Mapping):
                unfit = [key for key in value if not isinstance(key, str) or key == UNSPEAKABLE]
                if unfit:
                    return [f"{where or 'values'}: a key must be text, and not {UNSPEAKABLE}; got {quoted(unfit[0])}"]
                below += [(f"{where}.{key}" if where else key, item) for key, item in value.items()]
            elif isinstance(value, (list, tuple)):
                below += [(f"{where}[{position}]", item) for position, item in enumerate(value)]
        if not below:
            return []
        if len(below) > LARGEST_CONTENT:
            return [f"{below[0][0].partition('.')[0]}: must not hold more than {LARGEST_CONTENT:,} values"]
        level = below
    return [f"{level[0][0].partition('.')[0]}: must not be nested more than {DEEPEST} deep"]


def _problems(values: Mapping[str, Any]) -> Iterator[str]:
    yield from _secrets(values)
    for path in MAPPINGS:
        if not isinstance(at(values, path), (Mapping, type(None))):
            yield f"{'.'.join(path)}: must be a mapping; got {quoted(at(values, path))}"
    yield from _worker_problems(values)
    yield from _service_account_problems(values)
    for path in TEXTS:
        if not isinstance(at(values, path), (str, type(None))):
            yield f"{'.'.join(path)}: {not_text(at(values, path))}"
    if not isinstance(at(values, ("sentinel", "enabled")), (bool, type(None))):
        yield f"sentinel.enabled: must be true or false; got {quoted(at(values, ('sentinel', 'enabled')))}"
    yield from env_problems(values)
    yield from overridden(values, None)
    for where, name, entry in variables(values):
        problem = value_problem(entry)
        if problem and not _is_secret(name, entry):
            yield f"{where}: {problem}"
    yield from text_problems(values, but=IDENTITY_MARKS)


def _secrets(values: Mapping[str, Any]) -> Iterator[str]:
    clear = "would stand in Terraform's state in clear"
    for path, instead in SECRETS.items():
        if at(values, path) not in (None, ""):
            yield f"{'.'.join(path)}: {clear}; try {instead} with a secret that you create"
    said = {".".join(path) for path in SECRETS}
    entries = set()
    for where, name, entry in variables(values):
        entries.add(f"{where}.value")
        if not _is_secret(name, entry):
            continue
        if name in AGENT_TOKEN_VARIABLES:
            yield f"{where}: {clear}; try agentTokenSecretName with a secret that you create"
        else:
            front = "".join(f"remove it on {NAMES[cloud]}, elsewhere " for cloud in clouds_of(name))
            yield f"{where}: {clear}; {front}try valueFrom with secretKeyRef, of a secret that you create"
    for where, key, value in walk(values, free=True):
        if where in said or where in entries:
            continue
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and (
                holds_secret(text)
                or (key in SECRET_KEYS and is_secret(key, text))
                or (key in (*FREE, *TEXT_LISTS) and assigns_secret(text))
            ):
                yield f"{where}: {clear}; try a variable with valueFrom, or a volume, of a secret that you create"
                break


def _is_secret(name: str, entry: Mapping[str, Any]) -> bool:
    value = entry.get("value")
    text = value if isinstance(value, str) else "" if value is None or isinstance(value, bool) else str(value)
    return is_secret(name, text)


def _worker_problems(values: Mapping[str, Any]) -> Iterator[str]:
    workers = values.get("workers")
    if workers is None:
        return
    if not isinstance(workers, list):
        yield f"workers: must be a list of entries with a name; got {outline(workers)}"
        return
    seen = set()
    for position, worker in enumerate(workers):
        name = worker.get("name") if isinstance(worker, Mapping) else None
        if not isinstance(name, str) or not name:
            yield f"workers[{position}]: must be a mapping with a name; got {quoted(worker)}"
            continue
        if name in seen:
            yield f"workers[{name}]: is there twice; keep one of them"
        seen.add(name)
        if not isinstance(worker.get("serviceAccount"), (Mapping, type(None))):
            yield f"workers[{name}].serviceAccount: must be a mapping; got {quoted(worker['serviceAccount'])}"


def _service_account_problems(values: Mapping[str, Any]) -> Iterator[str]:
    """The chart reads a block for each component, and passes over what else is there."""
    blocks = values.get("serviceAccount")
    for key in blocks if isinstance(blocks, Mapping) else ():
        near = difflib.get_close_matches(key, OF_SERVICE_ACCOUNTS, n=1)
        if key in ("create", "name"):
            places = ", ".join(f"serviceAccount.{each}" for each in OF_SERVICE_ACCOUNTS[1:])
            yield f"serviceAccount.{key}: belongs to one component; try {places}"
        elif key not in OF_SERVICE_ACCOUNTS and near:
            yield f"serviceAccount.{key}: is no component of the chart; try {near[0]}"
