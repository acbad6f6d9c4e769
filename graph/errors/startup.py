"""Errors that end a command: one line on stderr."""

from __future__ import annotations

from graph.errors.root import GraphError


class StartupError(GraphError):
    """A command cannot start. The message names the problem and its remedy, in one line."""


class InvalidSetting(StartupError):
    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} is invalid: {problem}.")


class InvalidSchema(StartupError):
    def __init__(self, type_: str, field: str, reason: str) -> None:
        name = f"{type_}.{field}" if field else type_
        super().__init__(f"{name} cannot be served: {reason}.")


class InvalidSchemaFile(StartupError):
    """A file that a schema is compared with. The exit code is 2: nothing was compared."""

    def __init__(self, file: str, problem: str) -> None:
        super().__init__(f"{file} is not a schema that can be compared: {problem}.")


class AddressUnavailable(StartupError):
    def __init__(self, host: str, port: int, problem: str) -> None:
        super().__init__(
            f"cannot listen on {host}:{port}: {problem}."
            " Choose another address with --host and --port (GRAPH_HOST, GRAPH_PORT)."
        )


class WorkerFailed(StartupError):
    def __init__(self) -> None:
        super().__init__("a worker could not start. The log has the cause.")


class DatabaseUnreachable(StartupError):
    def __init__(self, where: str, problem: str) -> None:
        super().__init__(
            f"cannot open the database at {where}: {problem}. Check GRAPH_DATABASE_URL."
        )


class DatabaseUnsuitable(StartupError):
    pass


class PendingMigrations(StartupError):
    def __init__(self, current: str | None, head: str) -> None:
        newer = current is not None and current > head
        what_to_do = "Run a newer version of graph." if newer else "Run: graph migrate"
        super().__init__(
            f"the database is at revision {current or 'none'}, this version of graph needs {head}."
            f" {what_to_do}"
        )


class MigrationRefused(StartupError):
    """A migration cannot go on. It keeps what it has done: the next run continues from there."""


class CommandFailed(StartupError):
    """PostgreSQL refuses what a command wants."""


class TransferFailed(StartupError):
    pass


class DataDirUnusable(StartupError):
    pass


class StoreNotEmpty(StartupError):
    def __init__(self, customers: int) -> None:
        super().__init__(
            f"the store is not empty ({customers:,} customers); nothing was changed."
            " To replace all rows: graph seed --reset"
        )
