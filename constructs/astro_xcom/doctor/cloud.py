"""What the three clouds have in common for `doctor`."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

from astro_xcom.doctor.model import Check


class Cloud(ABC):
    """The checks of a cloud. What they learn of the deployment's own cluster is there once they have run."""

    endpoints: set[str]
    """Where its API server answers; empty where nobody said."""

    @abstractmethod
    def checks(self) -> Iterator[Check]:
        """Each thing that the cloud must have."""

    @abstractmethod
    def connect(self) -> str:
        """The line that gives kubectl a context of the cluster."""
