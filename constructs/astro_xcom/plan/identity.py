"""Who is no longer trusted, or acts as another identity. No side effects, no cdktf import."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from astro_xcom.plan.document import Body, Change, Plan, texts
from astro_xcom.plan.effect import Effect, lines
from astro_xcom.plan.release import DRAIN_SECONDS
from astro_xcom.plan.types import BESIDE, GRANTS, IDENTITIES, PERMISSIONS, SAME, TRUST
from astro_xcom.report.terraform import block
from astro_xcom.service_accounts import service_accounts
from astro_xcom.settings import AwsDeployment, AzureDeployment, Deployment, GcpDeployment
from astro_xcom.workers import Worker, with_others

MECHANISMS = {"irsa": "the annotation of IRSA", "pod_identity": "EKS Pod Identity"}


def trust(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    """Pods and clusters that the cloud no longer trusts."""
    before, after = (trusted(side) for side in plan.sides())
    if not after[None]:
        return
    narrowed = isinstance(deployment, AwsDeployment) and _creates(deployment, None)
    # A principal keeps its grants, and an association gets the other role: only the trust of a role ends before that.
    if not plan.sides()[0].get("annotations") and not narrowed:
        after = {worker: [subject for of in after.values() for subject in of] for worker in after}
    with_own = {subject: worker for worker, of in before.items() if worker is not None for subject in of}
    running = {subject: with_own.get(subject) for subject in _running(plan)}
    untrusted = {account.subject for account in deployment.agent.untrusted_accounts()}  # which need no trust
    # An identity that goes is told by itself.
    dropped = {
        subject: worker
        for subject, worker in running.items()
        if subject not in after.get(worker, running) and subject not in untrusted
    }
    first = isinstance(deployment, AwsDeployment) or not any(
        change.destroys for change in plan.of(*TRUST) if change.actions[0] == "create"
    )
    wait = deployment.agent.timeout_seconds + DRAIN_SECONDS if first else DRAIN_SECONDS
    when = "before Helm replaces them" if first else "while Helm's old pods still finish their tasks"
    for worker in dict.fromkeys(dropped.values()):
        accounts = [_account(subject) for subject, of in dropped.items() if of == worker]
        yield Effect(
            kind="QUIET",
            code="trust-dropped",
            what=f"Pods that run as {', '.join(accounts)} lose access {when}, for up to {wait} seconds.",
            instead="These lines keep them trusted; remove them with the next apply, once those pods are gone:"
            if worker is None
            else f"Apply while no task of the worker {worker} runs.",
            paste=lines(
                "agent",
                "former_service_accounts",
                dict.fromkeys((*deployment.agent.former_service_accounts, *accounts)),
            )
            if worker is None
            else None,
        )
    moved = isinstance(deployment, AwsDeployment) and _mechanism_dropped(deployment.identity.mechanism, plan)
    if moved:
        yield Effect(
            kind="QUIET",
            code="mechanism-dropped",
            what=f"Pods that started with {MECHANISMS[moved]} lose access before Helm replaces them, for up to "
            f"{deployment.agent.timeout_seconds + DRAIN_SECONDS} seconds.",
            instead="This line keeps them trusted; remove it with the next apply, once those pods are gone:"
            if moved == "irsa"
            else "First apply mechanism: both. New pods then use IRSA while the old pods are still trusted.",
            paste="identity:\n  former_mechanism: irsa\n" if moved == "irsa" else None,
        )
    for through in _clusters_dropped(deployment, plan, [subject for of in after.values() for subject in of]):
        yield Effect(
            kind="QUIET",
            code="cluster-dropped",
            what=f"After this apply, agents are no longer trusted through {through}.",
            instead="Stop those agents first, or keep their cluster in trusted_clusters.",
        )


def trusted(outputs: Mapping[str, Any]) -> dict[Worker, list[str]]:
    """The subjects that are trusted with each identity, as the outputs say it."""
    workers = outputs.get("worker_identities") or {}
    own = {worker: told.get("trusted_subjects") or [] for worker, told in workers.items()}
    return with_others(outputs.get("trusted_subjects") or [], own)


def _account(subject: str) -> str:
    return subject.removeprefix("system:serviceaccount:").replace(":", "/")


def _running(plan: Plan) -> Iterator[str]:
    """The subjects of the pods that run now: those of the release, else of the values that somebody installs."""
    releases = [change.before for change in plan.of("helm_release") if change.before.get("values")]
    given = [(each["values"][0], str(each.get("namespace"))) for each in releases]
    output = plan.outputs.get("agent_values", (None,))[0]
    for text, namespace in given or ([(output, "")] if output else []):
        values = yaml.safe_load(text)
        # A release that was made by hand may leave its namespace to Helm.
        namespace = values.get("namespace") or namespace
        found = service_accounts(values, prefix=values["resourceNamePrefix"], namespace=namespace)
        yield from dict.fromkeys(account.subject for account in found)


def _mechanism_dropped(mechanism: str, plan: Plan) -> str | None:
    """By what the pods that run now get the role, if the role no longer trusts that."""
    before = plan.outputs.get("annotations", (None, None))[0]
    runs_with = "irsa" if before else "pod_identity"
    for role in plan.of("aws_iam_role"):
        old, new = (each.get("assume_role_policy") for each in (role.before, role.after))
        if before is None or not old or not new or role.destroys:
            continue
        kind = "Federated" if runs_with == "irsa" else "Service"
        if _principals(old, kind) and not _principals(new, kind) and mechanism != runs_with:
            return runs_with
    return None


def _clusters_dropped(deployment: Deployment, plan: Plan, subjects: list[str]) -> Iterator[str]:
    mechanism = deployment.identity.mechanism if isinstance(deployment, AwsDeployment) else None
    for role in plan.of("aws_iam_role"):
        old, new = (each.get("assume_role_policy") for each in (role.before, role.after))
        if old and new and not role.destroys and mechanism != "pod_identity":
            yield from sorted(_principals(old, "Federated") - _principals(new, "Federated"))
    # Without any association no pod was to use one: that is another mechanism, not another cluster.
    changes = [each for each in plan.of(*TRUST) if mechanism != "irsa"]
    created = [_through(each.after) for each in changes if "create" in each.actions]
    kept = [_through(each.before) for each in changes if not each.destroys and each.before]
    for change in changes:
        issuer, subject = _through(change.before)
        if not change.destroys or subject not in subjects:
            continue
        if not any(subject == other and there in (issuer, None) for there, other in [*created, *kept]):
            yield f"{issuer} ({subject})"


def _principals(policy: str, kind: str) -> set[str]:
    statements = json.loads(policy)["Statement"]
    return {
        each
        for statement in (statements if isinstance(statements, list) else [statements])
        for each in texts(block(statement.get("Principal")).get(kind))
    }


def _through(values: Body) -> tuple[str | None, str | None]:
    """(issuer, pool or cluster, subject) of a credential, a member or an association."""
    if "member" in values:
        pool, _, account = str(values["member"]).removeprefix("serviceAccount:").removesuffix("]").partition("[")
        return pool, "system:serviceaccount:" + account.replace("/", ":")
    if "service_account" in values:
        cluster = f"EKS Pod Identity of {values['cluster_name']}"
        return cluster, f"system:serviceaccount:{values['namespace']}:{values['service_account']}"
    return values.get("issuer"), values.get("subject")


def identities(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    """Identities and grants that are replaced, deleted or left to their owner."""
    for change in plan.of(*IDENTITIES):
        if change.destroys and "key-identity" not in change.address:
            yield Effect(
                kind="QUIET" if change.replaces else "STOP",
                code="identity-replaced" if change.replaces else "identity-destroyed",
                what=f"The {IDENTITIES[change.type]} {change.name} is "
                + (
                    f"replaced: pods that still use the old one are refused, for up to {DRAIN_SECONDS} seconds after "
                    "Helm is done. Permissions that others granted to it are lost."
                    if change.replaces
                    else "deleted, with the permissions that others granted to it."
                ),
                instead="Keep its name; or apply while no task runs.",
            )
    for change in plan.of(*GRANTS):
        if change.destroys and "_key-grant" not in change.address and not BESIDE.search(change.address):
            first = change.actions[0] == "delete"
            if first or not change.replaces:
                yield Effect(
                    kind="QUIET",
                    code="grant-replaced" if change.replaces else "grant-dropped",
                    what="The grant on the storage is deleted "
                    + ("before its successor is created: agents are refused for about a minute." if change.replaces
                       else "and not created again: its holder is refused after this apply."),
                    instead="Apply while no task runs.",
                )  # fmt: skip
    for worker in _handed_over(deployment, plan):
        who = "Agents act" if worker is None else f"The worker {worker} acts"
        yield Effect(
            kind="QUIET",
            code="other-identity",
            what=f"{who} as an identity that this deployment does not create: "
            f"{'they are' if worker is None else 'it is'} refused until its owner adds the trust and "
            "the permissions that `astro-xcom check` lists.",
            instead="Ask the owner to do that before the apply.",
        )
    for change in plan.of("google_service_account_iam_member"):
        if change.replaces and change.actions[0] == "delete":
            yield Effect(
                kind="QUIET",
                code="member-replaced",
                what="Members of the service account are deleted before their successors are created: agents are "
                "refused for about a minute.",
                instead="Apply while no task runs.",
            )


def _handed_over(deployment: Deployment, plan: Plan) -> Iterator[Worker]:
    """Whose pods act as another identity than before, which this deployment does not create."""
    before, after = (_marks(side) for side in plan.sides())
    for worker, new in after.items():
        old = before.get(worker, before[None])
        other = any(was and is_now and was != is_now for was, is_now in zip(old, new, strict=True))
        if other and not _creates(deployment, worker):
            yield worker


def _marks(outputs: Mapping[str, Any]) -> dict[Worker, list[Any]]:
    """What marks each identity. With EKS Pod Identity there is no annotation."""
    told = with_others(outputs, outputs.get("worker_identities") or {})
    return {worker: [of.get(mark) for mark in ("role_arn", "annotations")] for worker, of in told.items()}


def _creates(deployment: Deployment, worker: Worker) -> bool:
    """Whether this deployment creates an identity."""
    if isinstance(deployment, AwsDeployment):
        return not deployment.roles()[worker].existing_role
    if isinstance(deployment, AzureDeployment):
        return not deployment.identities()[worker].existing
    return not (isinstance(deployment, GcpDeployment) and deployment.identities()[worker].existing_service_account)


def permissions(_: Deployment, plan: Plan) -> Iterator[Effect]:
    """Permissions that agents lose in addition to those for XComs."""
    for change in plan.of(*PERMISSIONS):
        if not BESIDE.search(change.address):
            continue
        deleted = change.destroys and change.actions != ("create", "delete")
        if deleted or _narrower(change):
            yield Effect(
                kind="QUIET",
                code="permission-dropped",
                what=f"{change.address} is {'deleted' if deleted else 'changed'}: after this apply, agents are refused "
                "what only it allowed in addition to XComs, such as the secrets backend.",
                instead="Apply while no task runs, or allow it with another grant first.",
            )


def _narrower(change: Change) -> bool:
    """Whether a policy loses a statement."""
    old, new = (each.get("policy") for each in (change.before, change.after))
    if not old or not new:
        return False
    now = json.loads(new)["Statement"]
    now = now if isinstance(now, list) else [now]
    before = json.loads(old)["Statement"]
    return any(statement not in now for statement in (before if isinstance(before, list) else [before]))


def equals(_: Deployment, plan: Plan) -> Iterator[Effect]:
    """Grants that are replaced by an equal one, created first: tainted ones, or those that `-replace` names."""
    for change in plan.of(*SAME):
        # What one version of a provider has no argument for is on neither side.
        keys = [key for key in SAME[change.type] if key in change.before or key in change.after]
        same = all(change.before.get(key) == change.after.get(key, ...) for key in keys)
        if change.actions == ("create", "delete") and same:
            yield Effect(
                kind="QUIET",
                code="equal-replaced",
                what=f"{change.address} is replaced by an equal one, which is created first. Either the cloud refuses "
                "the second one and the apply fails, or deleting the old one also removes the new one, and agents are "
                "refused until the next apply.",
                instead=f"Run `terraform untaint {change.address}` in the stack's folder to keep it; then plan again.",
            )
