"""What changes about imported resources, and what remains of the manual setup. No side effects, no cdktf import."""

import json
from collections.abc import Iterator
from typing import Any

from astro_xcom.imports import named_addresses
from astro_xcom.plan.document import Body, Change, Plan, texts
from astro_xcom.plan.effect import Effect
from astro_xcom.plan.expiry import EXPIRY
from astro_xcom.plan.types import HOLDS, IDENTITIES
from astro_xcom.report.terraform import block
from astro_xcom.settings import Deployment

LIFECYCLES = ("aws_s3_bucket_lifecycle_configuration", "azurerm_storage_management_policy", "google_storage_bucket")
POLICIES = {"aws_s3_bucket_policy": "policy", "aws_iam_role_policy": "policy"}
SILENT = {"tags_all", "terraform_labels", "effective_labels", "id", "arn"}
"""What a provider fills in."""


def changes(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    """What happens to each imported resource."""
    if held := list(_already(deployment, plan)):
        yield Effect(
            kind="fine",
            code="import-done",
            what=f"Already in the state: {', '.join(held)}. These lines of imports do nothing any more.",
        )
    for change in plan.changes:
        if change.imported is None:
            continue
        if change.destroys:
            why = f", since {', '.join(change.replaced_for)} differs" if change.replaced_for else ""
            yield Effect(
                kind="STOP",
                code="import-replaced",
                what=f"{change.address} is imported from {change.imported} and then "
                f"{'replaced' if change.replaces else 'deleted'}{why}.",
                instead="Set the settings to the existing values; docs/take-over.md lists the settings for names.",
            )
            continue
        different = sorted(_different(change))
        yield Effect(
            kind="fine",
            code="imported",
            what=f"{change.address} is imported from {change.imported}; "
            + (f"these change: {', '.join(different)}." if different else "nothing about it changes."),
        )
        yield from _policy(change)


def _already(deployment: Deployment, plan: Plan) -> Iterator[str]:
    """Imports that Terraform ignores, because its state already holds a resource there."""
    there = {change.address for change in plan.changes if change.imported is None and change.before}
    yield from (thing for thing, address in named_addresses(deployment).items() if address in there)


def _different(change: Change) -> Iterator[str]:
    for key in {*change.before, *change.after} - SILENT:
        before, after = change.before.get(key), change.after.get(key)
        if key in change.after and before != after and (before or after):
            yield key


def _policy(change: Change) -> Iterator[Effect]:
    """Statements that others wrote into an imported policy, and that the apply removes."""
    argument = POLICIES.get(change.type)
    if not argument or not change.before.get(argument) or not change.after.get(argument):
        return
    kept = [_canonical(each) for each in _statements(change.after[argument])]
    gone = [each for each in _statements(change.before[argument]) if _canonical(each) not in kept]
    if gone:
        named = ", ".join(str(each.get("Sid") or json.dumps(each, sort_keys=True)[:60]) for each in gone)
        yield Effect(
            kind="QUIET",
            code="policy-replaced",
            what=f"The policy of {change.name} loses the statements that others wrote into it: {named}.",
            instead="Ask who needs them; other teams should keep their statements in their own policy.",
        )


def _statements(policy: str) -> list[Body]:
    found = json.loads(policy).get("Statement") or []
    return found if isinstance(found, list) else [found]


def _canonical(statement: Body) -> str:
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items() if key != "Sid"}
        return (
            sorted(value)
            if isinstance(value, list) and all(isinstance(each, str) for each in value)
            else ([value] if isinstance(value, str) else value)
        )

    return json.dumps(plain(statement), sort_keys=True)


def expiry(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    """Values in imported storage that nothing deleted so far, or that rules created by hand deleted."""
    if not any(change.imported for change in plan.of(*HOLDS)):
        return
    for change in plan.of(*LIFECYCLES):
        after = EXPIRY[change.type](change.after)
        if after and not EXPIRY[change.type](change.before) and not change.destroys:
            hidden = (
                ""
                if change.before
                else " Rules that were created by hand are replaced, and this plan does not show them."
            )
            yield Effect(
                kind="SOON",
                code="expires-from-now",
                what=f"Values expire after {after} days: older values are deleted within about two days. A task that "
                f"reads such a value later gets its path.{hidden}",
                instead="Set xcom.retention_days to as long as the oldest value is needed"
                + ("; if there are such rules, also set imports.lifecycle: true." if hidden else "."),
            )


def trust(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    """Who was trusted by an imported role and no longer is."""
    for role in plan.of("aws_iam_role"):
        old, new = (each.get("assume_role_policy") for each in (role.before, role.after))
        if role.imported is None or role.destroys or not old or not new:
            continue
        kept = set(_trusted(new))
        gone = [each for each in dict.fromkeys(_trusted(old)) if each not in kept]
        if gone:
            yield Effect(
                kind="QUIET",
                code="trust-exact",
                what=f"The role {role.name} trusts exactly the service accounts of this deployment, and no longer "
                f"{', '.join(gone)}.",
                instead="For others who use the role: agent.former_service_accounts, trusted_clusters, or a role of "
                "their own.",
            )


def _trusted(policy: str) -> Iterator[str]:
    """Whom a trust policy lets in: subjects of a cluster, or principals."""
    for statement in _statements(policy):
        conditions = block(statement.get("Condition"))
        tests = [test for test in conditions.values() if isinstance(test, dict)]
        subjects = [
            text for test in tests for key, value in test.items() if key.endswith(":sub") for text in texts(value)
        ]
        principal = statement.get("Principal")
        named = (
            [text for value in principal.values() for text in texts(value)]
            if isinstance(principal, dict)
            else [principal]
        )
        if not subjects:
            yield from (str(each) for each in named)
        for subject in subjects:
            yield from (f"{subject} of {each}" for each in named)


def account_keys(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    """Azure: callers with the account's keys are refused."""
    for change in plan.of("azurerm_storage_account"):
        on = change.before.get("shared_access_key_enabled", True) is not False
        if change.stays and on and change.after.get("shared_access_key_enabled") is False:
            yield Effect(
                kind="QUIET",
                code="keys-off",
                what=f"The keys of the storage account {change.name} are switched off: after this apply, callers that "
                "use a key, a connection string or a SAS signed with a key are refused.",
                instead="Look for such requests first: the account's logs show them as AccountKey and SAS. Or use the "
                "account without managing it: storage.existing.",
            )


def stays_behind(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    """What was created by hand for an imported identity, and is in no plan."""
    for change in plan.of(*IDENTITIES):
        if change.imported is None or "key-identity" in change.address:
            continue
        left = {
            "aws_iam_role": "policies attached to it",
            "azurerm_user_assigned_identity": "federated credentials and role assignments",
            "google_service_account": "members and grants",
        }[change.type]
        yield Effect(
            kind="fine",
            code="stays-behind",
            what=f"The {IDENTITIES[change.type]} {change.name} keeps what is not imported, which may allow more than "
            f"it needs: {left}. Remove it by hand after the apply.",
        )
