"""What the storage constructs of the three clouds have in common."""

import json
from collections.abc import Callable

import pytest
from cdktf import TerraformStack, TerraformVariable, Testing

from astro_xcom import errors, refusal
from astro_xcom.aws import XComBucket as AwsBucket
from astro_xcom.azure import XComAccount, XComContainer
from astro_xcom.errors import SettingError
from astro_xcom.gcp import XComBucket as GcpBucket
from support import synth

Storage = AwsBucket | GcpBucket | XComContainer
Make = Callable[[TerraformStack, int], Storage]


def container(stack: TerraformStack, retention_days: int) -> XComContainer:
    account = XComAccount(stack, "account", name="acmeastroxcom", resource_group="astro-xcom", location="westeurope")
    return XComContainer(stack, "storage", account=account, retention_days=retention_days)


STORAGE: dict[str, Make] = {
    "aws": lambda stack, days: AwsBucket(stack, "storage", name="acme-xcom", retention_days=days),
    "azure": container,
    "gcp": lambda stack, days: GcpBucket(
        stack, "storage", name="acme-xcom", location="us-central1", retention_days=days
    ),
}


@pytest.mark.parametrize("make", STORAGE.values(), ids=STORAGE)
def test_a_folder_is_asked_for_once(make: Make) -> None:
    storage = make(TerraformStack(Testing.app(), "stack"), 30)
    storage.folder("finance")
    with pytest.raises(SettingError, match=r'asked for before.*got "finance"'):
        storage.folder("finance")


@pytest.mark.parametrize("make", STORAGE.values(), ids=STORAGE)
def test_a_retention_that_terraform_knows_later_bounds_the_recovery(make: Make) -> None:
    stack = TerraformStack(Testing.app(), "stack")
    make(stack, int(TerraformVariable(stack, "days", type="number").number_value))
    assert "${min(var.days, 7)}" in json.dumps(synth(stack))


def test_errors_have_their_old_names_for_a_release() -> None:
    assert (refusal.Refused, refusal.Refusals) == (errors.SettingError, errors.SettingErrors)
    assert issubclass(errors.SettingErrors, errors.AstroXComError)
