"""What the state of a run means: go on waiting, or an exit code and a sentence. Pure."""

from dataclasses import dataclass
from typing import Any

UNCHANGED, ERROR, CHANGES = 0, 1, 2
"""As those of `terraform plan -detailed-exitcode`."""

WAITS = "the run waits for somebody to confirm it"
ENDED_BADLY = {
    "errored": "the run failed",
    "canceled": "the run was cancelled",
    "force_canceled": "the run was cancelled by force",
    "discarded": "the run was discarded",
    "policy_soft_failed": "a policy failed",
    "policy_override": "a policy failed; the run waits for somebody to override it",
    "tf_policy_override": "a policy failed; the run waits for somebody to override it",
    "post_plan_awaiting_decision": "a run task failed; the run waits for somebody to decide",
}


@dataclass(frozen=True)
class Verdict:
    """How a run ended, or where it waits for a person."""

    exit_code: int
    text: str
    confirmable: bool = False
    """Whether the token may confirm it."""


def verdict(run: dict[str, Any], *, confirmed: bool) -> Verdict | None:
    """What the attributes of a run say; None while it is under way, and once it is `confirmed` until it ends."""
    status = run["status"]
    if status in ENDED_BADLY:
        return Verdict(ERROR, ENDED_BADLY[status])
    if status == "applied":
        return Verdict(UNCHANGED, "applied")
    if status in ("planned_and_finished", "planned_and_saved"):
        changes = run.get("has-changes")
        return Verdict(CHANGES, "changes planned") if changes else Verdict(UNCHANGED, "nothing to change")
    if run.get("actions", {}).get("is-confirmable") and not confirmed:
        may = run.get("permissions", {}).get("can-apply", True)
        return Verdict(CHANGES, f"changes planned; {WAITS}", confirmable=may)
    return None
