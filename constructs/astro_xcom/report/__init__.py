"""What will be true of a deployment, read from what its constructs synthesize, and how its applied state differs."""

from astro_xcom.report.model import Document, Finding, Report, Store
from astro_xcom.report.reports import check, synthesized
from astro_xcom.report.state import State, read_state

__all__ = ["Document", "Finding", "Report", "State", "Store", "check", "read_state", "synthesized"]
