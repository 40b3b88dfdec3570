#!/usr/bin/env bash
# Checks openrpc/openrpc.json and openrpc/openrpc.flat.json with the official OpenRPC tools, then
# generates the TypeScript client from the flat document with the stock generator, compiles it with the
# generated project's own compiler and settings, and uses it. See README.md.
#
#   check.sh [OPENRPC_DIR]     default: the repository's openrpc/
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
documents=$(cd "${1:-$here/../../openrpc}" && pwd)
fail() { echo "openrpc: $1" >&2; exit 1; }

for folder in "$here" "$here/client"; do
    # npm ci only where what is installed is not what the lock file says.
    if ! cmp -s "$folder/package-lock.json" "$folder/node_modules/.installed-lock"; then
        (cd "$folder" && npm ci --prefer-offline --ignore-scripts --loglevel=error >/dev/null) ||
            fail "npm ci failed in ${folder#"$here/../../"}"
        cp "$folder/package-lock.json" "$folder/node_modules/.installed-lock"
    fi
done

temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT

status=0
node "$here/document.js" "$documents/openrpc.json" --flat "$documents/openrpc.flat.json" || status=1
node "$here/document.js" "$documents/openrpc.flat.json" || status=1
[[ $status -eq 0 ]] || fail "the documents have faults"

"$here/node_modules/.bin/open-rpc-generator" generate -t client -l typescript -n osnova-storage-client \
    -d "$documents/openrpc.flat.json" -o "$temp" >"$temp/generator.log" 2>&1 ||
    { cat "$temp/generator.log" >&2; fail "the stock generator failed"; }
# The generator warns where it had to guess.
grep -v '^Done!$' "$temp/generator.log" >"$temp/warnings.log" || true
[[ ! -s $temp/warnings.log ]] || { cat "$temp/warnings.log" >&2; fail "the stock generator warned"; }

project=$temp/client/typescript
ln -s "$here/client/node_modules" "$project/node_modules"
"$here/client/node_modules/.bin/tsc" -p "$project" || fail "the generated TypeScript client does not compile"
node "$here/client.js" "$project/build/index.js" "$documents/openrpc.flat.json" || fail "the generated TypeScript client does not work"
echo "openrpc: the documents are valid, and the generated TypeScript client compiles and works"
