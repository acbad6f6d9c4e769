"""The store behind the server: the one place that puts the two together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.doctor import check_sign_in
from graph.server.app import build_app
from graph.server.serve import tune_garbage_collector
from graph.settings import Settings, read_settings
from graph.store.access import ROLES
from graph.store.schema import schema as store_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.applications import Starlette

    from graph.schema.schema import Schema


def create_app(
    settings: Settings | None = None,
    *,
    schema: Schema = store_schema,
    roles: Mapping[str, frozenset[str]] = ROLES,
    keeps_order: bool = False,
) -> Starlette:
    """All of graph as an ASGI application; the settings are the environment's by default.

    With `keeps_order` it also does the upkeep of the database, as `graph serve` does.

    Raises:
        InvalidSetting: a variable of the environment holds a value that it must not.
    """
    return build_app(schema, settings or read_settings(), roles, keeps_order=keeps_order)


def served_app() -> Starlette:
    """The application of a process that does nothing else: uvicorn's factory.

    Raises:
        InvalidSetting: a variable has an invalid value, or nobody could sign in in production.
    """
    settings = read_settings()
    check_sign_in(settings)
    app = create_app(settings, keeps_order=True)
    tune_garbage_collector()
    return app
