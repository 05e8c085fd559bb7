"""Files that are written whole or not at all."""

import tempfile
from pathlib import Path

from astro_xcom.refusal import Refused


def replace_file(place: Path, content: bytes) -> None:
    """Write a file, and the folders above it. Readable by all, as git has it."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=place.parent, prefix=".", delete=False) as written:
            written.write(content)
        Path(written.name).chmod(0o644)
        Path(written.name).replace(place)
    except OSError as error:
        raise Refused(f"{place}: cannot be written: {error.strerror}") from None
