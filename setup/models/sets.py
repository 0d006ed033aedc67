"""Prints the files of sets.toml that belong to the sets named on standard input, one a line, tab-separated:
path, url, sha256, token's variable. A file of several sets comes once. Exit code 3: there is no such set."""

import sys
import tomllib

with open(sys.argv[1], "rb") as file:
    sets = {entry["id"]: entry for entry in tomllib.load(file)["set"]}
files = {}
for name in filter(None, (line.strip() for line in sys.stdin)):
    if name not in sets:
        print(f'::error There is no set "{name}"; there are {", ".join(sets)}.', file=sys.stderr)
        sys.exit(3)
    for entry in sets[name]["file"]:
        files.setdefault(entry["path"], entry)
for path, entry in files.items():
    # A dash where there is nothing: a shell would take two tabs for one.
    print(path, entry["url"], entry.get("sha256", "-"), entry.get("token", "-"), sep="\t")
