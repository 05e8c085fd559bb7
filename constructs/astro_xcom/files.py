"""Files that are read within limits, and written whole or not at all."""

import os
import signal
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from astro_xcom.errors import SettingError

if sys.platform != "win32":
    import fcntl

LARGEST = 32 * 2**20
"""Bytes of a file that others wrote. A plan of one deployment has some 200,000."""
OPEN_ALREADY = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")
"""A pipe at such a place has somebody who writes into it, as in `--state <(terraform show -json)`."""


def read_file(place: Path, *, largest: int = LARGEST) -> bytes:
    """The content of a regular file, or of an open pipe.

    Raises SettingError, without the file's name, for what cannot be read, is no file or is larger.
    """
    try:
        with open(place, "rb", opener=_opener(place)) as file:
            kind = os.fstat(file.fileno()).st_mode
            if not (stat.S_ISREG(kind) or (stat.S_ISFIFO(kind) and str(place).startswith(OPEN_ALREADY))):
                raise SettingError("cannot be read: is no regular file")
            content = file.read(largest + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        if isinstance(error, SettingError):
            raise
        raise SettingError(f"cannot be read: {reason(error)}") from error
    if len(content) > largest:
        raise SettingError(f"cannot be read: is larger than {largest:,} bytes")
    return content


def read_text(place: Path, *, largest: int = LARGEST) -> str:
    """The same as text. Raises SettingError for what is not UTF-8, too."""
    return as_text(read_file(place, largest=largest))


def as_text(content: bytes) -> str:
    """Text that others wrote. Raises SettingError for what is not UTF-8."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise SettingError("cannot be read: not UTF-8 text") from None


def read_stdin(*, largest: int = LARGEST) -> str:
    """What stands on standard input. Raises SettingError as above."""
    content = sys.stdin.buffer.read(largest + 1) if hasattr(sys.stdin, "buffer") else sys.stdin.read().encode()
    if len(content) > largest:
        raise SettingError(f"cannot be read: is larger than {largest:,} bytes")
    return as_text(content)


def reason(error: Exception) -> str:
    """Why the system refused something, in its words."""
    return (getattr(error, "strerror", None) or str(error)).lower()


def replace_files(files: Mapping[Path, bytes], *, below: Path | None = None) -> None:
    """Write all of these files and the folders above them, or none: first beside their places, then renamed.

    Files that hold the same already are left alone. Two who write the same files do so one after the other. What is
    written is readable by all, as git has it. Raises SettingError for a place that is not below `below`, if that is
    given.
    """
    staged: dict[Path, Path] = {}
    made: list[Path] = []
    locks: list[int] = []
    place = Path()
    try:
        for place, content in sorted(files.items()):
            if _holds(place, content):
                continue
            if below is not None:
                check_below(place, below)
            _check_replaceable(place)
            made += _make_folders(place.parent)
            locks += _write(beside := _beside(place), content)
            staged[place] = beside
        with _uninterrupted():
            for place, beside in staged.items():
                beside.replace(place)
    except BaseException as error:
        _remove(staged.values(), made)
        if isinstance(error, OSError):
            named = Path(error.filename) if isinstance(error.filename, str) else place
            raise SettingError(
                f"{named if named in place.parents else place}: cannot be written: {reason(error)}"
            ) from error
        raise
    finally:
        for lock in locks:
            os.close(lock)


def check_below(place: Path, folder: Path) -> None:
    """Refuse a place that a link leads out of a folder."""
    try:
        inside = place.parent.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # links in a circle
        inside = False
    if not inside:
        raise SettingError(f"{place}: a link leads out of {folder}", hint="to replace the link by a folder")


def remove_files(places: Iterable[Path]) -> None:
    """Delete files. Raises SettingError for one that cannot be deleted."""
    for place in places:
        try:
            place.unlink(missing_ok=True)
        except OSError as error:
            raise SettingError(f"{place}: cannot be deleted: {reason(error)}") from error


def _opener(place: Path) -> Callable[[str, int], int]:
    """Opens without waiting for somebody who writes into a pipe."""
    waits = 0 if str(place).startswith(OPEN_ALREADY) else getattr(os, "O_NONBLOCK", 0)
    return lambda path, flags: os.open(path, flags | waits)


def _holds(place: Path, content: bytes) -> bool:
    try:
        found = place.lstat()
        return stat.S_ISREG(found.st_mode) and found.st_size == len(content) and place.read_bytes() == content
    except OSError:
        return False


def _check_replaceable(place: Path) -> None:
    if place.is_dir():
        raise SettingError(f"{place}: cannot be written: is a directory")
    if place.exists() and not place.is_file():
        raise SettingError(f"{place}: cannot be written: is no regular file")


def _make_folders(folder: Path) -> list[Path]:
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    made = []
    for each in reversed(missing):
        try:
            each.mkdir()
        except FileExistsError:  # somebody else was quicker; or a link to nowhere, which the file's turn tells
            continue
        made.append(each)
    return made


def _beside(place: Path) -> Path:
    """Always the same: what a killed process left there is used by the next one."""
    return place.with_name(f".{place.name[:200]}.new")


def _write(beside: Path, content: bytes) -> list[int]:
    """Write a file that nobody else writes until the returned descriptor, if there is one, is closed."""
    descriptor = _own(beside)
    try:
        os.ftruncate(descriptor, 0)
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
        beside.chmod(0o644)
    except BaseException:
        os.close(descriptor)
        _remove([beside], [])
        raise
    if sys.platform == "win32":  # where nothing that is open can be renamed
        os.close(descriptor)
        return []
    return [descriptor]


def _own(beside: Path) -> int:
    """Open a file that nobody else has open to write, and whose name stays."""
    while True:
        flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(beside, flags, 0o600)
        if sys.platform == "win32":
            return descriptor
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            found = os.fstat(descriptor)
            if _is_still(beside, found):  # else it was renamed to its place while we waited
                if found.st_nlink != 1 or found.st_uid != os.geteuid() or not stat.S_ISREG(found.st_mode):
                    raise PermissionError(0, f"{beside} belongs to somebody else")
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _remove(files: Iterable[Path], folders: list[Path]) -> None:
    for file in files:
        with suppress(OSError):
            file.unlink(missing_ok=True)
    for folder in reversed(folders):
        with suppress(OSError):
            folder.rmdir()


def _is_still(place: Path, found: os.stat_result) -> bool:
    try:
        return os.path.samestat(place.lstat(), found)
    except FileNotFoundError:
        return False


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C and a request to end wait for the few renames."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
