"""One agent: runs under the agents' own Python, with a pod's environment, and does what it is told, a line each.

Only what Airflow itself calls when a task pushes, pulls or is cleared: the class that the environment configures.
"""

import json
import os
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from airflow.sdk.execution_time.xcom import XCom  # type: ignore[import-not-found]


def write(value: Any, **where: str) -> Any:
    """What Airflow would keep in its database."""
    return XCom.serialize_value(value, key="return_value", map_index=-1, **where)


def read(stored: Any) -> Any:
    """What the next task would receive."""
    return XCom.deserialize_value(SimpleNamespace(value=stored))


def purge(stored: Any) -> None:
    """What happens when a task is cleared."""
    XCom.purge(SimpleNamespace(value=stored))


def end() -> None:
    """How Airflow ends the process of a task: at once."""
    os._exit(0)


COMMANDS: dict[str, Callable[..., Any]] = {"write": write, "read": read, "purge": purge, "end": end}

print(json.dumps({"result": f"{XCom.__module__}.{XCom.__qualname__}"}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = {"result": COMMANDS[request["do"]](**request["with"])}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
