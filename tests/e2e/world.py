"""One applied deployment on loopback: its pods, their identity, its empty storage and what enforces its permissions."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Protocol

from e2e.agents import Agent, Airflow, Pod, pods
from e2e.chain import Store, check
from support import Body, Run, render

THRESHOLD = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD"


class Identity(Protocol):
    """What gives a pod its cloud identity."""

    def webhook(self, pod: Pod, folder: Path) -> dict[str, str]:
        """The environment that the cloud's admission webhook adds to a pod, and the files it names."""


@dataclass(frozen=True)
class Deployed:
    """A deployment as Terraform applied it and Helm rendered it."""

    name: str
    run: Run
    objects: list[Body]
    """Of the release."""
    pods: dict[str, Pod]


@dataclass
class World:
    """Everything of one deployment. Tests spoil a part of it and see the check break."""

    deployed: Deployed
    identity: Identity
    store: Store
    pods: dict[str, Pod]
    """Whose service accounts the release makes: of workers and the triggerer."""
    airflow: Airflow
    emulator: Mapping[str, str]
    """All that is added to a pod's environment because this is not the cloud."""
    folder: Path

    def environment(self, pod: Pod) -> dict[str, str]:
        """Of a pod that runs: from the chart, from the cloud's webhook, and what the emulator needs."""
        home = self.folder / pod.service_account
        home.mkdir(parents=True, exist_ok=True)
        return {**pod.env, **self.identity.webhook(pod, home), **self.emulator}

    @contextmanager
    def agents(self, *running: Pod) -> Iterator[list[Agent]]:
        """A process for each pod."""
        with ExitStack() as stack:
            yield [
                stack.enter_context(Agent(self.airflow, self.environment(pod), self.folder / pod.service_account))
                for pod in running
            ]

    def check(self, *, without: str = "", **env: str) -> None:
        """Raise Broken unless what a worker writes another agent reads.

        `env` changes the writer's environment, `without` leaves a variable out of it.
        """
        writer, reader, *_ = self.pods.values()
        spoilt = {key: value for key, value in {**writer.env, **env}.items() if key != without}
        with self.agents(replace(writer, env=spoilt), reader) as (first, second):
            check(first, second, self.store, threshold=int(reader.env[THRESHOLD]))


Deploy = Callable[[str], Deployed]


def deployer(stacks: Mapping[str, Path], applied: Callable[[Path], Run], helm: Path, folder: Path) -> Deploy:
    """Deployment name -> applied and rendered."""

    @cache
    def deploy(name: str) -> Deployed:
        run = applied(stacks[name])
        (document,) = run.one("helm_release")["values"]
        values = folder / f"{name}.values.yaml"
        values.write_text(document)
        objects = render(helm, values)
        return Deployed(name=name, run=run, objects=objects, pods=pods(objects))

    return deploy
