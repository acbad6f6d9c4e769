#!/usr/bin/env bash
# Runs once, when the image makes the database: replicas sign in with the password of the role `graph`,
# and the settings that a pooler drops are the role's own (docs/operations.md, Behind PgBouncer).
set -euo pipefail
echo "host replication graph all scram-sha-256" >> "$PGDATA/pg_hba.conf"
psql --username=graph --dbname=graph --set=ON_ERROR_STOP=1 <<'SQL'
ALTER ROLE graph IN DATABASE graph SET timezone = 'UTC';
ALTER ROLE graph IN DATABASE graph SET statement_timeout = '10000';
ALTER ROLE graph IN DATABASE graph SET jit = 'off';
ALTER ROLE graph IN DATABASE graph SET random_page_cost = '1.1';
ALTER ROLE graph IN DATABASE graph SET max_parallel_workers_per_gather = '0';
SQL
