"""What the chart's values say of the agents."""

import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from astro_xcom.kubernetes import env_lists
from astro_xcom.report.model import CloudFacts, ServiceAccount, Store
from astro_xcom.report.terraform import Body, Stack
from astro_xcom.user_values import SECRETS
from astro_xcom.workers import Worker
from astro_xcom.xcom import STATE_STORE_VARIABLES, XCOM_VARIABLES

OBJECT_NAME = "<dag_id>/<run_id>/<task_id>/<uuid4>"
NAME_FROM_3_4 = "<dag_id>/<run_id>/<task_id>/ti-<id>/<key>.json"
SUFFIXES = {"none": "", "gzip": ".gz"}  # the others' are their names
LOST = "a denied upload is not an error: the task stays green, and the next task receives the path as its value"
MEANINGS = {
    "none": "values are stored as they are; a denied upload is an error",
    "zip": f"values are wrapped in a zip file, not compressed; {LOST}",
}


def environment(values: Body) -> dict[str, dict[str, str]]:
    """Where variables are set -> their values."""
    places = sorted(env_lists(values), key=lambda place: place[0] != "commonEnv")
    return {place: _variables(entries) for place, entries in places}


def _variables(entries: list[Any]) -> dict[str, str]:
    return {
        entry["name"]: entry["value"]
        if isinstance(entry.get("value"), str)
        else json.dumps({key: value for key, value in entry.items() if key != "name"}, sort_keys=True)
        for entry in entries
        if isinstance(entry, dict) and "name" in entry
    }


def service_accounts(stack: Stack, facts: CloudFacts, untrusted: Iterable[str]) -> Iterator[ServiceAccount]:
    """The service accounts that must be trusted, and the components that use them; then the untrusted accounts."""
    values = stack.agent_values
    blocks = {
        **values["serviceAccount"],
        **{f"workers[{worker['name']}]": worker["serviceAccount"] for worker in values.get("workers") or ()},
    }
    of, trusted = facts.identities(), stack.subjects
    for subject in (*trusted, *untrusted):
        name = subject.rpartition(":")[2]
        own = {who: block for who, block in blocks.items() if isinstance(block, dict) and block.get("name") == name}
        through = [(worker, each) for worker, identity in of.items() for each in identity.trust]
        through = [(worker, each) for worker, each in through if each.subject == subject]
        several = len({worker for worker, _ in through}) > 1
        yield ServiceAccount(
            subject=subject,
            used_by=tuple(sorted(own)),
            made_by_chart=any(block.get("create", True) for block in own.values()),
            trusted_through=tuple(named_through(each.through, worker, several=several) for worker, each in through),
            annotations=next((block["annotations"] for block in own.values() if block.get("annotations")), {}),
            trusted=subject in trusted,
        )


def named_through(through: dict[str, str], worker: Worker, *, several: bool) -> dict[str, str]:
    """Through what a subject is trusted, with whose identity it is, if that is a worker's or one of `several`."""
    return {"identity of": worker or "all others", **through} if worker or several else through


def xcom_store(values: Body) -> Store:
    """Where XComs go."""
    store = _store(XCOM_VARIABLES, values, values["xcomBackend"])
    folder = urlsplit(store.path).path.strip("/")
    front, suffix = f"{folder}/" if folder else "", SUFFIXES.get(store.compression, f".{store.compression}")
    return store.model_copy(
        update={
            "object_key": f"{front}{OBJECT_NAME}{suffix}",
            "object_key_from_airflow_3_4": f"{front}{NAME_FROM_3_4}{suffix}",
        }
    )


def state_store(stack: Stack) -> Store | None:
    """Where the agents' state goes, if this deployment keeps it."""
    if "state_store_path" not in stack.outputs:
        return None
    return _store(STATE_STORE_VARIABLES, stack.agent_values, stack.agent_values["stateStoreBackend"])


def _store(prefix: str, values: Body, backend: str) -> Store:
    env = _variables(values["commonEnv"])
    threshold, compression = int(env[f"{prefix}THRESHOLD"]), env.get(f"{prefix}COMPRESSION", "none")
    below = "; smaller values stay in the Airflow database" if threshold else ""
    return Store(
        path=env[f"{prefix}PATH"],
        object_key=None,
        object_key_from_airflow_3_4=None,
        threshold=threshold,
        threshold_means=f"values of at least {threshold} bytes go there{below}"
        if threshold
        else "every value goes there",
        compression=compression,
        compression_means=MEANINGS.get(compression, f"values are compressed; {LOST}"),
        backend=backend,
    )


def secret_names(values: Body) -> list[str]:
    """The Kubernetes secrets that the values name."""
    return [name for name in (_at(values, path.split(".")) for path in SECRETS.values()) if name]


def _at(values: Any, path: list[str]) -> Any:
    for key in path:
        values = values.get(key) if isinstance(values, dict) else None
    return values
