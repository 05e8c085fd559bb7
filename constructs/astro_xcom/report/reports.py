"""One deployment -> its report."""

import importlib
import json
import posixpath
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from types import ModuleType
from typing import Any

from astro_xcom.chart_values import IDENTITIES
from astro_xcom.deployments import CLOUDS
from astro_xcom.errors import SettingError
from astro_xcom.json_files import shaped
from astro_xcom.report.agents import environment, secret_names, service_accounts, state_store, xcom_store
from astro_xcom.report.applied import State
from astro_xcom.report.compare import compare
from astro_xcom.report.model import CloudFacts, Finding, Release, Report, ServiceAccount, WorkerReport
from astro_xcom.report.needs import needs, sentence
from astro_xcom.report.terraform import Body, Known, Stack, planned
from astro_xcom.service_accounts import subjects
from astro_xcom.settings import AwsDeployment, AzureDeployment, Deployment, GcpDeployment
from astro_xcom.settings.deployment import SMALL
from astro_xcom.terraform_text import relative_to_stack
from astro_xcom.xcom import BRANCH_SAFE, XCOM_BACKEND


def cloud_of(deployment: Deployment) -> str:
    """aws, azure or gcp."""
    return next(name for name, settings in CLOUDS.items() if isinstance(deployment, settings))


def planned_facts(deployment: Deployment, body: Body, state: State | None = None) -> tuple[Stack, CloudFacts]:
    """The facts of the settings, completed with what an applied state knows."""
    of_cloud = _module(cloud_of(deployment))
    with shaped("has values in another shape than Terraform gives them") if state else nullcontext():
        stack = planned(body, of_cloud.computed(body), state.known(body) if state else Known())
        return stack, of_cloud.facts(stack)


def applied_facts(deployment: Deployment, state: State) -> CloudFacts:
    """What a state comes to. Raises SettingError for the state of something else."""
    of_cloud = _module(cloud_of(deployment))
    missing = [name for name in of_cloud.OUTPUTS if name not in state.stack.outputs]
    if missing:
        raise SettingError(f"is not the state of this deployment: it has no output {', '.join(missing)}")
    with shaped("has resources in another shape than `terraform show -json` gives them"):
        facts: CloudFacts = of_cloud.facts(state.stack)
        return facts


def _module(cloud: str) -> ModuleType:
    return importlib.import_module(f"astro_xcom.report.{cloud}")


def check(deployment: Deployment, body: Body, state: State | None = None) -> Report:
    """What will be true of a deployment with this Terraform JSON, and where an applied state differs.

    Raises SettingError for the state of something else.
    """
    cloud = cloud_of(deployment)
    stack, facts = planned_facts(deployment, body, state)
    values = stack.agent_values
    untrusted = subjects(deployment.agent.untrusted_accounts())
    accounts = tuple(service_accounts(stack, facts, untrusted))
    release = Release(**stack.release) if stack.release else None
    beside = {worker: tuple(needs(cloud, values, facts.of(worker))) for worker in facts.identities()}
    return Report(
        cloud=cloud,
        place=facts.place,
        terraform_state=_backend(stack.settings),
        namespace=values["namespace"],
        release=release,
        service_accounts=accounts,
        identity=facts.identity,
        identity_made=facts.identity_made,
        permissions=facts.permissions,
        permissions_made=facts.permissions_made,
        needs=beside[None],
        workers={
            worker: WorkerReport(**own.model_dump(exclude={"trust"}), needs=beside[worker])
            for worker, own in facts.workers.items()
        },
        storage=facts.storage,
        storage_made=facts.storage_made,
        xcom=xcom_store(values),
        state_store=state_store(stack),
        lifecycle=facts.lifecycle,
        environment=environment(values),
        annotations=values.get("annotations") or {},
        labels=values.get("labels") or {},
        for_others=(
            *facts.for_others,
            *_not_looked_up(deployment),
            *(
                text
                for worker, found in beside.items()
                for need in found
                if (text := sentence(need, cloud, facts.of(worker)))
            ),
            *_for_others(stack, accounts, release),
        ),
        always=(*_always(deployment, expires=facts.lifecycle is not None), *facts.always),
        warnings=tuple(deployment.warnings()),
        findings=tuple(_compared(deployment, stack, facts, state)) if state else (),
        compared="nothing" if state is None else "state" if state.stack.complete else "outputs",
    )


