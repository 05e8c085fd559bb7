"""An XCom backend that keeps what branches and short circuits decide in Airflow's database.

Before Airflow 3.4 the scheduler reads a decision to skip mapped tasks, and has no access to the object storage: with
XComObjectStorageBackend it finds the object's path there, skips nothing, and every task is green
(apache/airflow#50491).

Put this file into the agents' image, where Python finds it (the Dockerfiles beside it do), and then set
`xcom.backend: branch_safe_xcom.BranchSafeXComObjectStorageBackend`. All other values, and those written before, are
stored and read as ever.
"""

from typing import Any

from airflow.providers.common.io.xcom.backend import XComObjectStorageBackend
from airflow.sdk.bases.xcom import BaseXCom

DECISION = "skipmixin_key"
"""The key under which Airflow's SkipMixin keeps what was chosen or skipped."""


class BranchSafeXComObjectStorageBackend(XComObjectStorageBackend):
    """XComObjectStorageBackend, but for decisions."""

    @staticmethod
    def serialize_value(value: Any, *, key: str | None = None, **others: Any) -> Any:
        """What goes into the database: a decision itself, the path of anything else."""
        if key == DECISION:
            return BaseXCom.serialize_value(value)
        return XComObjectStorageBackend.serialize_value(value, key=key, **others)

    @classmethod
    def store_value(cls, coordinate: Any, key: str, value: Any) -> Any:
        """The same since Airflow 3.4, which names objects by `coordinate` and asks here instead."""
        if key == DECISION:
            return BaseXCom.serialize_value(value)
        return super().store_value(coordinate, key, value)
