"""Which values expire earlier. No side effects, no cdktf import."""

from collections.abc import Callable, Iterator

from astro_xcom.plan.document import Body, Plan
from astro_xcom.plan.effect import Effect
from astro_xcom.report.terraform import block
from astro_xcom.settings import Deployment


def changes(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    """Values that expire earlier than they do now."""
    for change in plan.of(*EXPIRY):
        if change.actions != ("update",):
            continue
        old, new = (EXPIRY[change.type](each) for each in (change.before, change.after))
        if old and new and new < old:
            yield Effect(
                kind="SOON",
                code="expires-earlier",
                what=f"Values expire after {new} days instead of {old}: older values are deleted within about two "
                "days. A task that reads such a value later gets its path.",
                instead=f"xcom.retention_days: {old}",
            )
    for change in plan.of("google_storage_bucket"):
        old, new = (_soft_delete(each) for each in (change.before, change.after))
        if change.actions == ("update",) and old != new:
            yield Effect(
                kind="SOON",
                code="soft-delete-changed",
                what=f"Deleted values can be restored for another {new} days instead of {old}"
                + ("; every expired value is billed that much longer." if new > old else "."),
            )


def _soft_delete(values: Body) -> int:
    return int(block(values.get("soft_delete_policy")).get("retention_duration_seconds") or 0) // 86400


def _days_of_s3(values: Body) -> int | None:
    days = [block(rule.get("expiration")).get("days") for rule in values.get("rule") or ()]
    return next((day for day in days if day), None)


def _days_of_azure(values: Body) -> int | None:
    bases = (block(block(rule.get("actions")).get("base_blob")) for rule in values.get("rule") or ())
    found = (base.get("delete_after_days_since_modification_greater_than") for base in bases)
    return next((day for day in found if day and day > 0), None)


def _days_of_gcp(values: Body) -> int | None:
    rules = values.get("lifecycle_rule") or ()
    conditions = (block(rule.get("condition")) for rule in rules if block(rule.get("action")).get("type") == "Delete")
    return next((each["age"] for each in conditions if each.get("age")), None)


EXPIRY: dict[str, Callable[[Body], int | None]] = {
    "aws_s3_bucket_lifecycle_configuration": _days_of_s3,
    "azurerm_storage_management_policy": _days_of_azure,
    "google_storage_bucket": _days_of_gcp,
}
