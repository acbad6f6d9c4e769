"""Fixtures that answer through the loaders: no operation is compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import settings_for

if TYPE_CHECKING:
    from graph.settings import Settings


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(database_url, execution="resolvers")
