"""The applied state that a command is given."""

from pathlib import Path

from astro_xcom.errors import SettingError, SettingErrors
from astro_xcom.files import read_stdin, read_text
from astro_xcom.report import State, read_state


def read_applied(file: Path) -> State:
    """The state in a file; - is stdin. Raises SettingErrors that name it."""
    try:
        return read_state(read_stdin() if str(file) == "-" else read_text(file))
    except SettingError as error:
        raise SettingErrors([f"{named(file)}: {error}"]) from None


def named(file: Path) -> str:
    """What messages call it."""
    return "standard input" if str(file) == "-" else str(file)
