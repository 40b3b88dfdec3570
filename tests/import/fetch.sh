#!/usr/bin/env bash
# Fetches real packages for the importer to read: installs a fixed set of top-level packages with the
# ordinary npm client in a temporary directory (which resolves their dependencies), then packs every
# exact name@version of the resolved tree.
#
#   fetch.sh DIR [N]          N: at most so many packages (default 200)
#   FETCH_TOP="chalk@4 debug" fetch.sh DIR     another choice of top-level packages
#
# DIR then holds
#   <file>.tgz                the tarball as published; <file> is "name-version" with '@' and '/' made safe
#   <file>.package.json       its package.json, byte for byte
#   <file>.text.<name>        its readme, change log and license, as far as it has them, byte for byte
#   index.json                [{name, version, tarball, manifest, readme?, notices}], file names relative
#                             to DIR
#
# Run again on the same DIR it goes on where it stopped: what is already packed is kept, and the
# resolved list is kept in DIR/.resolved. A package that can't be fetched is named in the summary and
# left out; the exit code is nonzero only when fewer than FETCH_MIN (default 100, or N if that is less)
# packages are there at the end.
set -euo pipefail

usage() { echo "usage: fetch.sh DIR [N]" >&2; exit 2; }
[[ $# -ge 1 && $# -le 2 ]] || usage
dir=$1
limit=${2:-200}
[[ $limit =~ ^[1-9][0-9]*$ ]] || usage
minimum=${FETCH_MIN:-$((limit < 100 ? limit : 100))}
read -r -a top <<<"${FETCH_TOP:-express@4 webpack@5 eslint@8 react@18 react-dom@18 jest@29 typescript@5 chalk@4 debug@4 glob@8}"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Bounds: on one package's download, on one tarball's size, on the whole directory.
pack_timeout_s=120
install_timeout_s=600
max_tarball_bytes=$((20 * 1024 * 1024))
max_total_bytes=$((150 * 1024 * 1024))

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
export npm_config_audit=false npm_config_fund=false npm_config_ignore_scripts=true
export npm_config_update_notifier=false npm_config_loglevel=error npm_config_prefer_offline=true

if [[ ! -s $dir/.resolved ]]; then
    echo "resolving ${top[*]}"
    mkdir "$temp/tree"
    printf '{"name":"import-input","version":"0.0.0","private":true}\n' >"$temp/tree/package.json"
    (cd "$temp/tree" && timeout "$install_timeout_s" npm install "${top[@]}" >/dev/null)
    python3 "$here/packages.py" resolved "$temp/tree/package-lock.json" >"$temp/resolved"
    mv "$temp/resolved" "$dir/.resolved"
fi

failed=()
left_out=0
done_count=0
total=$(du -sb --exclude=.resolved "$dir" | cut -f1)
while read -r spec file; do
    if ((done_count >= limit)); then
        left_out=$((left_out + 1))
        continue
    fi
    if [[ -s $dir/$file.tgz && -s $dir/$file.package.json ]]; then
        done_count=$((done_count + 1))
        continue
    fi
    if ((total >= max_total_bytes)); then
        left_out=$((left_out + 1))
        continue
    fi
    rm -rf "$temp/pack"
    mkdir "$temp/pack"
    if ! (cd "$temp/pack" && timeout "$pack_timeout_s" npm pack "$spec" >/dev/null 2>"$temp/error" </dev/null); then
        failed+=("$spec: $(sed -n "s/^npm \(error\|ERR!\) //p" "$temp/error" | head -n 2 | tr "\n" " ")")
        continue
    fi
    packed=("$temp/pack"/*.tgz)
    size=$(stat -c %s "${packed[0]}" 2>/dev/null || echo 0)
    if ((size == 0 || size > max_tarball_bytes)); then
        failed+=("$spec: the tarball has $size bytes")
        continue
    fi
    if ! python3 "$here/packages.py" manifest "${packed[0]}" >"$temp/manifest" 2>"$temp/error"; then
        failed+=("$spec: $(tail -n 1 "$temp/error")")
        continue
    fi
    # The manifest goes first and both are renamed into place, so that an interrupted run leaves nothing half.
    mv "$temp/manifest" "$dir/$file.package.json"
    mv "${packed[0]}" "$dir/$file.tgz.part"
    mv "$dir/$file.tgz.part" "$dir/$file.tgz"
    total=$((total + size))
    done_count=$((done_count + 1))
    if ((done_count % 25 == 0)); then echo "$done_count packages, $((total / 1024)) KiB"; fi
done <"$dir/.resolved"

python3 "$here/packages.py" index "$dir"
echo "$done_count packages in $dir, $((total / 1024)) KiB; ${#failed[@]} failed, $left_out left out by the bounds"
for line in "${failed[@]}"; do echo "failed: $line" >&2; done
if ((done_count < minimum)); then
    echo "fetch.sh: fewer than $minimum packages" >&2
    exit 1
fi
