"""Agents: runs under the agents' own Python, imports Airflow once, and forks a process for each agent.

An agent is told its environment, and then what to do, a line each: only what Airflow itself calls when a task pushes,
pulls or is cleared, on the class that the environment configures.
"""

import asyncio
import importlib
import json
import os
import runpy
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from socketserver import ForkingMixIn, StreamRequestHandler, UnixStreamServer
from types import SimpleNamespace
from typing import Any

import fsspec.config  # type: ignore[import-not-found]
from airflow.sdk.execution_time.xcom import resolve_xcom_backend  # type: ignore[import-not-found]


class Agent(StreamRequestHandler):
    """A process with a pod's environment, that ends when nobody talks to it any more."""

    def handle(self) -> None:
        start = json.loads(self.rfile.readline())
        os.environ.clear()
        os.environ.update(start["env"])
        os.dup2(os.open(start["stderr"], os.O_WRONLY | os.O_APPEND), sys.stderr.fileno())
        fsspec.config.set_conf_env(fsspec.config.conf)  # as on import, which was before
        if "IMPATIENT" in os.environ:
            wait = asyncio.sleep
            asyncio.sleep = lambda seconds, *more: wait(seconds / 1000, *more)  # type: ignore[assignment]
        if "program" in start:
            self._run(start["program"], start["stderr"])
        self._xcom = resolve_xcom_backend()
        self._answer({"result": f"{self._xcom.__module__}.{self._xcom.__qualname__}"})
        commands: dict[str, Callable[..., Any]] = {
            "write": self._write,
            "read": self._read,
            "purge": self._purge,
            "call": self._call,
            "end": self._end,
        }
        for line in self.rfile:
            request = json.loads(line)
            try:
                answer = {"result": commands[request["do"]](**request["with"])}
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            self._answer(answer)

    def _write(self, value: Any, **where: str) -> Any:
        """What Airflow would keep in its database."""
        return self._xcom.serialize_value(value, key="return_value", map_index=-1, **where)

    def _read(self, stored: Any) -> Any:
        """What the next task would receive."""
        return self._xcom.deserialize_value(SimpleNamespace(value=stored))

    def _purge(self, stored: Any) -> None:
        """What happens when a task is cleared."""
        self._xcom.purge(SimpleNamespace(value=stored))

    def _call(self, program: str, function: str, arguments: list[Any]) -> Any:
        """What a function of a DAG's file says here."""
        return runpy.run_path(program)[function](*arguments)

    def _run(self, command: list[str], log: str) -> None:
        """Become a program of the pod's image, with its output in the log."""
        os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND), sys.stdout.fileno())
        sys.argv = command
        sys.path.insert(0, str(Path(command[0]).parent))
        try:
            runpy.run_path(command[0], run_name="__main__")
        finally:
            traceback.print_exc()
            os._exit(1)

    def _end(self) -> None:
        """How Airflow ends the process of a task: at once."""
        os._exit(0)

    def _answer(self, answer: Any) -> None:
        self.wfile.write(json.dumps(answer).encode() + b"\n")


class Agents(ForkingMixIn, UnixStreamServer):
    """Waits for agents to be asked for, as long as there is somebody who may ask."""

    asks = os.getppid()

    def service_actions(self) -> None:
        super().service_actions()
        if os.getppid() != self.asks:
            os.killpg(0, signal.SIGKILL)


address, *imported_before = sys.argv[1:]
for name in imported_before:
    importlib.import_module(name)
with Agents(f"{address}.made", Agent) as server:
    Path(f"{address}.made").rename(address)  # whoever sees it is served
    server.serve_forever()
