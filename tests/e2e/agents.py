"""Agents as processes: real Airflow, with the environment of a rendered pod."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import AF_UNIX, socket
from types import TracebackType
from typing import Any

from support import Body

RUN_TASKS = ("worker", "triggerer")
INSIDE = Path(__file__).parent / "inside"
"""What runs in the agents' own environment. Apart, so that it does not find our aws, azure and gcp when it imports."""
LIMIT_SECONDS = 120
"""Of an import, and of each command."""
IMPATIENT = {"IMPATIENT": "yes"}
"""The environment of an agent whose clients wait a thousandth: after some errors, they wait for a minute and more."""


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


class Airflow:
    """The Airflow of an agents' image, imported once by its first agent: `with Airflow(...) as airflow`."""

    def __init__(self, python: Path, home: Path, env: Mapping[str, str], imported: Sequence[str]) -> None:
        """`env` is what counts when a module is imported; `imported` are modules that look at nothing else then.

        `home` needs a short path: it gets a socket.
        """
        self.python = python
        self._home, self._env, self._imported = home, env, imported
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Airflow":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server:
            os.killpg(self._server.pid, signal.SIGKILL)  # and agents that wait for an answer
            self._server.wait()

    def fork(self) -> socket:
        """A connection to a new process that has imported Airflow and knows nothing yet."""
        connection = socket(AF_UNIX)
        connection.settimeout(LIMIT_SECONDS)
        connection.connect(str(self.imported()))
        return connection

    def imported(self) -> Path:
        """Where processes are asked for, once Airflow is imported."""
        address = self._home / "agents"
        if not self._server:
            self._server = subprocess.Popen(
                [self.python, INSIDE / "agent_process.py", address, *self._imported],
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(self._home),
                    "AIRFLOW_HOME": str(self._home),
                    **self._env,
                },
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
            deadline = time.monotonic() + LIMIT_SECONDS
            while not address.exists():
                if self._server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.python} cannot import Airflow")
                time.sleep(0.05)
        return address


def run_program(airflow: Airflow, command: Sequence[str], env: Mapping[str, str], home: Path) -> str:
    """What a Python program prints that runs in a pod until it ends."""
    log = home / "log"
    log.write_text("")
    start = {"env": {"PATH": os.environ["PATH"], "HOME": str(home), **env}, "stderr": str(log), "program": [*command]}
    with airflow.fork() as connection:
        connection.sendall(json.dumps(start).encode() + b"\n")
        connection.settimeout(5 * LIMIT_SECONDS)
        connection.recv(1)  # nothing: it is closed when the program ends
    return log.read_text()


class Agent:
    """An agent's process, started by its first command: `with Agent(...) as agent`."""

    def __init__(self, airflow: Airflow, env: Mapping[str, str], home: Path) -> None:
        self._airflow, self._env, self._home = airflow, env, home
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
            self._lines.close()  # it ends when nobody talks to it any more

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

    def call(self, program: Path, function: str, *arguments: Any) -> Any:
        """What a function of a DAG's file says in this environment."""
        return self._do("call", program=str(program), function=function, arguments=arguments)

    def end(self) -> None:
        """End as a task's process does, without waiting for anything that goes on in it."""
        with contextlib.suppress(AgentError):
            self._do("end")

    def _do(self, command: str, **arguments: Any) -> Any:
        if not self.backend:
            self._start()
        return self._ask({"do": command, "with": arguments})

    def _start(self) -> None:
        with self._airflow.fork() as connection:
            self._lines = connection.makefile("rw")
        home = {"PATH": os.environ["PATH"], "HOME": str(self._home)}
        self.backend = self._ask({"env": {**home, **self._env}, "stderr": str(self._stderr)})

    def _ask(self, question: Any) -> Any:
        self._lines.write(json.dumps(question) + "\n")
        self._lines.flush()
        line = self._lines.readline()
        if not line:
            raise AgentError(f"the agent stopped: {self.stderr[-2000:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise AgentError(answer["error"])
        return answer["result"]
