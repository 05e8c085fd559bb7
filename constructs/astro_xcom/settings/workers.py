"""What the settings of the agents' identities have in common on every cloud."""

from collections.abc import Callable, Mapping

from astro_xcom.errors import SettingError, SettingErrors
from astro_xcom.workers import Worker, setting


def default_names_fit(rule: Callable[[str], str], field: str, what: str, names: Mapping[Worker, str]) -> None:
    """Raise SettingErrors for names by default, each of an identity, that the cloud would refuse."""
    problems: list[str | SettingError] = []
    for worker, name in names.items():
        try:
            rule(name)
        except SettingError as error:
            said = f"is required, since the default cannot be {what}: it {error.rule}"
            place = f"{setting(worker)}.{field}"
            problems.append(SettingError(said, got=error.got, hint=error.hint, field=place))
    if problems:
        raise SettingErrors(problems)
