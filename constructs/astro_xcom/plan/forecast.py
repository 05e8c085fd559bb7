"""What a plan does to values and to agents, each with the setting that avoids it. No side effects, no cdktf import."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import yaml

from astro_xcom.errors import SettingError, SettingErrors, quoted
from astro_xcom.json_files import shaped
from astro_xcom.plan import costs, expiry, identity, imports, keys, network, release, storage
from astro_xcom.plan.document import HOW, Plan
from astro_xcom.plan.effect import KINDS, Effect, Kind
from astro_xcom.plan.types import KNOWN
from astro_xcom.report.model import Model
from astro_xcom.settings import Deployment


class Forecast(Model):
    """What the coming apply does to one deployment."""

    kind: Kind
    """The worst of its effects."""
    effects: tuple[Effect, ...]

    def stops(self) -> frozenset[str]:
        """The codes of what is applied only when it is asked for by name."""
        return frozenset(effect.code for effect in self.effects if effect.kind == "STOP")

    def check_allowed(self, codes: Iterable[str]) -> None:
        """Raise SettingErrors for codes that are none of its STOPs: an old edit's code must not allow a new STOP."""
        stops = self.stops()
        there = f"there are {', '.join(sorted(stops))}" if stops else "there is none"
        if unknown := [code for code in codes if code not in stops]:
            raise SettingErrors([f"--allow {quoted(code)}: is no STOP of this plan; {there}" for code in unknown])


UNREAD = "plan-unread"
"""The code of a plan that nobody could read, so that nothing in it can be excluded."""


def unread(reason: str) -> Forecast:
    """The forecast of a plan that cannot be read."""
    return Forecast(kind="STOP", effects=(Effect(kind="STOP", code=UNREAD, what=f"The plan was not read: {reason}."),))


@contextmanager
def _shaped() -> Iterator[None]:
    rule = "has resources in another shape than Terraform gives them"
    try:
        with shaped(rule, hint=HOW):
            yield
    except (SettingError, SettingErrors, yaml.YAMLError) as error:  # whatever a rule refused stands in the plan
        raise SettingError(rule, hint=HOW) from error


def forecast(deployment: Deployment, plan: Plan) -> Forecast:
    """The effects of a plan of this deployment, the worst first.

    Raises SettingError for the plan of something else, or of other settings, and for one that Terraform could not
    finish.
    """
    with shaped("has outputs in another shape than Terraform gives them", hint=HOW):
        _check(deployment, plan)
    with _shaped():
        found = {effect.code + effect.what: effect for rule in RULES for effect in rule(deployment, plan)}
    effects = sorted(found.values(), key=lambda effect: [*KINDS].index(effect.kind))
    kind = effects[0].kind if effects else "fine"
    if plan.failed and kind != "STOP":  # prevent_destroy fails a plan too, and what it refuses is a STOP
        raise SettingError("is incomplete: Terraform could not finish it, so its effects are not known", hint=HOW)
    return Forecast(kind=kind, effects=tuple(effects))


def _check(deployment: Deployment, plan: Plan) -> None:
    if "xcom_path" not in plan.outputs:
        raise SettingError("is not the plan of a deployment: it has no output xcom_path")
    after = {subject for of in identity.trusted(plan.sides()[1]).values() for subject in of}
    if after and after != {*deployment.agent.subjects()}:
        raise SettingError(
            "is the plan of another deployment, or of other settings: it trusts other service accounts", hint=HOW
        )


def _others(deployment: Deployment, plan: Plan) -> Iterator[Effect]:
    """What is deleted and nothing here knows: never called fine."""
    for change in plan.changes:
        if change.destroys and change.type not in KNOWN:
            yield Effect(kind="QUIET", code="destroyed", what=f"{change.address} is deleted.")


RULES: tuple[Callable[[Deployment, Plan], Iterator[Effect]], ...] = (
    storage.destroyed,
    storage.elsewhere,
    storage.paths,
    storage.unprotected,
    keys.of_aws,
    keys.of_gcp,
    release.changes,
    identity.trust,
    identity.identities,
    identity.permissions,
    identity.equals,
    network.changes,
    expiry.changes,
    costs.changes,
    imports.changes,
    imports.expiry,
    imports.trust,
    imports.account_keys,
    imports.stays_behind,
    _others,
)
