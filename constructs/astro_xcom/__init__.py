"""Reusable CDKTF constructs that give Astro Remote Execution Agents an XCom backend in object storage."""

__version__ = "0.1.0"
