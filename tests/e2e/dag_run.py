"""`airflow dags test xcom_check` with the environment of a pod: real Airflow, real tasks, a database of its own."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.agents import INSIDE
from e2e.ports import free_port
from support import PROJECT

LIMIT_SECONDS = 300


@dataclass(frozen=True)
class DagRun:
    """How a run of the DAG ended."""

    passed: bool
    log: str

    @property
    def diagnosis(self) -> str:
        """What it says is wrong."""
        lines = [line for line in self.log.splitlines() if line.startswith("- ")]
        return "\n".join(dict.fromkeys(lines))


def airflow_settings(home: Path) -> dict[str, str]:
    """Where Airflow keeps things, and where the DAG is."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "agent" / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }


def make_database(python: Path, home: Path) -> Path:
    """An Airflow home with an empty database, to be copied for each run."""
    home.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [python.with_name("airflow"), "db", "migrate"], env=airflow_settings(home), check=True, capture_output=True
    )
    (home / "airflow.cfg").unlink()  # it names this folder
    return home


def run_dag(
    python: Path,
    database: Path,
    home: Path,
    env: Mapping[str, str],
    *,
    before_pull: Callable[[], Mapping[str, str]] | None = None,
    longest_seconds: int | None = None,
) -> DagRun:
    """Run the DAG once.

    `before_pull` is called between its last two tasks and may return another environment. `longest_seconds` replaces
    the time that a task may take.
    """
    shutil.copytree(database, home, dirs_exist_ok=True)
    waits, goes_on = home / "waits", home / "goes-on"
    if before_pull:
        (home / "plugins").mkdir()
        shutil.copy(INSIDE / "before_pull.py", home / "plugins")
    own = {}
    if longest_seconds is not None:
        (home / "dags").mkdir()
        text = (PROJECT / "agent" / "dags" / "xcom_check.py").read_text()
        assert "timedelta(minutes=15)" in text
        (home / "dags" / "xcom_check.py").write_text(
            text.replace("timedelta(minutes=15)", f"timedelta(seconds={longest_seconds})")
        )
        own = {"AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags")}
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [python.with_name("airflow"), "dags", "test", "xcom_check"],
            env={**env, **airflow_settings(home), **own},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + LIMIT_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if before_pull and waits.exists() and not goes_on.exists():
                (home / "environment").write_text(json.dumps(dict(before_pull())))
                goes_on.touch()
            time.sleep(0.05)
        process.kill()
        process.wait()
    text = (home / "log").read_text()
    return DagRun(passed="values came back as they were pushed" in text and process.returncode == 0, log=text)


def run_dag_in_processes(python: Path, database: Path, home: Path, env: Mapping[str, str]) -> DagRun:
    """Run the DAG under Airflow's scheduler, each task in a process that ends with it, as on an agent."""
    shutil.copytree(database, home, dirs_exist_ok=True)
    port = free_port()
    settings = {
        **env,
        **airflow_settings(home),
        "PATH": f"{python.parent}:{os.environ['PATH']}",  # it starts its parts by their name
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__PARALLELISM": "1",
    }
    airflow = python.with_name("airflow")
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [airflow, "standalone"], env=settings, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _await(home, "SELECT dag_id FROM dag", ("xcom_check",))
            subprocess.run([airflow, "dags", "trigger", "xcom_check"], env=settings, check=True, capture_output=True)
            _await(home, "SELECT state FROM dag_run", ("success", "failed"))
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    logs = [file.read_text() for file in sorted(home.glob("logs/dag_id=xcom_check/**/*.log"))]
    lines = "\n".join(logs).replace("\\n", "\n")
    return DagRun(passed="values came back as they were pushed" in lines, log=lines)


def _await(home: Path, query: str, wanted: tuple[str, ...]) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        with contextlib.closing(sqlite3.connect(home / "airflow.db", timeout=30)) as database:
            if any(value in wanted for (value,) in database.execute(query)):
                return
        time.sleep(0.5)
    raise TimeoutError(f"{query} never gave {wanted}: {(home / 'log').read_text()[-3000:]}")
