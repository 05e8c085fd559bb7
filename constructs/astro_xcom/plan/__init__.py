"""What the coming apply does, before it does it. Pure: reads the JSON of a Terraform plan."""

from astro_xcom.plan.document import Plan, read_plan
from astro_xcom.plan.effect import KINDS, Effect, Kind
from astro_xcom.plan.forecast import UNREAD, Forecast, forecast, unread
from astro_xcom.plan.text import text

__all__ = ["KINDS", "UNREAD", "Effect", "Forecast", "Kind", "Plan", "forecast", "read_plan", "text", "unread"]
