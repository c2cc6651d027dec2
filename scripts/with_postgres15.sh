#!/usr/bin/env bash
# Run a command with a PostgreSQL 15 of its own, as Debian packages it: with_postgres15.sh COMMAND [ARGUMENT…]
#
# The command finds the server in BROJOBS_DATABASE_URL (what the service reads) and BROJOBS_TEST_DATABASE_URL (what the
# tests read). The cluster lives in a temporary folder on a Unix socket, with its durability on, and goes away with the
# command. Where PostgreSQL 15 is missing, root installs it; anybody else, or root without a package, gets status 77.
set -euo pipefail

readonly missing=77
pgbin=${POSTGRES15_BIN:-/usr/lib/postgresql/15/bin}

if [[ ! -x $pgbin/initdb && $EUID -eq 0 ]] && command -v apt-get >/dev/null; then
    echo "PostgreSQL 15 is missing: installing Debian's package" >&2
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql-15; } >/dev/null 2>&1 || true
fi
if [[ ! -x $pgbin/initdb ]]; then
    echo "PostgreSQL 15 is missing ($pgbin/initdb) and could not be installed" >&2
    exit $missing
fi

# Neither initdb nor the server run as root.
as_owner=()
folder=$(mktemp -d /var/tmp/brojobs-pg15.XXXXXX)
if [[ $EUID -eq 0 ]]; then
    as_owner=(runuser -u postgres --)
    chown postgres "$folder"
fi
chmod 755 "$folder"

stop() {
    (cd / && "${as_owner[@]}" "$pgbin/pg_ctl" -D "$folder/data" -m fast -w stop >/dev/null 2>&1) || true
    rm -rf "$folder"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

(
    cd / # the other user may not be allowed to enter this folder
    "${as_owner[@]}" "$pgbin/initdb" -D "$folder/data" -U postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 >/dev/null
    "${as_owner[@]}" "$pgbin/pg_ctl" -D "$folder/data" -l "$folder/log" -w \
        -o "-c listen_addresses='' -c unix_socket_directories=$folder -c max_connections=200" start >/dev/null
) || { cat "$folder/log" >&2 2>/dev/null; exit 1; }

export BROJOBS_DATABASE_URL="postgresql://postgres@/postgres?host=$folder"
export BROJOBS_TEST_DATABASE_URL=$BROJOBS_DATABASE_URL
export BROJOBS_TEST_KEEP_DATABASES=1 # the whole server is thrown away, so nobody needs to drop them one by one
"$@"
