"""The settings that are one of a few words."""

from __future__ import annotations

from enum import StrEnum


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class ExecutionMode(StrEnum):
    COMPILED = "compiled"  # one SQL statement per operation, resolvers for fields without SQL
    RESOLVERS = "resolvers"  # Strawberry's standard executor for everything


class Profile(StrEnum):
    DEVELOPMENT = "development"  # introspection, suggestions, GraphiQL and plans are on
    PRODUCTION = "production"  # they are off, and clients are rate limited


class DocumentsMode(StrEnum):
    OFF = "off"  # every request sends its document
    APQ = "apq"  # automatic persisted queries, and the manifest's documents by id
    TRUSTED_ONLY = "trusted-only"  # only the manifest's documents


class TokenBucketMode(StrEnum):
    MEMORY = "memory"  # each worker has buckets of its own
    DATABASE = "database"  # all workers share buckets, for one or two statements per request
