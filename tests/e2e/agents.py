"""Agents as processes: real Airflow, with the environment of a rendered pod."""

import contextlib
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from support import Body

RUN_TASKS = ("worker", "triggerer")
INSIDE = Path(__file__).parent / "inside"
"""What runs in the agents' own environment. Apart, so that it does not find our aws, azure and gcp when it imports."""


class AgentError(Exception):
    """What Airflow raised."""


@dataclass(frozen=True)
class Pod:
    """What of a rendered worker pod decides about its identity and environment."""

    env: Mapping[str, str]
    labels: Mapping[str, str]
    namespace: str
    service_account: str
    service_account_annotations: Mapping[str, str]

    @property
    def subject(self) -> str:
        """The `sub` of the token that Kubernetes gives it."""
        return f"system:serviceaccount:{self.namespace}:{self.service_account}"


def pods(documents: list[Body]) -> dict[str, Pod]:
    """The pods of every worker and the triggerer among rendered objects, by Deployment name."""
    annotations = {
        document["metadata"]["name"]: document["metadata"].get("annotations", {})
        for document in documents
        if document["kind"] == "ServiceAccount"
    }
    found = {}
    for document in documents:
        template = document.get("spec", {}).get("template")
        if document["kind"] != "Deployment" or document["metadata"]["labels"]["component"] not in RUN_TASKS:
            continue
        account = template["spec"]["serviceAccountName"]
        (container,) = template["spec"]["containers"]
        if account in annotations:  # else it is made and annotated by somebody else
            found[document["metadata"]["name"]] = Pod(
                env={entry["name"]: entry["value"] for entry in container["env"] if "value" in entry},
                labels=template["metadata"]["labels"],
                namespace=document["metadata"]["namespace"],
                service_account=account,
                service_account_annotations=annotations[account],
            )
    return found


class Agent:
    """An agent's process, started by its first command: `with Agent(...) as agent`."""

    def __init__(self, python: Path, env: Mapping[str, str], home: Path) -> None:
        self._python, self._env, self._home = python, env, home
        self._stderr = home / "stderr"
        self.backend = ""
        """The class that the environment makes Airflow use, once a command was given."""

    def __enter__(self) -> "Agent":
        self._stderr.write_text("")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.backend:
            self._process.kill()
            self._process.wait()

    @property
    def stderr(self) -> str:
        """What it printed, such as Python's `Exception ignored in`."""
        return self._stderr.read_text()

    def write(self, value: Any, *, task_id: str = "push") -> Any:
        """Push a value: what Airflow would keep in its database."""
        return self._do(
            "write", value=value, dag_id="check", run_id="manual__2026-01-01T00:00:00+00:00", task_id=task_id
        )

    def read(self, stored: Any) -> Any:
        """Pull a value by what is kept in the database."""
        return self._do("read", stored=stored)

    def purge(self, stored: Any) -> None:
        """Clear the task that pushed it."""
        self._do("purge", stored=stored)

    def end(self) -> None:
        """End as a task's process does, without waiting for anything that goes on in it."""
        with contextlib.suppress(AgentError):
            self._do("end")

    def _do(self, command: str, **arguments: Any) -> Any:
        if not self.backend:
            self._start()
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"do": command, "with": arguments}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [self._python, INSIDE / "agent_process.py"],
            env={"PATH": os.environ["PATH"], "HOME": str(self._home), "AIRFLOW_HOME": str(self._home), **self._env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr.open("w"),
            text=True,
        )
        self.backend = self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        while line and not line.startswith("{"):  # Airflow logs to stdout
            line = self._process.stdout.readline()
        if not line:
            raise AgentError(f"the agent stopped: {self.stderr[-2000:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise AgentError(answer["error"])
        return answer["result"]
