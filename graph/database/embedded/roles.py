"""Who may connect to the embedded PostgreSQL, and as which role.

Accounts of the operating system are mapped to roles (`peer`): root, and the account that owns the
cluster. The account that root borrows to run PostgreSQL is not mapped, since its other processes
are strangers. The API signs in as a role that owns its database and its tables, without SUPERUSER:
it can neither read files nor start programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from graph.database.embedded.account import Account

SUPERUSER = "graph"
API_ROLE = "graph_api"
DATABASE = "graph"

_RULES_FILE = "pg_hba.conf"
_MAP_FILE = "pg_ident.conf"
_RULES = """\
# Written by graph.
local all all peer map=graph
local replication all peer map=graph
"""

# Makes the API's role, and gives it all that the superuser had made in the API's database. It may
# be run again. In single-user mode an empty line ends a statement: there is none in between.
MAKE_ROLE = f"""\
DO $$
DECLARE
    command text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{API_ROLE}') THEN
        CREATE ROLE {API_ROLE} LOGIN;
    END IF;
    GRANT SET ON PARAMETER temp_file_limit TO {API_ROLE};
    ALTER DATABASE {DATABASE} OWNER TO {API_ROLE};
    FOR command IN
        WITH ours AS (
            SELECT oid FROM pg_namespace
            WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
        ), bound AS (
            SELECT classid, objid FROM pg_depend WHERE deptype IN ('a', 'e', 'i')
        ), commands AS (
            SELECT 'pg_namespace'::regclass AS classid, oid AS objid, nspowner AS owner,
                   format('SCHEMA %I', nspname) AS object
            FROM pg_namespace WHERE oid IN (TABLE ours)
            UNION ALL
            SELECT 'pg_class'::regclass, oid, relowner, format('TABLE %s', oid::regclass)
            FROM pg_class
            WHERE relnamespace IN (TABLE ours) AND relkind IN ('r', 'p', 'v', 'm', 'S')
            UNION ALL
            SELECT 'pg_proc'::regclass, oid, proowner, format('ROUTINE %s', oid::regprocedure)
            FROM pg_proc WHERE pronamespace IN (TABLE ours)
            UNION ALL
            SELECT 'pg_type'::regclass, oid, typowner, format('TYPE %s', oid::regtype)
            FROM pg_type WHERE typnamespace IN (TABLE ours) AND typtype IN ('d', 'e')
        )
        SELECT format('ALTER %s OWNER TO {API_ROLE}', object) FROM commands
        WHERE owner = '{SUPERUSER}'::regrole AND (classid, objid) NOT IN (TABLE bound)
    LOOP
        EXECUTE command;
    END LOOP;
END $$;

"""  # noqa: S608  the names are ours


class Roles:
    """The roles of one cluster folder."""

    def __init__(self, folder: Path, account: Account) -> None:
        self._folder = folder
        self._account = account

    def are_made(self) -> bool:
        """Whether the API has its role: not where an older version of graph runs the server."""
        return self._read(_RULES_FILE) == _RULES

    def are_current(self) -> bool:
        return self.are_made() and self._read(_MAP_FILE) == self._map()

    def write_rules(self) -> None:
        """Write PostgreSQL's rules of access; they hold from its next start on."""
        self._write(_MAP_FILE, self._map())
        self._write(_RULES_FILE, _RULES)

    def _map(self) -> str:
        return "# Written by graph.\n" + "".join(
            f'graph "{account}" all\n' for account in self._account.clients()
        )

    def _read(self, name: str) -> str:
        return (self._folder / name).read_text("utf-8", errors="surrogateescape")

    def _write(self, name: str, text: str) -> None:
        fresh = self._folder / f"{name}.new"
        fresh.write_text(text, "utf-8")
        fresh.chmod(0o600)
        self._account.receive(fresh)
        fresh.replace(self._folder / name)
