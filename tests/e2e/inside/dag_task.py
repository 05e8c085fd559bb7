"""Tasks of the DAG without Airflow's scheduler and database: their XComs are kept here, by the class that is set."""

import runpy
from types import SimpleNamespace
from typing import Any

from airflow.sdk.execution_time.context import set_current_context  # type: ignore[import-not-found]
from airflow.sdk.execution_time.xcom import resolve_xcom_backend  # type: ignore[import-not-found]


class TaskInstance:
    """What the task asks of its `ti`."""

    task_id = "push"

    def __init__(self) -> None:
        self.stored: dict[str, Any] = {}

    def xcom_push(self, *, key: str, value: Any) -> None:
        where = {"dag_id": "xcom_check", "run_id": "run", "task_id": self.task_id}
        self.stored[key] = resolve_xcom_backend().serialize_value(value, key=key, map_index=-1, **where)

    def xcom_pull(self, *, task_ids: str, key: str) -> Any:
        return resolve_xcom_backend().deserialize_value(SimpleNamespace(value=self.stored[key]))


def words(file: str) -> str:
    """What the tasks `settings` and `push` say is wrong."""
    dag = runpy.run_path(file)["xcom_check"]()
    said = []
    for name in ("settings", "push"):
        try:
            with set_current_context({"ti": TaskInstance()}):
                dag.get_task(name).python_callable()
        except Exception as error:
            said.append(str(error))
    return "\n".join(said)


def why_a_path(file: str, path: str) -> str:
    """What it says of a path that came back."""
    return str(runpy.run_path(file)["why_a_path"](path, seen=True))
