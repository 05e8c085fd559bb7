"""What happens to the agents' release. No side effects, no cdktf import."""

from collections.abc import Iterator

from astro_xcom.plan.document import Plan
from astro_xcom.plan.effect import Effect
from astro_xcom.settings import Deployment

DRAIN_SECONDS = 600
"""The chart's grace period: how long a pod that is replaced may finish its tasks."""


def changes(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    """Whether the agents are upgraded, reinstalled, removed, handed over or not found."""
    for change in plan.of("helm_release"):
        if change.address in plan.gone and change.actions != ("forget",):
            continue
        if change.tainted:
            yield Effect(
                kind="QUIET",
                code="release-tainted",
                what=f"Terraform could not finish the release {change.name}: it is uninstalled and then installed "
                f"again. There are no agents for up to {deployment.agent.timeout_seconds} seconds, and running tasks "
                "are lost.",
                instead=f"Run `terraform untaint {change.address}` in the stack's folder to have it upgraded in place; "
                "then plan again.",
            )
        elif change.replaces:
            yield Effect(
                kind="QUIET",
                code="release-replaced",
                what=f"The release {change.name} is uninstalled and then installed again: there are no agents for up "
                f"to {deployment.agent.timeout_seconds} seconds, and running tasks are lost.",
                instead="Keep agent.release_name and agent.namespace; or apply while no task runs.",
            )
        elif change.destroys:
            yield Effect(
                kind="STOP",
                code="release-removed",
                what=f"The release {change.name} is uninstalled: there are no agents, and running tasks are lost.",
                instead="With storage.protect_from_destroy: true, Terraform forgets the release and it runs on.",
            )
        elif "forget" in change.actions:
            yield Effect(
                kind="fine",
                code="release-handed-over",
                what=f"The release {change.name} runs on, and Terraform no longer manages it. The person or tool that "
                "installs the chart must use the output agent_values.",
            )
        elif change.before.get("status", "deployed") != "deployed":
            yield Effect(
                kind="QUIET",
                code="release-failed",
                what=f"The last installation or upgrade of the release {change.name} failed: Helm calls it "
                f"{change.before['status']}. Agents may be missing, or run with older values. This apply upgrades the "
                "release in place; if the reason remains, the upgrade fails again after "
                f"{deployment.agent.timeout_seconds} seconds.",
                instead=f"`kubectl -n {deployment.agent.namespace} get events` shows why the pods did not start.",
            )
        elif "update" in change.actions:
            yield Effect(
                kind="fine",
                code="release-upgraded",
                what=f"The release {change.name} is upgraded: pods that changed are replaced, and a task that outlasts "
                f"their grace period ({DRAIN_SECONDS} seconds by the chart's default) is lost.",
            )
    # A plan to destroy does not say what its refresh no longer found: the release is not in it.
    unseen = plan.destroys and deployment.agent.release and not any(plan.of("helm_release"))
    for address in sorted(plan.gone) or ["helm_release."] * unseen:
        if address.startswith("helm_release."):
            yield Effect(
                kind="STOP",
                code="release-not-found",
                what="Terraform did not find the release in the cluster: it was uninstalled, or the cluster is out of "
                "reach (an expired login, a VPN). Out of reach, the apply fails or leaves agents that no state knows.",
                instead="Log in to the cluster and plan again. If the release is really gone, allow this.",
            )
