"""Old names of astro_xcom.errors, for one more release."""

from astro_xcom.errors import SettingError as Refused
from astro_xcom.errors import SettingErrors as Refusals

__all__ = ["Refusals", "Refused"]
