"""The agents' chart values -> Kubernetes manifests of the probe: a ConfigMap, and a Job for each service account. Pure.

What the chart makes of its values for a pod is repeated here as far as it is documented.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from astro_xcom.errors import SettingErrors
from astro_xcom.plain_yaml import PlainDumper
from astro_xcom.report.terraform import UNKNOWN
from astro_xcom.secret_text import is_secret
from astro_xcom.xcom import STATE_STORE_BACKEND

Body = dict[str, Any]

SCRIPTS = ("xcom_causes.py", "xcom_probe.py")
IN_POD = Path(__file__).parent / "in_pod"
FOLDER = "/xcom-probe"
LABEL = "astro-xcom/probe"
COMPONENTS = ("workers", "triggerer", "dagProcessor", "sentinel")
"""Of several that share a service account the first one's pod is taken."""
POD_SECURITY = {"runAsUser": 50000, "fsGroup": 50000, "runAsNonRoot": True}
"""The chart's own, below the values'."""
RESOURCES = {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "1Gi"}}
KEPT_FOR_SECONDS = 24 * 60 * 60


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One run of the probe in one cluster."""

    name: str
    """Of the deployment."""
    values: Mapping[str, Any]
    """The agents' chart values, with nothing left for Terraform to fill in."""
    subjects: Sequence[str]
    """`system:serviceaccount:NAMESPACE:NAME`, of the agents' own."""
    run: str
    """Told from other runs by it: what an earlier one left is nobody's."""
    here: str = ""
    """The cluster that the manifests are for; only needed with others."""
    others: tuple[str, ...] = ()
    """Clusters where the same run is probed at the same time."""
    minutes: float = 10
    old: str = ""
    """What Airflow's database has of an older value: its path."""

    @property
    def namespace(self) -> str:
        """Of all objects."""
        return str(self.values["namespace"])

    @property
    def accounts(self) -> tuple[str, ...]:
        """The service accounts that are probed: those of the release, each once."""
        own = {name for name, _ in _components(self.values)}
        found = (subject.split(":")[2:] for subject in self.subjects)
        return tuple(dict.fromkeys(name for space, name in found if space == self.namespace and name in own))

    @property
    def former(self) -> tuple[str, ...]:
        """Subjects that are trusted, and of which the release has no pod."""
        return tuple(each for each in self.subjects if each.rpartition(":")[2] not in self.accounts)

    def called(self, account: str, cluster: str | None = None) -> str:
        """What a pod is called among those it meets."""
        return f"{account}--{slug(self.here if cluster is None else cluster)}" if self.others else account

    @property
    def everybody(self) -> tuple[str, ...]:
        """All that meet."""
        clusters = (self.here, *self.others)
        return tuple(self.called(account, cluster) for cluster in clusters for account in self.accounts)

    def job_name(self, account: str) -> str:
        """At most 63 characters: it becomes a label."""
        return _short(f"{account}-xcom-probe")

    @property
    def config_map_name(self) -> str:
        """One for each release in a namespace."""
        return _short(f"{self.values['resourceNamePrefix']}-xcom-probe")


def slug(cluster: str) -> str:
    """A cluster's name as part of another."""
    return re.sub(r"[^a-z0-9]+", "-", cluster.lower()).strip("-")[-40:].strip("-")


def _short(name: str) -> str:
    if len(name) <= 63:
        return name
    return f"{name[:54].rstrip('-')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def manifests(probe: Probe) -> list[Body]:
    """The ConfigMap and the Jobs. Raises SettingErrors where the values do not say enough."""
    found = [_config_map(probe), *(_job(probe, account) for account in probe.accounts)]
    problems = []
    if unknown := sorted({each[0] for each in UNKNOWN.finditer(json.dumps(found, ensure_ascii=False))}):
        problems.append(
            f"{probe.name}: the agents' environment is not known before the apply ({unknown[0]}); try --state with "
            "the output of `terraform show -json`"
        )
    for job in found[1:]:
        (container,) = job["spec"]["template"]["spec"]["containers"]
        if not container["image"]:
            problems.append(f"{probe.name}: {job['metadata']['name']}: the values name no image for it")
    if not probe.accounts:
        problems.append(f"{probe.name}: no service account of the release is trusted")
    if problems:
        raise SettingErrors(problems)
    return found


def secrets_left_out(probe: Probe) -> list[str]:
    """Variables that a pod of the agents has in clear, look like secrets, and are in no manifest."""
    entries = [entry for _, block in _components(probe.values) for entry in _entries(probe.values, block)]
    return sorted({entry["name"] for entry in entries if _is_secret(entry)})


def to_yaml(documents: Iterable[Body]) -> str:
    """As kubectl reads it: texts that some YAML takes for another thing are quoted."""
    return yaml.dump_all(
        documents, Dumper=PlainDumper, sort_keys=False, allow_unicode=True, width=10**6, explicit_start=True
    )


