"""What happens to the agents' release. Pure."""

from collections.abc import Iterator

from astro_xcom.plan.document import Plan
from astro_xcom.plan.effect import Effect
from astro_xcom.settings import Deployment

DRAIN_SECONDS = 600
"""The chart's grace period: how long a pod that is replaced may finish its tasks."""


def changes(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    """Whether the agents are upgraded, reinstalled, removed, handed over or not to be found."""
    for change in plan.of("helm_release"):
        if change.address in plan.gone and change.actions != ("forget",):
            continue
        if change.tainted:
            yield Effect(
                kind="QUIET",
                code="release-tainted",
                what=f"Terraform could not finish the release {change.name}: it is uninstalled, then installed anew. "
                f"There are no agents for up to {deployment.agent.timeout_seconds} seconds, and tasks that run are "
                "lost.",
                instead=f"`terraform untaint {change.address}` in the stack's folder has it upgraded in place; plan "
                "again after it.",
            )
        elif change.replaces:
            yield Effect(
                kind="QUIET",
                code="release-replaced",
                what=f"The release {change.name} is uninstalled and then installed anew: there are no agents for up to "
                f"{deployment.agent.timeout_seconds} seconds, and tasks that run are lost.",
                instead="Keep agent.release_name and agent.namespace; or apply while no task runs.",
            )
        elif change.destroys:
            yield Effect(
                kind="STOP",
                code="release-removed",
                what=f"The release {change.name} is uninstalled: there are no agents, and tasks that run are lost.",
                instead="storage.protect_from_destroy: true leaves it to whoever installs it from now on.",
            )
        elif "forget" in change.actions:
            yield Effect(
                kind="fine",
                code="release-handed-over",
                what=f"The release {change.name} runs on, and Terraform no longer knows it. Whoever installs the chart "
                "uses the output agent_values.",
            )
        elif change.before.get("status", "deployed") != "deployed":
            yield Effect(
                kind="QUIET",
                code="release-failed",
                what=f"The last installation or upgrade of the release {change.name} did not end well: Helm calls it "
                f"{change.before['status']}. Agents may be missing, or run with older values. This apply upgrades it "
                "in place; if the reason is still there, it fails again after "
                f"{deployment.agent.timeout_seconds} seconds.",
                instead=f"`kubectl -n {deployment.agent.namespace} get events` tells why the pods did not start.",
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
                "reach (an expired login, a VPN). Then the apply fails or leaves agents that no state knows.",
                instead="Log in to the cluster and plan again. If the release is really gone, allow this.",
            )
