"""A branch that does not choose a mapped task, which must be skipped then."""

from airflow.sdk import dag, task  # type: ignore[import-not-found]


@dag(schedule=None, catchup=False)  # type: ignore[untyped-decorator]
def branches() -> None:
    @task.branch  # type: ignore[untyped-decorator]
    def choose() -> str:
        return "chosen"

    @task  # type: ignore[untyped-decorator]
    def chosen() -> None:
        pass

    @task  # type: ignore[untyped-decorator]
    def other(number: int) -> None:
        print(f"ran although it was not chosen: {number}")

    decision = choose()
    decision >> chosen()
    decision >> other.expand(number=[1, 2])


branches()
