"""The state of a database for `graph doctor`: rights, extensions, sizes, kept keys, connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from graph.settings import Settings

# A worker has one more connection, for readiness and the sizes of tables.
_SPARE = 1
_TABLES_SHOWN = 5

_ROLE = text("""
    SELECT current_user AS name,
           has_schema_privilege(current_schema(), 'CREATE') AS may_create,
           (SELECT CASE WHEN rolconnlimit >= 0 THEN rolconnlimit END
            FROM pg_roles WHERE rolname = current_user) AS most,
           (SELECT CASE WHEN datconnlimit >= 0 THEN datconnlimit END
            FROM pg_database WHERE datname = current_database()) AS most_of_database
""")
_TABLES = """
    FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition
    AND relnamespace = to_regnamespace(quote_ident(current_schema()))
"""
_NOT_OWNED = text(f"""
    SELECT relname {_TABLES} AND NOT pg_has_role(relowner, 'USAGE') ORDER BY relname
""")
_LACKING = text(f"""
    SELECT privilege, string_agg(relname, ', ' ORDER BY relname)
    FROM (SELECT pg_class.oid, relname {_TABLES}) AS tables,
         unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
    WHERE NOT has_table_privilege(tables.oid, privilege)
    AND NOT (relname IN ('alembic_version', 'engine_version') AND privilege <> 'SELECT')
    GROUP BY privilege ORDER BY privilege
""")  # noqa: S608  constants
_EXTENSIONS = text("""
    SELECT string_agg(format('%s %s', extname, extversion), ', ' ORDER BY extname)
    FROM pg_extension WHERE extname <> 'plpgsql'
""")
# The counters begin when statistics were last reset, which few servers tell.
_SIZES = text(f"""
    WITH sizes AS (
        SELECT tables.relname, sum(pg_total_relation_size(leaf.relid)) AS bytes,
               sum(greatest(pg_class.reltuples, 0)) AS rows,
               coalesce(sum(n_dead_tup), 0) AS dead,
               coalesce(sum(n_tup_ins), 0) AS added,
               coalesce(sum(n_tup_del), 0) AS removed
        FROM (SELECT oid, relname {_TABLES}) AS tables,
             LATERAL (SELECT relid FROM pg_partition_tree(tables.oid) WHERE isleaf
                      UNION SELECT tables.oid) AS leaf
        JOIN pg_class ON pg_class.oid = leaf.relid
        LEFT JOIN pg_stat_all_tables AS counters ON counters.relid = leaf.relid
        GROUP BY tables.relname)
    SELECT * FROM sizes ORDER BY bytes DESC, relname LIMIT {_TABLES_SHOWN}
""")  # noqa: S608  constants
_SINCE = text("""
    SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()
""")
_KEPT_KEYS = text("""
    SELECT count(*) AS kept, min(created_on) AS oldest,
           count(*) FILTER (WHERE created_on < now() - make_interval(secs => :seconds)) AS expired,
           pg_total_relation_size('idempotency_keys') AS bytes
    FROM idempotency_keys
""")
_PLACES = text("""
    SELECT current_setting('max_connections')::int
           - current_setting('superuser_reserved_connections')::int
           - coalesce(current_setting('reserved_connections', true), '0')::int AS most,
           (SELECT count(*) FROM pg_stat_activity
            WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
            AND application_name NOT LIKE 'graph%') AS others
""")


def server_lines(
    connection: Connection, settings: Settings, workers: int, *, is_migrated: bool
) -> Iterator[str]:
    """One line for each finding; those that begin with "Danger: " ask for something."""
    role = connection.execute(_ROLE).one()
    yield from _rights(connection, role, is_migrated=is_migrated)
    extensions = connection.scalar(_EXTENSIONS)
    yield f"extensions: {extensions or 'none'}; graph needs none"
    yield from _connections(connection, role, settings, workers)
    yield from _sizes(connection)
    if is_migrated:
        yield _kept_keys(connection, settings.idempotency_key_hours * 3600)


def _rights(connection: Connection, role: Any, *, is_migrated: bool) -> Iterator[str]:
    if not role.may_create:
        yield f"the role {role.name} may not create tables here: graph migrate needs another one"
    not_owned = connection.scalars(_NOT_OWNED).all()
    if not_owned:
        yield (
            f"the role {role.name} does not own {', '.join(not_owned)}: graph migrate and ANALYZE"
            " need another one"
        )
    elif is_migrated:
        yield f"the role {role.name} owns all tables"
    for privilege, tables in connection.execute(_LACKING):
        yield f"Danger: the role {role.name} may not {privilege} in {tables}"


def _connections(
    connection: Connection, role: Any, settings: Settings, workers: int
) -> Iterator[str]:
    places = connection.execute(_PLACES).one()
    most = min(each for each in (places.most, role.most, role.most_of_database) if each is not None)
    needed = workers * (settings.pool_size + _SPARE)
    line = (
        f"{workers} worker{'s' if workers > 1 else ''} with {settings.pool_size} + {_SPARE}"
        f" connections take {needed}; the server has {most} for this role, and others use"
        f" {places.others} now"
    )
    if needed + places.others <= most:
        yield line
    else:
        yield (
            f"Danger: {line}: lower GRAPH_POOL_SIZE, raise max_connections, or put a pooler"
            " in front"
        )


def _sizes(connection: Connection) -> Iterator[str]:
    since = connection.scalar(_SINCE)
    began = f"since {since:%Y-%m-%d}" if since else "since statistics began"
    for each in connection.execute(_SIZES):
        yield (
            f"table {each.relname} takes {each.bytes / 2**20:,.1f} MB with about"
            f" {each.rows:,.0f} rows and {each.dead:,.0f} dead ones; {each.added:,.0f} were added"
            f" and {each.removed:,.0f} removed {began}"
        )


def _kept_keys(connection: Connection, seconds: float) -> str:
    keys = connection.execute(_KEPT_KEYS, {"seconds": seconds}).one()
    oldest = f", the oldest from {keys.oldest:%Y-%m-%d %H:%M}" if keys.oldest else ""
    expired = f"; {keys.expired:,} have expired: graph serve removes them" if keys.expired else ""
    return (
        f"{keys.kept:,} idempotency keys are kept in {keys.bytes / 2**20:,.1f} MB{oldest}{expired}"
    )
