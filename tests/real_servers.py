"""Real servers, which tests find by the environment."""

from __future__ import annotations

import os

import pytest


def require(name: str, *more: str) -> str:
    """Skip by name for the first variable that is not set; the value of `name`."""
    for one in (name, *more):
        if not os.environ.get(one):
            pytest.skip(f"{one} is not set")
    return os.environ[name]
