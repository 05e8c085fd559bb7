"""`airflow dags test xcom_check` with the environment of a pod: real Airflow, real tasks, a database of its own."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.agents import INSIDE
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
) -> DagRun:
    """Run the DAG once. `before_pull` is called between its last two tasks and may return another environment."""
    shutil.copytree(database, home, dirs_exist_ok=True)
    waits, goes_on = home / "waits", home / "goes-on"
    if before_pull:
        (home / "plugins").mkdir()
        shutil.copy(INSIDE / "before_pull.py", home / "plugins")
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [python.with_name("airflow"), "dags", "test", "xcom_check"],
            env={**env, **airflow_settings(home)},
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
