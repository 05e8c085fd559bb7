"""What costs money after the apply. No side effects, no cdktf import."""

from collections.abc import Iterator

from astro_xcom.plan.document import Plan
from astro_xcom.plan.effect import Effect
from astro_xcom.plan.types import LOGS
from astro_xcom.settings import Deployment

COSTS = {
    "aws_kms_key": "a KMS key",
    "google_kms_crypto_key": "a key of Cloud KMS",
    "azurerm_private_endpoint": "a private endpoint",
    "azurerm_monitor_diagnostic_setting": "access logs",
    "aws_s3_bucket_logging": "access logs",
    "aws_s3_bucket_notification": "events of every object",
}


def changes(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    """What begins to cost money, or ends."""
    for change in plan.of(*COSTS):
        if change.actions == ("create",):
            yield Effect(kind="SOON", code="costs", what=f"The apply creates {COSTS[change.type]}, which costs money.")
        elif change.actions == ("delete",) and change.type in LOGS:
            yield Effect(kind="fine", code="logs-dropped", what=f"After the apply there are no {COSTS[change.type]}.")
    for change in plan.of("google_storage_bucket"):
        if change.before and not change.before.get("logging") and change.after.get("logging"):
            yield Effect(kind="SOON", code="costs", what="The apply switches access logs on, which cost money.")
    for change in plan.of("azurerm_storage_account"):
        old, new = (each.get("account_replication_type") for each in (change.before, change.after))
        if change.actions == ("update",) and old and new and old != new:
            what = f"The replication changes from {old} to {new}, and so does the price."
            yield Effect(kind="SOON", code="costs", what=what)
