#!/usr/bin/env bash
# A replica of the service `postgres`: a copy that is made once, and then streams what changes.
set -euo pipefail
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  pg_basebackup --host=postgres --username=graph --pgdata="$PGDATA" \
    --write-recovery-conf --wal-method=stream --checkpoint=fast
  chmod 700 "$PGDATA"
fi
if [ "$(id -u)" = 0 ]; then
  chown -R postgres:postgres /var/lib/postgresql
  exec gosu postgres postgres
fi
exec postgres
