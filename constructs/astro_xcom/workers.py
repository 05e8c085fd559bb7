"""Workers with an identity of their own, beside that of all other agents. Pure."""

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

Worker = str | None
"""Such a worker; None stands for all others."""


def construct_id(worker: Worker) -> str:
    """The id of its identity's construct: part of addresses."""
    return "identity" if worker is None else f"identity-{worker}"


def setting(worker: Worker) -> str:
    """Where its identity stands in the settings."""
    return "identity" if worker is None else f"identity.workers.{worker}"


def default_name(deployment: str, worker: Worker) -> str:
    """What its identity is called, unless the settings say it."""
    return f"{deployment}-xcom" if worker is None else f"{deployment}-xcom-{worker}"


def with_others(of_others: T, workers: Mapping[str, T]) -> dict[Worker, T]:
    """What there is for each identity, that of all others first."""
    return dict([(None, of_others), *workers.items()])


def named(text: str, worker: Worker) -> str:
    """A text about the identity, with the worker that it is of."""
    return text if worker is None else f"worker {worker}: {text}"
