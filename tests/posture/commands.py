"""Runs `astro-xcom posture` as a user does."""

import contextlib
import io
import sys
from dataclasses import dataclass
from unittest.mock import patch

from astro_xcom.cli.app import main


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: object
    out: str
    err: str


def posture(*arguments: str) -> Ran:
    """`astro-xcom posture`, with its exit code; a text is what Python prints before it exits with 1."""
    out, err = io.StringIO(), io.StringIO()
    code: object = None
    with (
        patch.object(sys, "argv", ["astro-xcom", "posture", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as error:
            code = error.code or 0
    return Ran(code, out.getvalue(), err.getvalue())