def _config_map(probe: Probe) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(probe, probe.config_map_name),
        "data": {name: (IN_POD / name).read_text(encoding="utf-8") for name in SCRIPTS},
    }


def _metadata(probe: Probe, name: str) -> Body:
    return {"name": name, "namespace": probe.namespace, "labels": _labels(probe), **_annotations(probe)}


def _labels(probe: Probe, own: Any = None) -> Body:
    ours = {"app.kubernetes.io/name": "astro-xcom-probe", LABEL: probe.name}
    return {**_map(probe.values.get("labels")), **_map(own), **ours}


def _annotations(probe: Probe, own: Any = None) -> Body:
    found = {**_map(probe.values.get("annotations")), **_map(own)}
    return {"annotations": found} if found else {}


def _map(value: Any) -> Body:
    """A map of the values without what is null, which takes away a default of the chart."""
    return {key: item for key, item in value.items() if item is not None} if isinstance(value, Mapping) else {}


def _components(values: Mapping[str, Any]) -> list[tuple[str, Body]]:
    """Service account -> its component's part of the values; that of a worker first."""
    blocks = _map(values.get("serviceAccount"))
    found = []
    for worker in values.get("workers") or ():
        account = {**_map(blocks.get("workers")), **_map(worker.get("serviceAccount"))}
        found.append((account.get("name"), dict(worker)))
    for component in COMPONENTS:
        if component == "workers" and values.get("workers"):
            continue
        block = {} if component in ("workers", "sentinel") else _map(values.get(component))
        found.append((_map(blocks.get(component)).get("name"), block))  # the sentinel's image holds no Airflow
    return [(name, block) for name, block in found if name]


def _entries(values: Mapping[str, Any], block: Body) -> list[Body]:
    """The environment as the chart sets it; of two entries with one name the later counts."""
    given = {
        "AIRFLOW__CORE__XCOM_BACKEND": values.get("xcomBackend"),
        "AIRFLOW__SECRETS__BACKEND": values.get("secretBackend"),
        "AIRFLOW__WORKERS__STATE_STORE_BACKEND": values.get("stateStoreBackend", STATE_STORE_BACKEND),
    }
    entries = [{"name": name, "value": value} for name, value in given.items() if value]
    entries += [*(values.get("commonEnv") or ()), *(block.get("env") or ())]
    return list({entry["name"]: _map(entry) for entry in entries}.values())


def _is_secret(entry: Mapping[str, Any]) -> bool:
    return is_secret(entry["name"], str(entry.get("value") or ""))


def _job(probe: Probe, account: str) -> Body:
    values = probe.values
    block = next(block for name, block in _components(values) if name == account)
    container: Body = {
        "name": "xcom-probe",
        "image": block.get("image") or values.get("image"),
        "imagePullPolicy": block.get("imagePullPolicy") or values.get("imagePullPolicy") or "IfNotPresent",
        "command": ["python", f"{FOLDER}/{SCRIPTS[-1]}"],
        "args": _arguments(probe, account),
        "env": [entry for entry in _entries(values, block) if not _is_secret(entry)],
        "resources": RESOURCES,
        "volumeMounts": [
            *(block.get("volumeMounts") or ()),
            {"name": "xcom-probe", "mountPath": FOLDER, "readOnly": True},
        ],
    }
    if security := _map(block.get("containerSecurityContext")) or _map(values.get("containerSecurityContext")):
        container["securityContext"] = security
    pod: Body = {
        "serviceAccountName": account,
        "restartPolicy": "Never",
        "securityContext": _map(block.get("podSecurityContext"))
        or _map({**POD_SECURITY, **(values.get("podSecurityContext") or {})}),
        **{key: block[key] for key in ("nodeSelector", "affinity", "tolerations") if block.get(key)},
        "containers": [container],
        "volumes": [
            *(block.get("volumes") or ()),
            {"name": "xcom-probe", "configMap": {"name": probe.config_map_name}},
        ],
    }
    if values.get("imagePullSecretName"):
        pod["imagePullSecrets"] = [{"name": values["imagePullSecretName"]}]
    labels, annotations = _labels(probe, block.get("podLabels")), _annotations(probe, block.get("podAnnotations"))
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(probe, probe.job_name(account)),
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": int(probe.minutes * 2 * 60) + 600,
            "ttlSecondsAfterFinished": KEPT_FOR_SECONDS,
            "template": {"metadata": {"labels": labels, **annotations}, "spec": pod},
        },
    }
    plain: Body = json.loads(json.dumps(job))  # without the kinds of numbers that the values' reader has
    return plain


def _arguments(probe: Probe, account: str) -> list[str]:
    given = {
        "account": probe.called(account),
        "accounts": ",".join(probe.everybody),
        "run": probe.run,
        "minutes": f"{probe.minutes:g}",
        "old": probe.old,
    }
    return [f"--{key}={value}" for key, value in given.items() if value]
