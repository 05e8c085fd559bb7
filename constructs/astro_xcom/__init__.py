"""Reusable CDKTF constructs that give Astro Remote Execution Agents an XCom backend in object storage."""

from astro_xcom import bindings  # noqa: F401 - before any provider: makes them load quickly

__version__ = "0.1.0"
