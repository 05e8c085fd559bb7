"""What must be there before an apply: looked for with the user's own commands, which change nothing."""

from astro_xcom.doctor.checks import examine
from astro_xcom.doctor.commands import Commands
from astro_xcom.doctor.model import Check, Diagnosis

__all__ = ["Check", "Commands", "Diagnosis", "examine"]
