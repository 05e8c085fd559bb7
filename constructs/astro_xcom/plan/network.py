"""Who can no longer reach the storage. No side effects, no cdktf import."""

from collections.abc import Iterator

from astro_xcom.plan.document import Body, Plan
from astro_xcom.plan.effect import Effect
from astro_xcom.report.terraform import block
from astro_xcom.settings import Deployment


def changes(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    """Networks that reach the storage now and are refused after the apply."""
    for account in plan.of("azurerm_storage_account"):
        old, new = account.before, account.after
        if account.actions != ("update",) or not (_closes(old, new)):
            continue
        if any("create" in each.actions for each in plan.of("azurerm_private_endpoint")):
            yield Effect(
                kind="QUIET",
                code="closed-before-endpoint",
                what="The account closes before its private endpoint exists: agents are refused for some minutes.",
                instead="Apply twice: first storage.private_endpoint alone, then the setting that closes the account.",
            )
        else:
            yield Effect(
                kind="QUIET",
                code="network-closed",
                what="The account refuses networks that reach it now: after this apply, agents there fail.",
                instead="Make sure that every agent is in an allowed subnet, address range or private network.",
            )
    for endpoint in plan.of("azurerm_private_endpoint"):
        if endpoint.destroys:
            yield Effect(
                kind="QUIET",
                code="endpoint-dropped",
                what="The private endpoint is deleted: agents that reach the account through it are refused until they "
                "look up the account's public address, and afterwards too unless that address lets them in.",
                instead="Keep storage.private_endpoint; or apply while no task runs.",
            )


def _closes(old: Body, new: Body) -> bool:
    if old.get("public_network_access_enabled") is not False and new.get("public_network_access_enabled") is False:
        return True
    was, will = (block(each.get("network_rules")) for each in (old, new))
    if was.get("default_action") != "Deny":
        return bool(will.get("default_action") == "Deny")
    return will.get("default_action") == "Deny" and any(
        set(was.get(key) or ()) - set(will.get(key) or ()) for key in ("ip_rules", "virtual_network_subnet_ids")
    )
