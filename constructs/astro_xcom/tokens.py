"""Values that Terraform fills in later."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from cdktf import Fn, Token
from constructs import Construct

from astro_xcom.errors import SettingError
from astro_xcom.xcom import LONGEST_RECOVERY_DAYS, recovery_days

T = TypeVar("T")


def is_known(value: Any) -> bool:
    """Whether a value can be read now, rather than filled in by Terraform.

    Most values are told apart here: asking CDKTF takes a message to its process and back.
    """
    if isinstance(value, Mapping):
        return all(is_known(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return all(is_known(item) for item in value)
    if isinstance(value, str):
        return "${" not in value and "#{TfToken[" not in value  # the second stands for a list
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**53):
        return True
    return not Token.is_unresolved(value)


def check_if_known(rule: Callable[[T], T], value: T | None) -> None:
    """Apply a rule of astro_xcom.names to a value that can be read."""
    if value is not None and is_known(value):
        rule(value)


def shortest_recovery(retention_days: int) -> int:
    """How long a deleted value can be restored, also where only Terraform will know how long values live."""
    if is_known(retention_days):
        return recovery_days(retention_days)
    return int(Token.as_number(Fn.min([retention_days, LONGEST_RECOVERY_DAYS])))


def once(scope: Construct, id_: str, name: str) -> str:
    """The id of a folder. Refuses the second one of a name: it is part of addresses."""
    if scope.node.try_find_child(id_) is not None:
        raise SettingError("is a folder that was asked for before: keep what folder() returned", got=name)
    return id_


SUBJECT = "system:serviceaccount:"


def namespace_and_name(subject: str) -> tuple[str, str]:
    """Those of a service account, where the cloud takes each by name: as part of addresses, and without wildcards."""
    namespace, _, name = subject.removeprefix(SUBJECT).partition(":")
    if not is_known(subject) or not subject.startswith(SUBJECT) or not namespace or not name or "*" in subject:
        raise SettingError(
            "must name one Kubernetes service account, known when the JSON is written: there are no wildcards for them",
            got=subject,
            hint=f'"{SUBJECT}astro:prod-triggerer"',
        )
    return namespace, name
