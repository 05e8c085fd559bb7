"""The logs of the probe's Jobs -> what works and what does not. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from astro_xcom.errors import printable
from astro_xcom.report.model import Model

RUNS = {
    "error looking up service account": "the service account does not exist: install the chart, or create the account "
    "that `create: false` names",
    "exceeded quota": "the namespace's quota has no room for the pod",
    "ImagePull": "its image cannot be pulled: the secret that imagePullSecretName names is missing, or is not for this "
    "registry",
    "InvalidImageName": "its image's name is none",
    "CreateContainer": "a secret or a ConfigMap that its environment or a volume names does not exist",
    "MountVolume": "a volume cannot be mounted",
    "nodes are available": "no node takes the pod: look at nodeSelector, tolerations and free room",
    "forbidden": "the pod is not admitted",
    "DeadlineExceeded": "it did not end in time: no node, no image, or no answer",
}
"""What Kubernetes says of a pod without a report -> what it means. The first that fits."""


class Pod(Model):
    """What one pod of the probe reports."""

    account: str
    """Its service account; with several clusters, and its cluster."""
    airflow: str
    path: str
    """Where it keeps XComs."""
    state_store: str | None
    wrote: int
    """Objects."""
    read: int
    """Values of other pods that came back as they were pushed."""
    purged: int
    left: tuple[str, ...]
    """Objects that it could not remove."""
    problems: tuple[str, ...]


class Found(Model):
    """Everything `probe --report --json` prints."""

    version: int = 1
    deployment: str
    ok: bool
    pods: tuple[Pod, ...]
    problems: tuple[str, ...]
    """A sentence each, those of the pods among them."""


def read_logs(text: str) -> Iterator[tuple[str, Pod]]:
    """(run, report) of every line that is a pod's; whatever else is in the logs is passed over."""
    for line in text.splitlines():
        start = line.find('{"xcom_probe"')  # kubectl --prefix puts the pod's name in front
        if start < 0:
            continue
        try:
            content: dict[str, Any] = json.loads(line[start:])
            content.pop("xcom_probe")
            yield str(content.pop("run")), Pod.model_validate(content)
        except (ValueError, ValidationError, AttributeError, KeyError, RecursionError):
            continue


def summed_up(name: str, text: str, *, expected: Iterable[str], reasons: Mapping[str, str] | None = None) -> Found:
    """What the logs come to. `expected` are the pods that must have reported, `reasons` why some could not."""
    reports = list(read_logs(text))
    run = reports[-1][0] if reports else ""
    pods = {pod.account: pod for of, pod in reports if of == run}
    problems = [f"{pod.account}: {line}" for pod in pods.values() for line in pod.problems]
    for account in expected:
        if account not in pods:
            why = why_no_report((reasons or {}).get(account, ""))
            problems.append(f"{account}: no report: {why}")
    for what, values in (("path", {pod.path for pod in pods.values()}),
                         ("state store", {pod.state_store for pod in pods.values()}),
                         ("Airflow", {pod.airflow for pod in pods.values()})):  # fmt: skip
        if len(values) > 1:
            problems.append(f"the pods differ in their {what}: {', '.join(sorted(map(str, values)))}")
    return Found(deployment=name, ok=bool(pods) and not problems, pods=tuple(pods.values()), problems=tuple(problems))


def why_no_report(said: str) -> str:
    """What Kubernetes says of a pod, in words."""
    for mark, meaning in RUNS.items():
        if mark in said:
            return f"{meaning} ({said[:300]})"
    return said[:300] or "its log is not there, or its pod never started: `kubectl describe` its Job tells why"


def table(found: Found) -> str:
    """For people."""
    rows: list[tuple[str, ...]] = [("service account", "Airflow", "wrote", "read", "purged", "")]
    for pod in found.pods:
        verdict = (
            "well" if not pod.problems else "1 problem" if len(pod.problems) == 1 else f"{len(pod.problems)} problems"
        )
        rows.append((pod.account, pod.airflow, str(pod.wrote), str(pod.read), str(pod.purged), verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rows = [tuple(map(printable, row)) for row in rows]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if found.ok:
        paths = sorted({pod.path for pod in found.pods})
        return "\n".join(
            [*lines, "", f"XComs work: every pod read what every other one wrote below {', '.join(paths)}"]
        )
    return "\n".join(
        [*lines, "", "XComs do not work:", *(f"- {printable(line.replace(chr(10), ' '))}" for line in found.problems)]
    )
