# Keeps a PostgreSQL in a folder of its own and does what it is told on standard input, a word and a name a line. When
# that ends, in whatever way the test did, PostgreSQL ends and the folder goes.
# Usage: keeper.sh BIN fsync|no-fsync
set -eu
PATH="$1:$PATH"
umask 077
folder=$(mktemp -d "${TMPDIR:-/tmp}/antiphon-postgres-XXXXXX")
# Writing to a test that is gone is a failure like any, after which there is something to do.
trap '' PIPE
trap 'pg_ctl -D "$folder/data" -m immediate stop >/dev/null 2>&1 || true; rm -rf "$folder"' EXIT
case $2 in fsync) fsync=on ;; *) fsync=off ;; esac

# The server's own sockets are in the folder, which its user alone may enter: so it trusts whoever comes.
initdb -D "$folder/data" -U antiphon -A trust -E UTF8 --locale=C --no-sync >"$folder/log" 2>&1 || {
  cat "$folder/log" >&2
  exit 1
}
cat >>"$folder/data/postgresql.conf" <<CONFIGURATION
listen_addresses = ''
unix_socket_directories = '$folder'
fsync = $fsync
max_connections = 200
shared_buffers = 32MB
CONFIGURATION
# After a crash all files are synchronised before anything else: at once, and not one of thousands after the other.
if grep -q recovery_init_sync_method "$folder/data/postgresql.conf"; then
  echo "recovery_init_sync_method = syncfs" >>"$folder/data/postgresql.conf"
fi

start() {
  # What a crash left behind may hold the shared memory for a moment.
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    if pg_ctl -D "$folder/data" -l "$folder/log" -w start >/dev/null 2>&1; then return; fi
    sleep 0.5
  done
  cat "$folder/log" >&2
  return 1
}

# A backend whose parent is gone may still answer what it was asked: a crash takes all of them.
crash() {
  postmaster=$(head -n 1 "$folder/data/postmaster.pid")
  kill -STOP "$postmaster"
  for stat in /proc/[0-9]*/stat; do
    if read -r pid _ _ parent _ <"$stat" && [ "$parent" = "$postmaster" ]; then kill -9 "$pid"; fi
  done 2>/dev/null
  kill -9 "$postmaster"
}

start
echo "$folder"
while read -r word name; do
  case $word in
    start) start ;;
    crash) crash ;;
    create) createdb -h "$folder" -U antiphon "$name" </dev/null ;;
    run) psql -q -v ON_ERROR_STOP=1 -h "$folder" -U antiphon -d "${name%% *}" -c "${name#* }" </dev/null >/dev/null ;;
  esac
  echo done
done
