"""`airflow dags test xcom_check` with the environment of a pod: real Airflow, real tasks, a database of its own."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from e2e.agents import INSIDE
from e2e.ports import free_port, wait_for
from support import PROJECT

DAG = PROJECT / "agent" / "dags" / "xcom_check.py"
LIMIT_SECONDS = 300
STATE_SINCE = Version("3.3.0a0")
"""Airflow before this has no state store."""
DAG_BUNDLE = {"name": "dags-folder", "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle", "kwargs": {}}
"""Airflow's default, instead of the pod's: with an executor, `airflow dags test` knows no other."""


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


def airflow_version(python: Path) -> Version:
    """Of an image."""
    command = [str(python), "-c", "import airflow; print(airflow.__version__)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Version(done.stdout.splitlines()[-1])


def airflow_settings(home: Path) -> dict[str, str]:
    """Where Airflow keeps things, and where the DAG is."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAG.parent),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([DAG_BUNDLE]),
    }


def make_database(python: Path, home: Path) -> None:
    """Make an Airflow home with an empty database."""
    home.mkdir()
    subprocess.run(
        [python.with_name("airflow"), "db", "migrate"], env=airflow_settings(home), check=True, capture_output=True
    )
    (home / "airflow.cfg").unlink()  # it names this folder


def run_dag(
    python: Path,
    database: Path,
    home: Path,
    env: Mapping[str, str],
    *,
    before_pull: Callable[[], Mapping[str, str]] | None = None,
    longest_seconds: int | None = None,
    options: Sequence[str] = (),
) -> DagRun:
    """Run the DAG once, with options of `airflow dags test`.

    `before_pull` is called between its last two tasks and may return another environment. `longest_seconds` replaces
    the time that a task may take.
    """
    if not (home / "airflow.db").exists():  # else there was a run before this one
        shutil.copytree(database, home, dirs_exist_ok=True)
    waits, goes_on = home / "waits", home / "goes-on"
    if before_pull:
        (home / "plugins").mkdir()
        shutil.copy(INSIDE / "before_pull.py", home / "plugins")
    own = {}
    if longest_seconds is not None:
        (home / "dags").mkdir()
        text = DAG.read_text()
        assert "timedelta(minutes=15)" in text
        (home / "dags" / "xcom_check.py").write_text(
            text.replace("timedelta(minutes=15)", f"timedelta(seconds={longest_seconds})")
        )
        own = {"AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags")}
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [python.with_name("airflow"), "dags", "test", *options, "xcom_check"],
            env={**env, **airflow_settings(home), **own},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.monotonic() + LIMIT_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if before_pull and waits.exists() and not goes_on.exists():
                (home / "environment").write_text(json.dumps(dict(before_pull())))
                goes_on.touch()
            time.sleep(0.05)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # and the tasks of an executor
        process.wait()
    text = (home / "log").read_text().replace("\\n", "\n")  # an executor logs errors in one line
    return DagRun(passed="values came back as they were pushed" in text and process.returncode == 0, log=text)


def parse_dags(python: Path, home: Path, env: Mapping[str, str]) -> str:
    """Run the DAG processor once, in a home with a database: the ids of the DAGs that it put there."""
    for command in (["dag-processor", "--num-runs=1"], ["dags", "list", "--columns=dag_id", "--output=plain"]):
        done = subprocess.run(
            [python.with_name("airflow"), *command],
            env={**env, **airflow_settings(home)},
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextlib.contextmanager
def executor(python: Path, database: Path, home: Path, env: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The environment in which `run_dag` gives each task a process that ends with it, as on an agent."""
    shutil.copytree(database, home, dirs_exist_ok=True)
    port = free_port()
    settings = {
        **env,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__PARALLELISM": "1",
    }
    with (home / "api-server.log").open("w") as log:
        server = subprocess.Popen(
            [python.with_name("airflow"), "api-server", "--apps", "execution"],
            env={**settings, **airflow_settings(home)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(port, server)
            yield settings
        finally:
            server.kill()
            server.wait()
