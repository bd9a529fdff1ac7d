"""Penfold: a complete mail system."""

__version__ = "0.1.0"