def _compared(deployment: Deployment, stack: Stack, facts: CloudFacts, state: State) -> Iterator[Finding]:
    applied = applied_facts(deployment, state)
    with shaped("has resources in another shape than `terraform show -json` gives them"):
        yield from compare(stack, facts, state.stack, applied)


def _backend(terraform: Body) -> dict[str, str]:
    """`{"backend": "s3", "bucket": ...}`; paths as deployments.yaml has them."""
    ((kind, settings),) = terraform["backend"].items() if "backend" in terraform else [("cloud", terraform["cloud"])]
    flat = dict(_flat(settings))
    if kind == "local":
        flat["path"] = posixpath.relpath(flat["path"], relative_to_stack("."))
    return {"backend": kind, **flat}


def _flat(settings: Mapping[str, Any], front: str = "") -> Iterator[tuple[str, str]]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{front}{key}.")
        else:
            yield front + key, value if isinstance(value, str) else json.dumps(value)


def _not_looked_up(deployment: Deployment) -> Iterator[str]:
    """What a plan would look up from a cluster's name, and cannot check if the settings give it."""
    if isinstance(deployment, AwsDeployment) and deployment.makes_roles:
        for arn in (cluster.oidc_provider_arn for cluster in deployment.clusters):
            if arn:
                yield f"The OIDC provider {arn} must be registered in IAM, with the audience sts.amazonaws.com."
    if isinstance(deployment, AzureDeployment):
        for issuer in (cluster.issuer for cluster in deployment.clusters):
            if issuer:
                yield f"The cluster of the issuer {issuer} must have the workload identity webhook."
    if isinstance(deployment, GcpDeployment):
        for cluster in deployment.clusters:
            if cluster.name is None:
                which = f"clusters of the pool {cluster.workload_pool}, and their node pools,"
                yield f"The {which} must have Workload Identity Federation for GKE."


def _for_others(stack: Stack, accounts: tuple[ServiceAccount, ...], release: Release | None) -> Iterator[str]:
    values = stack.agent_values
    namespace = values["namespace"]
    if release is None:
        yield (
            "The person or tool that installs the chart must use the output agent_values unchanged, and restart the "
            "agents when it changes."
        )
    if not stack.one("helm_release").get("create_namespace"):
        yield f"The namespace {namespace} must exist before the agents are installed."
    secrets = ", ".join(secret_names(values))
    if secrets:
        yield f"The namespace {namespace} must have the secrets that the values name: {secrets}."
    if values["xcomBackend"] != XCOM_BACKEND:
        yield f"The agents' image must have the class {values['xcomBackend']}: no agent starts without it."
    for account in accounts:
        if not account.made_by_chart:
            name = account.subject.rpartition(":")[2]
            marks = account.annotations or {
                key: value for key, value in (values.get("annotations") or {}).items() if key != IDENTITIES
            }
            annotations = " and ".join(f"{key}: {value}" for key, value in marks.items())
            how = f", with the annotation {annotations}" if account.trusted and annotations else ""
            yield f"The owner of the service account {name} must create it in {namespace}{how}."


def _always(deployment: Deployment, *, expires: bool) -> Iterator[str]:
    when = f"after {deployment.xcom.retention_days} days" if expires else "when the storage's owner decides"
    yield (
        f"Values expire {when}. A task that reads a value later receives the value's path instead, without an error: "
        "values must outlast the longest run with its retries and re-runs."
    )
    yield from _branches(deployment.xcom.threshold, deployment.xcom.backend)
    yield "The path is permanent: after a change, agents read earlier values as their paths."


def _branches(threshold: int, backend: str) -> Iterator[str]:
    if _class(backend) == _class(BRANCH_SAFE):
        return
    decision = "what a branch or a short circuit decided"
    if threshold:
        decision += f", if that takes {threshold} bytes or more (a short circuit in front of dozens of tasks)"
    remedy = f"xcom.backend: {BRANCH_SAFE} avoids it"
    if threshold < SMALL:
        remedy += f"; xcom.threshold: {SMALL} avoids it for decisions below {SMALL} bytes"
    yield (
        f"While the agents' image has an Airflow before 3.4, the scheduler cannot read {decision} "
        "(apache/airflow#50491). Mapped tasks that should be skipped then run, other tasks run when they are cleared, "
        f"and everything is green. {remedy}."
    )


def _class(path: str) -> str:
    return path.rpartition(".")[2]
