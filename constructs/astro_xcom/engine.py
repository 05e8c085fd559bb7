"""The app of the engine that this package is for, CDKTF or CDK Terrain, so that main.py serves both."""

from cdktf import App

__all__ = ["App"]
