"""How a command ends: one line a problem, an exit code, and no traceback unless it is asked for.

Imports little, so that Ctrl-C during all the other imports ends like any other.
"""

import codecs
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import NoReturn

from astro_xcom.errors import AstroXComError, Fault, printable

DEBUG = "--debug"
INTERRUPTED, ENDED = 130, 143


def run(command: Callable[[], object]) -> NoReturn:
    """Run a command to its exit code: an int that it returns, 1 for any error, 130 for Ctrl-C.

    With `--debug` among the arguments, which is taken out of them, an error's traceback follows its line.
    """
    debug = DEBUG in sys.argv[1:]
    sys.argv[1:] = [argument for argument in sys.argv[1:] if argument != DEBUG]
    _prepare_streams()
    warnings.showwarning = lambda message, *_: say(f"warning: {message}")
    with suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, _end)
    try:
        status = command()
        if sys.stdout is not None:
            sys.stdout.flush()
        code: int | str = status if isinstance(status, int) else 0
    except SystemExit as error:
        code = 0 if error.code is None else error.code
    except BaseException as error:  # whatever it is: nobody reads a traceback
        text = printable("\n".join(_lines(error)))
        code = text or 1
        if debug or isinstance(error, KeyboardInterrupt):
            say(text)
            code = INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
        if debug:
            say("".join(traceback.format_exception(error)).rstrip())
    _quit(code)


def say(text: str) -> None:
    """Write lines to stderr, so that all of them can be seen."""
    with suppress(OSError, ValueError, AttributeError):  # nobody listens
        if text:
            sys.stderr.write(f"{printable(text)}\n")
            sys.stderr.flush()


def tell(text: str) -> None:
    """Write lines to stdout, the same way."""
    if sys.stdout is not None:
        sys.stdout.write(f"{printable(text)}\n")


def _lines(error: BaseException) -> list[str]:
    if isinstance(error, (Fault, AstroXComError)):
        return str(error).splitlines()
    if isinstance(error, KeyboardInterrupt):
        return ["interrupted"]
    if isinstance(error, BrokenPipeError):
        return []  # the reader has gone, as `head` does
    if isinstance(error, MemoryError):
        return ["there is not enough memory"]
    if isinstance(error, OSError) and error.strerror:
        return [f"{error.filename or 'standard output'}: {error.strerror.lower()}"]
    text = next(iter(str(error).strip().splitlines()), "")
    return [f"failed, which it should not: {type(error).__name__}: {text[:300]}; {DEBUG} shows where"]


def _prepare_streams() -> None:
    """Let every character through: what a stream's encoding lacks is written as JSON would escape it."""
    codecs.register_error("astro-xcom", _escape)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="astro-xcom")


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{found[at : at + 4]}" for at in range(0, len(found), 4)), error.end


def _end(number: int, frame: object) -> NoReturn:
    raise SystemExit(ENDED)


def _quit(code: int | str) -> NoReturn:
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError) as error:
        if not code:
            code = "\n".join(_lines(error)) or 1
        with suppress(OSError, ValueError):  # else Python tries once more as it ends, and says so
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)  # a text is printed by Python, and the exit code is 1


def _interrupted_early(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """In place of sys.excepthook until `run` takes over."""
    if not issubclass(kind, KeyboardInterrupt):
        _hook(kind, error, trace)
        return
    say("interrupted")
    raise SystemExit(INTERRUPTED)


_hook = sys.excepthook
sys.excepthook = _interrupted_early
