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

    def xcom_pull(self, *, task_ids: str, key: str, map_indexes: int = -1, include_prior_dates: bool = False) -> Any:
        if key not in self.stored:  # in no earlier run either
            return None
        return resolve_xcom_backend().deserialize_value(SimpleNamespace(value=self.stored[key]))


class StateStore:
    """What it asks of its state store: on the class that is set, and without a database."""

    def __init__(self) -> None:
        self.stored: Any = None

    def set(self, key: str, value: Any) -> None:
        made, where = _state_store()
        self.stored = made.serialize_task_state_store_to_ref(value=value, key=key, scope=where)

    def get(self, key: str) -> Any:
        return _state_store()[0].deserialize_task_state_store_from_ref(self.stored)

    def delete(self, key: str) -> None:
        made, where = _state_store()
        made.delete(where, key)


def _state_store() -> tuple[Any, Any]:
    from airflow.sdk.configuration import conf  # type: ignore[import-not-found]
    from airflow.sdk.state import TaskScope  # type: ignore[import-not-found]  # since 3.3

    made = conf.getimport("workers", "state_store_backend")
    return made(), TaskScope(dag_id="xcom_check", run_id="run", task_id="push")


def words(file: str) -> str:
    """What the tasks `settings` and `push` say is wrong."""
    dag = runpy.run_path(file)["xcom_check"]()
    said = []
    for name in ("settings", "push"):
        try:
            with set_current_context({"ti": TaskInstance(), "task_state_store": StateStore()}):
                dag.get_task(f"queue_default.{name}").python_callable()
        except Exception as error:
            said.append(str(error))
    return "\n".join(said)


def why_a_path(file: str, path: str) -> str:
    """What it says of a path that came back."""
    return str(runpy.run_path(file)["why_a_path"](path, seen=True))


def queues(file: str) -> dict[str, str]:
    """The queue of each task."""
    dag = runpy.run_path(file)["xcom_check"]()
    return {task.task_id: task.queue for task in dag.tasks}
