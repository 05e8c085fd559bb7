"""What will be true of a deployment, read from what its constructs synthesize, and how its applied state differs."""

from astro_xcom.report.applied import State, read_state
from astro_xcom.report.model import CloudFacts, Document, Finding, Report, Store, WorkerReport
from astro_xcom.report.reports import applied_facts, check, cloud_of, planned_facts

__all__ = [
    "CloudFacts",
    "Document",
    "Finding",
    "Report",
    "State",
    "Store",
    "WorkerReport",
    "applied_facts",
    "check",
    "cloud_of",
    "planned_facts",
    "read_state",
]
