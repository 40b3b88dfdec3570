#!/usr/bin/env python3
"""Reads npm's files for fetch.sh: the resolved list of a lock file, the package.json inside a tarball,
and the index over a directory of both. Standard library only.

    packages.py resolved package-lock.json   one "name@version file" a line, nearest first
    packages.py manifest TARBALL             the package.json inside, byte for byte, to stdout
    packages.py index DIR                    writes DIR/index.json over the complete pairs, and beside them
                                             the readme, the change log and the license of each
    packages.py check DIR                    exits 1 unless DIR is a complete, consistent fixture
"""

import json
import pathlib
import sys
import tarfile

# A package.json above this is not one the importer is meant to read (the store takes 1 MiB of JSON).
MAX_MANIFEST_BYTES = 1024 * 1024
# A text above this is left in its tarball.
MAX_TEXT_BYTES = 1024 * 1024
# What a package's texts are called, by npm's own rules, and how many of each kind are taken.
READMES = ("readme",)
NOTICES = ("changelog", "changes", "history", "license", "licence")
MAX_NOTICES = 3


def safe_file(name, version):
    """A flat file name for a package: '@scope/name' becomes 'scope__name'."""
    return f"{name.lstrip('@').replace('/', '__')}-{version}"


def resolved(lock_path):
    """In the order of the distance from the top-level packages, so that a bounded run takes packages
    together with what they depend on, and not a piece of the alphabet."""
    packages = json.loads(pathlib.Path(lock_path).read_text(encoding="utf-8"))["packages"]

    def locate(path, name):
        """Node's own search: the nearest node_modules on the way up."""
        while True:
            found = f"{path}/node_modules/{name}".lstrip("/")
            if found in packages:
                return found
            if not path:
                return None
            path = path.rpartition("node_modules/")[0].rstrip("/")

    queue, seen, printed = [""], {""}, set()
    for path in queue:
        entry = packages[path]
        # An alias ("npm:other@1") has its real name in the entry, else the name is the path's end.
        name = entry.get("name") or path.rpartition("node_modules/")[2]
        if path and not entry.get("link") and not entry.get("inBundle") and (name, entry["version"]) not in printed:
            printed.add((name, entry["version"]))
            print(f"{name}@{entry['version']} {safe_file(name, entry['version'])}")
        for kind in ("dependencies", "optionalDependencies"):
            for dependency in sorted(entry.get(kind, {})):
                found = locate(path, dependency)
                if found and found not in seen:
                    seen.add(found)
                    queue.append(found)


def read_manifest(tarball):
    """The bytes of <top folder>/package.json, wherever the tarball's only top folder is."""
    with tarfile.open(tarball, "r:gz") as archive:
        for member in archive:
            parts = pathlib.PurePosixPath(member.name).parts
            if member.isfile() and len(parts) == 2 and parts[1] == "package.json":
                if member.size > MAX_MANIFEST_BYTES:
                    raise SystemExit(f"package.json has {member.size} bytes")
                return archive.extractfile(member).read()
    raise SystemExit("no package.json in the tarball")


def read_texts(tarball):
    """The readme, or None, and the notices, each as (name, bytes), by name."""

    def kind(name):
        return name.lower().partition(".")[0]

    found = {}
    with tarfile.open(tarball, "r:gz") as archive:
        for member in archive:
            parts = pathlib.PurePosixPath(member.name).parts
            if not member.isfile() or len(parts) != 2 or not 0 < member.size <= MAX_TEXT_BYTES:
                continue
            if kind(parts[1]) in READMES + NOTICES:
                found[parts[1]] = archive.extractfile(member).read()
    readmes = sorted((name, text) for name, text in found.items() if kind(name) in READMES)
    notices = sorted((name, text) for name, text in found.items() if kind(name) in NOTICES)
    return (readmes[0] if readmes else None), notices[:MAX_NOTICES]


def text_file(tarball, name):
    """What a text of a tarball is called beside it."""
    return f"{tarball.name.removesuffix('.tgz')}.text.{name}"


def pairs(directory):
    for manifest in sorted(directory.glob("*.package.json")):
        tarball = manifest.with_name(manifest.name.removesuffix(".package.json") + ".tgz")
        if tarball.is_file():
            yield manifest, tarball


def index(directory):
    entries = []
    for manifest, tarball in pairs(directory):
        package = json.loads(manifest.read_bytes())
        entry = {
            "name": package["name"],
            "version": package["version"],
            "tarball": tarball.name,
            "manifest": manifest.name,
        }
        readme, notices = read_texts(tarball)
        for name, text in ([readme] if readme else []) + notices:
            (directory / text_file(tarball, name)).write_bytes(text)
        if readme:
            entry["readme"] = text_file(tarball, readme[0])
        entry["notices"] = [text_file(tarball, name) for name, _ in notices]
        entries.append(entry)
    entries.sort(key=lambda entry: (entry["name"], entry["version"]))
    text = json.dumps(entries, indent=1, ensure_ascii=False) + "\n"
    part = directory / "index.json.part"
    part.write_text(text, encoding="utf-8")
    part.replace(directory / "index.json")


def check(directory):
    """Every entry's manifest and texts are those in its tarball, and no file stands outside the index."""
    entries = json.loads((directory / "index.json").read_text(encoding="utf-8"))
    known = {"index.json", "README.md"}
    for entry in entries:
        known |= {entry["tarball"], entry["manifest"]}
        manifest = (directory / entry["manifest"]).read_bytes()
        if manifest != read_manifest(directory / entry["tarball"]):
            raise SystemExit(f"{entry['manifest']} differs from the one in {entry['tarball']}")
        readme, notices = read_texts(directory / entry["tarball"])
        texts = [entry["readme"]] if "readme" in entry else []
        texts += entry.get("notices", [])
        known.update(texts)
        inside = [text for _, text in ([readme] if readme else []) + notices]
        if [(directory / text).read_bytes() for text in texts] != inside:
            raise SystemExit(f"the texts of {entry['tarball']} differ from those in it")
        package = json.loads(manifest)
        if (package["name"], package["version"]) != (entry["name"], entry["version"]):
            raise SystemExit(f"{entry['manifest']} is not {entry['name']}@{entry['version']}")
    stray = sorted(p.name for p in directory.iterdir() if not p.name.startswith(".") and p.name not in known)
    if stray:
        raise SystemExit(f"files outside the index: {', '.join(stray)}")
    print(f"{len(entries)} packages, consistent")


def main(argv):
    match argv:
        case ["resolved", lock]:
            resolved(lock)
        case ["manifest", tarball]:
            sys.stdout.buffer.write(read_manifest(tarball))
        case ["index", directory]:
            index(pathlib.Path(directory))
        case ["check", directory]:
            check(pathlib.Path(directory))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
