#!/bin/sh
# Run once by the database's image: the role that dashboards read with, and its password.
set -eu
psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" <<'END'
\set password `cat /run/secrets/reader-password`
CREATE ROLE bonewatch_reader LOGIN PASSWORD :'password';
ALTER ROLE bonewatch_reader SET search_path = bonewatch;
END
