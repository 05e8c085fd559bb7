"""The check itself: a value written by one agent is the value that another one reads, and is gone when it is purged."""

import json
from typing import Any, Protocol

from e2e.agents import Agent, AgentError

VALUES: dict[str, Any] = {
    "nothing": None,
    "empty text": "",
    "text": "grüße, 世界 🚀 \\ \" ' ${HOME}",
    "nested": {"rows": [1, 2.5, True, None, {"deep": ["x"] * 3}]},
    "5 MB": "x" * 5_000_000,
}


class Broken(Exception):
    """XComs do not work, and why."""


class Store(Protocol):
    """The emulated storage, seen from its owner's side."""

    def keys(self) -> set[str]:
        """Every object."""


def check(writer: Agent, reader: Agent, store: Store, *, threshold: int) -> None:
    """Raise Broken unless XComs work between two agents; values of `threshold` bytes and more belong in the store."""
    for name, value in VALUES.items():
        before = store.keys()
        stored = _step(writer, f"write of {name}", "write", value)
        made = store.keys() - before
        got = _step(reader, f"read of {name}", "read", stored)
        if got != value:
            ignored = [line for line in writer.stderr.splitlines() if "Error" in line or "denied" in line.lower()]
            raise Broken(
                f"read of {name}: got {str(got)[:120]!r} instead of the value; {ignored[-1] if ignored else ''}"
            )
        if len(made) != (len(json.dumps(value)) >= threshold):
            raise Broken(
                f"write of {name}: {len(made)} objects appeared at a threshold of {threshold}; "
                f"stored {str(stored)[:120]!r}"
            )
        _step(reader, f"purge of {name}", "purge", stored)
        if left := store.keys() & made:
            raise Broken(f"purge of {name}: {', '.join(left)} is still there")

    last = "written when its task ended"
    stored = _step(writer, "last write", "write", last)
    writer.end()
    if (got := _step(reader, "last read", "read", stored)) != last:
        raise Broken(f"last read: got {str(got)[:120]!r} instead of the value: it was lost when its task ended")


def _step(agent: Agent, what: str, method: str, *arguments: Any) -> Any:
    try:
        return getattr(agent, method)(*arguments)
    except AgentError as error:
        raise Broken(f"{what}: {error}") from None
