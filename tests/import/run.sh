#!/usr/bin/env bash
# Imports real packages into a real daemon, kills it without warning, and checks that nothing is lost.
#
#   run.sh FIXTURE_DIR [--daemon PATH] [--importer PATH]
#
# FIXTURE_DIR is laid out as fetch.sh makes it. Without --daemon and --importer both are built in release
# mode. Steps: start on a fresh data root; import; verify; kill -9; start again; verify; SIGTERM, exit 0.
# Waits end on what they wait for (a line, the end of a pipe) and are bounded; nothing sleeps.
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
usage() { echo "usage: run.sh FIXTURE_DIR [--daemon PATH] [--importer PATH]" >&2; exit 2; }

fixture=
daemon=
importer=
while (($# > 0)); do
    case $1 in
        --daemon) [[ $# -ge 2 ]] || usage; daemon=$2; shift 2 ;;
        --importer) [[ $# -ge 2 ]] || usage; importer=$2; shift 2 ;;
        -*) usage ;;
        *) [[ -z $fixture ]] || usage; fixture=$1; shift ;;
    esac
done
[[ -n $fixture && -f $fixture/index.json ]] || usage
fixture=$(cd "$fixture" && pwd)

# What one step may take at most, in seconds.
ready_timeout_s=60
stop_timeout_s=60
importer_timeout_s=1800

built=${CARGO_TARGET_DIR:-$repo/target}/release
if [[ -z $daemon ]]; then
    (cd "$repo" && cargo build --release -q -p osnova-storage-server --bin osnova-storaged)
    daemon=$built/osnova-storaged
fi
if [[ -z $importer ]]; then
    (cd "$repo" && cargo build --release -q -p osnova-storage-client --example import_npm)
    importer=$built/examples/import_npm
fi
for program in "$daemon" "$importer"; do
    [[ -x $program ]] || { echo "import: no program at $program" >&2; exit 2; }
done

temp=$(mktemp -d)
pid=
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    local status=$?
    if [[ -n $pid ]]; then
        kill -9 "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    fi
    if ((status != 0)) && [[ -s $temp/daemon.log ]]; then
        echo "import: the end of the daemon's log:" >&2
        tail -n 40 "$temp/daemon.log" >&2
    fi
    rm -rf "$temp"
}
trap clean_up EXIT
fail() { echo "import: $1" >&2; exit 1; }

root=$temp/root
mkdir -m 0700 "$root" "$temp/home"
(umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$temp/key")

# Nothing of the caller's own daemon: no endpoint, no configuration, no key of his.
for name in $(compgen -e | grep '^OSNOVA_' || true); do unset "$name"; done

# Starts the daemon; returns when it says that it is ready, with its endpoint in $OSNOVA_STORAGE_ENDPOINT.
start() {
    rm -f "$temp/stdout"
    mkfifo -m 0600 "$temp/stdout"
    env HOME="$temp/home" XDG_CONFIG_HOME="$temp/home" XDG_DATA_HOME="$temp/home" XDG_RUNTIME_DIR="$temp/home" \
        "$daemon" --data-root "$root" --key-file "$temp/key" >"$temp/stdout" 2>>"$temp/daemon.log" &
    pid=$!
    # The pipe ends when the daemon does, so one that fails to start is seen at once.
    exec 3<"$temp/stdout"
    local line deadline=$((SECONDS + ready_timeout_s))
    while read -r -t $((deadline > SECONDS ? deadline - SECONDS : 0)) -u 3 line; do
        [[ $line == *'"event"'*'"ready"'* ]] || continue
        OSNOVA_STORAGE_ENDPOINT=$(python3 -c '
import json, sys
print(next(e for e in json.loads(sys.argv[1])["endpoints"] if e.startswith("unix:")))' "$line") ||
            fail "no Unix socket in the ready line: $line"
        export OSNOVA_STORAGE_ENDPOINT
        return
    done
    fail "the daemon was not ready within $ready_timeout_s s, or ended"
}

# Waits for the daemon's end (its standard output's end), then takes its exit code into $exit_code.
wait_for_end() {
    local line deadline=$((SECONDS + stop_timeout_s)) code=0
    while true; do
        read -r -t $((deadline > SECONDS ? deadline - SECONDS : 0)) -u 3 line && code=0 || code=$?
        ((code == 0)) && continue
        break
    done
    # read's code is 1 at the end of the pipe, above 128 (or 1 with data left) when the time is up.
    ((code <= 128 && SECONDS < deadline)) || fail "the daemon did not end within $stop_timeout_s s"
    exec 3<&-
    exit_code=0
    wait "$pid" 2>/dev/null || exit_code=$?
    pid=
}

run_importer() {
    local began=$SECONDS
    echo "import: $1"
    timeout "$importer_timeout_s" "$importer" "$1" "$fixture" || fail "$2"
    echo "import: $1 took $((SECONDS - began)) s"
}

start
echo "import: the daemon is ready on a fresh root"
run_importer import "the import failed"
run_importer verify "what was imported does not verify"

kill -9 "$pid"
wait_for_end
((exit_code == 137)) || fail "the killed daemon had ended by itself, exit code $exit_code"
echo "import: killed"

start
echo "import: the daemon is ready again"
run_importer verify "after kill -9 what was imported does not verify"

kill -TERM "$pid"
wait_for_end
((exit_code == 0)) || fail "exit code $exit_code after SIGTERM, not 0"
count=$(python3 -c 'import json, sys; print(len(json.load(open(sys.argv[1]))))' "$fixture/index.json")
echo "import: $count packages imported, verified, and verified again after kill -9; stopped with exit code 0"
