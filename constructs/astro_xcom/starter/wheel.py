"""The package as a wheel, made of what is installed: a repository that holds it needs no index and no checkout."""

import base64
import hashlib
import io
import re
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import astro_xcom
from astro_xcom.errors import SettingError

NAME = "cdktf-astro-xcom"
MADE = (1980, 1, 1, 0, 0, 0)  # the earliest that an archive can say: the same files give the same bytes
WHEEL = "Wheel-Version: 1.0\nGenerator: astro-xcom init\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def own_wheel() -> tuple[str, bytes]:
    """File name and content. Raises SettingError where the package was not installed."""
    try:
        installed = distribution(NAME)
    except PackageNotFoundError:
        raise SettingError(f"the package {NAME} is not installed, so there is no wheel of it to give along") from None
    full = f"{NAME.replace('-', '_')}-{astro_xcom.__version__}"
    files = {**_modules(), **_metadata(installed, f"{full}.dist-info")}
    record = f"{full}.dist-info/RECORD"
    lines = [f"{path},sha256={_digest(content)},{len(content)}" for path, content in files.items()]
    files[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path, MADE), content, zipfile.ZIP_DEFLATED)
    return f"{full}-py3-none-any.whl", packed.getvalue()


def _modules() -> dict[str, bytes]:
    package = Path(astro_xcom.__file__).parent
    found = sorted(path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(package.parent).as_posix(): path.read_bytes() for path in found}


def _metadata(installed: Distribution, folder: str) -> dict[str, bytes]:
    """What was installed with the package. Its version may have been raised since, where it is installed editable."""
    texts = {name: installed.read_text(name) for name in ("METADATA", "entry_points.txt", "licenses/LICENSE")}
    version = f"Version: {astro_xcom.__version__}"
    texts["METADATA"] = re.sub("^Version: .*$", version, texts["METADATA"] or "", count=1, flags=re.MULTILINE)
    return {f"{folder}/{name}": text.encode() for name, text in {**texts, "WHEEL": WHEEL}.items() if text}


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
