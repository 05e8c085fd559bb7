"""Tasks that must be skipped: mapped ones, of a branch that is not chosen and after short circuits."""

from airflow.sdk import dag, task  # type: ignore[import-not-found]

LONG = "x" * 230
"""Of a task's id: with five of these a decision is longer than 1,000 bytes."""


@dag(schedule=None, catchup=False)  # type: ignore[untyped-decorator]
def branches() -> None:
    @task.branch  # type: ignore[untyped-decorator]
    def choose() -> str:
        return "chosen"

    @task  # type: ignore[untyped-decorator]
    def chosen() -> None:
        pass

    @task.short_circuit  # type: ignore[untyped-decorator]
    def stop() -> bool:
        return False

    @task  # type: ignore[untyped-decorator]
    def skipped(number: int, after: str) -> None:
        print(f"ran although it was to be skipped: {after};")

    branch = choose()
    branch >> chosen()
    branch >> skipped.override(task_id="other").partial(after="branch").expand(number=[1])
    stop() >> skipped.override(task_id="stopped").partial(after="short circuit").expand(number=[1])
    long = stop.override(task_id="stop_many")()
    for number in range(5):
        long >> chosen.override(task_id=f"many_{number}_{LONG}")()
    long >> skipped.override(task_id="stopped_too").partial(after="long short circuit").expand(number=[1])


branches()
