"""What a reviewer asks of a deployment, each fact with its source."""

from astro_xcom.evidence.collect import evidence
from astro_xcom.evidence.markdown import markdown
from astro_xcom.evidence.model import Evidence
from astro_xcom.evidence.volume import Volume

__all__ = ["Evidence", "Volume", "evidence", "markdown"]
