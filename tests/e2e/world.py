"""One applied deployment on loopback: its pods, their identity, its empty storage and what enforces its permissions."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Protocol

from e2e.agents import Agent, Airflow, Pod, pods
from e2e.chain import Store, check
from e2e.tokens import Cluster
from support import Body, Run, render

THRESHOLD = "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD"


@dataclass(frozen=True)
class Given:
    """What a cloud's admission webhook adds to a pod."""

    env: Mapping[str, str]
    audience: str = ""
    """Of the token that the pod gets in a file; empty where it gets none."""
    token_file: str = ""


class Identity(Protocol):
    """What gives a pod its cloud identity."""

    cluster: Cluster
    """That the pods run in."""

    def webhook(self, pod: Pod) -> Given:
        """What the cloud adds to a pod."""


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
        given = self.identity.webhook(pod)
        home = self.folder / pod.service_account
        home.mkdir(parents=True, exist_ok=True)
        file = str(home / "token")
        if given.token_file:
            Path(file).write_text(self.identity.cluster.token(pod.subject, given.audience))
        env = {name: file if value == given.token_file else value for name, value in given.env.items()}
        return self.here({**pod.env, **env})

    def here(self, env: Mapping[str, str]) -> dict[str, str]:
        """An environment of the cloud, with what this machine needs instead."""
        return {**env, **self.emulator}

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
