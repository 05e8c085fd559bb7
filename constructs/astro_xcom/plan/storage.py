"""What happens to storage and to the place of values. No side effects, no cdktf import."""

from collections.abc import Iterator

from astro_xcom.plan.document import Change, Plan
from astro_xcom.plan.effect import Effect, lines
from astro_xcom.plan.types import HOLDS, IDENTITIES, KEYS
from astro_xcom.settings import AwsDeployment, AzureDeployment, Deployment, GcpDeployment


def destroyed(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    """Storage and keys that are deleted."""
    for change in plan.of(*HOLDS):
        if change.destroys:
            yield Effect(
                kind="STOP",
                code="storage-destroyed",
                what=f"The {HOLDS[change.type]} {change.name} is deleted, with every XCom in it.",
                instead="Keep its name, place and settings. storage.protect_from_destroy: true refuses such a plan.",
            )
    for change in plan.of(*KEYS):
        if change.destroys:
            yield Effect(
                kind="STOP",
                code="key-destroyed",
                what=f"The {KEYS[change.type]} {change.name} is deleted: values that it encrypted become unreadable.",
                instead="storage.protect_from_destroy: true keeps it.",
            )


def elsewhere(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    """Storage that stays in its place although the settings name another place."""
    for change in plan.of(*HOLDS, *KEYS, *IDENTITIES):
        if not change.stays:
            continue
        for setting, said, found in _places(deployment, change):
            if said and found and said.lower() != found.lower():
                yield Effect(
                    kind="STOP",
                    code="other-place",
                    what=f"{setting} is {said}, but {change.name} stays in {found}: nothing moves, and agents get "
                    "settings of a place that does not hold their values.",
                    instead=f"Set {setting} back to {found}, or add a deployment of another name for {said}.",
                )


def _places(deployment: Deployment, change: Change) -> Iterator[tuple[str, str | None, str | None]]:
    before = change.before
    if isinstance(deployment, AwsDeployment):
        yield "region", deployment.region, before.get("region")
        account = str(before.get("arn", "")).split(":")[4:5]
        yield "account_id", deployment.account_id, account[0] if account else None
    elif isinstance(deployment, AzureDeployment):
        parts = str(before.get("id", "")).split("/")
        yield "subscription_id", deployment.subscription_id, parts[2] if parts[1:2] == ["subscriptions"] else None
    elif isinstance(deployment, GcpDeployment):
        yield "project", deployment.project, before.get("project")


def paths(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    """Values that agents no longer find, because they look elsewhere."""
    old, new = plan.outputs.get("xcom_path", (None, None))
    if old and new and old != new:
        paste = None
        bucket, _, path = old.partition("://")[2].rpartition("@")[2].partition("/")
        same = new.partition("://")[2].rpartition("@")[2].partition("/")[0] == bucket
        storage = deployment.storage
        if same and path not in (storage.path, *storage.former_paths, *storage.shared_paths) and not deployment.adopted:
            paste = lines("storage", "former_paths", [*storage.former_paths, path])
        yield Effect(
            kind="STOP",
            code="path-changed",
            what=f"XComs go to {new} instead of {old}: agents read every earlier value as its path, a text, without an "
            "error.",
            instead="Keep the path; or apply while no run needs an earlier value."
            + (" These lines let the old values expire:" if paste else ""),
            paste=paste,
        )
    old, new = plan.outputs.get("account", (None, None))  # Azure's paths do not name it
    if old and new and old != new:
        yield Effect(
            kind="STOP",
            code="account-changed",
            what=f"XComs go to the account {new} instead of {old}: agents no longer find earlier values.",
            instead="Keep the account; or apply while no run needs an earlier value.",
        )
    old, new = plan.outputs.get("state_store_path", (None, None))
    if old and old != new and plan.outputs.get("xcom_path", (None, None))[1]:
        yield Effect(
            kind="STOP",
            code="state-store-changed",
            what=f"The state store moves from {old} to {new or 'nowhere'}: tasks do not find what they stored there.",
            instead="Keep state_store as it was.",
        )


def unprotected(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    """Storage that a later edit may delete."""
    for change in plan.of(*HOLDS):
        if change.stays and not deployment.storage.protect_from_destroy:
            emptied = ", and all objects in it" if change.after.get("force_destroy") else ""
            yield Effect(
                kind="SOON",
                code="not-protected",
                what=f"The {HOLDS[change.type]} {change.name} is not protected: a later edit may delete it{emptied}.",
                instead="Remove storage.protect_from_destroy: false.",
            )
