"""Makes, in the folder that is its argument, what the scripts of tools would get from outside: `git/` with repositories
that stand in for those on github.com, `simple/` with an index of small wheels, `dotnet/` with a feed of .NET. Everything is
real (git, wheels, archives); only what is in them is small. No network."""

import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import zipfile

ROOT = pathlib.Path(sys.argv[1])

# A server in place of a tool's: answers the paths it is started with, and writes its arguments where a test looks.
SERVER = '''
import argparse, http.server, json, os, signal, sys
parser = argparse.ArgumentParser()
parser.add_argument("--listen", "--host", "--hostname", dest="host")
parser.add_argument("--port", type=int)
args, rest = parser.parse_known_args()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        names = {k: v for k, v in os.environ.items() if k.startswith(("EASEL_", "HF_", "RUNPOD_"))}
        self.wfile.write(json.dumps({"args": sys.argv[1:], "env": names, "cwd": os.getcwd()}).encode())
    def log_message(self, *_): pass
def bye(*_): raise KeyboardInterrupt
signal.signal(signal.SIGTERM, bye)
try:
    http.server.HTTPServer((args.host, args.port), Handler).serve_forever()
except KeyboardInterrupt:
    print("ended in order", flush=True)
'''

NEXT = '''#!/usr/bin/env node
const at = (name) => process.argv[process.argv.indexOf(name) + 1];
require("http").createServer((request, response) => {
  const known = request.headers.authorization === "Bearer " + process.env.AI_TOOLKIT_AUTH;
  response.writeHead(known ? 200 : 401).end("{}");
}).listen(Number(at("--port")), at("--hostname"));
'''


def git(folder, *args):
    env = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null", GIT_AUTHOR_DATE="2026-01-01T00:00:00Z", GIT_COMMITTER_DATE="2026-01-01T00:00:00Z")
    run = ["git", "-C", str(folder), "-c", "user.name=Test", "-c", "user.email=test@example.org", *args]
    subprocess.run(run, check=True, env=env, stdout=subprocess.DEVNULL)


def commit(name, files, tag=None):
    """One more commit of a repository, which is made when it is not there."""
    folder = ROOT / "git" / name
    if not folder.exists():
        folder.mkdir(parents=True)
        git(folder, "init", "--quiet", "--initial-branch=main")
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--message", tag or "next")
    if tag:
        git(folder, "tag", tag)


def wheel(name, version):
    """A wheel with one empty module, in the index."""
    folder = ROOT / "simple" / name
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"__version__ = '{version}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    links = "".join(f'<a href="{path.name}">{path.name}</a>\n' for path in sorted(folder.glob("*.whl")))
    (folder / "index.html").write_text(f"<!DOCTYPE html><html><body>\n{links}</body></html>\n")


def comfy():
    base = {
        ".gitignore": "/venv/\n/models/*\n/output/\n/input/\n/user/\n/custom_nodes/\n",
        "main.py": SERVER,
        "requirements.txt": "aiohttp==1.0\n",
        "models/checkpoints/put_checkpoints_here": "",
        "output/_output_images_will_be_put_here": "",
        "custom_nodes/example.py": "",
    }
    commit("Comfy-Org/ComfyUI", base, "v0.9.0")
    commit("Comfy-Org/ComfyUI", {"new.py": "1\n", "requirements.txt": "aiohttp==2.0\n"}, "v0.10.0")
    commit("Comfy-Org/ComfyUI", {"requirements.txt": "no-such-package\n"})
    commit("Comfy-Org/ComfyUI-Manager", {"__init__.py": "", "requirements.txt": "managerdep\n"})
    # It would change PyTorch if it could.
    commit("city96/ComfyUI-GGUF", {"__init__.py": "", "requirements.txt": "gguf\ntorch>=1.0\n"})
    commit("rgthree/rgthree-comfy", {"__init__.py": "", "install.py": "open('installed', 'a').write('once\\n')\n"})
    commit("broken/broken-node", {"requirements.txt": "no-such-package\n"})


def ai_toolkit():
    package = {
        "name": "ui",
        "version": "1.0.0",
        "scripts": {
            "build": "node -e \"require('fs').mkdirSync('dist/cron',{recursive:true});require('fs').writeFileSync('dist/cron/worker.js','setInterval(()=>{},1000)')\"",
            # Adds what this version of the program asks of its database, once.
            "update_db": "node -e \"const fs=require('fs'),db='../aitk_db.db',has=fs.existsSync(db)?fs.readFileSync(db,'utf8'):'';has.includes('save_now')||fs.writeFileSync(db,has+'save_now;')\"",
        },
        "dependencies": {"next": "file:fake-next"},
    }
    lock = {
        "name": "ui", "version": "1.0.0", "lockfileVersion": 3,
        "packages": {
            "": {"name": "ui", "version": "1.0.0", "dependencies": {"next": "file:fake-next"}},
            "fake-next": {"name": "next", "version": "1.0.0"},
            "node_modules/next": {"resolved": "fake-next", "link": True},
        },
    }
    commit("ostris/ai-toolkit", {
        ".gitignore": "/venv/\nnode_modules/\n/ui/dist/\n/aitk_db.db\n/output/\n/datasets/\n",
        "requirements.txt": "aiohttp\n",
        "ui/package.json": json.dumps(package),
        "ui/package-lock.json": json.dumps(lock),
        "ui/fake-next/package.json": json.dumps({"name": "next", "version": "1.0.0"}),
        "ui/fake-next/dist/bin/next": NEXT,
    })


def swarm():
    commit("mcmonkeyprojects/SwarmUI", {".gitignore": "bin/\n/Data\n/Output\n/Models\n/dlbackend\n", "src/SwarmUI.csproj": "<Project/>\n"})
    # Builds by writing a server, and runs what it built.
    program = (
        '#!/usr/bin/env bash\nset -euo pipefail\n'
        'if [ "$1" = build ]; then mkdir -p "$6"; cat >"$6/SwarmUI.dll" <<"SERVER"\n' + SERVER + '\nSERVER\n'
        'else exec python3 "$@"; fi\n'
    )
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        entry = tarfile.TarInfo("./dotnet")
        entry.mode, entry.size = 0o755, len(program)
        archive.addfile(entry, io.BytesIO(program.encode()))
    folder = ROOT / "dotnet" / "Sdk" / "8.0.400"
    folder.mkdir(parents=True)
    files = []
    for machine in ["linux-x64", "linux-arm64"]:
        name = f"dotnet-sdk-8.0.400-{machine}.tar.gz"
        (folder / name).write_bytes(data.getvalue())
        url = f"https://builds.dotnet.microsoft.com/dotnet/Sdk/8.0.400/{name}"
        files.append({"name": f"dotnet-sdk-{machine}.tar.gz", "rid": machine, "url": url, "hash": hashlib.sha512(data.getvalue()).hexdigest()})
    meta = ROOT / "dotnet" / "release-metadata" / "8.0"
    meta.mkdir(parents=True)
    (meta / "releases.json").write_text(json.dumps({"releases": [{"sdk": {"version": "8.0.400", "files": files}}]}))


for package in ["torch", "torchvision", "torchaudio", "managerdep", "gguf", "pip", "setuptools", "wheel"]:
    wheel(package, "1.0")
for package in ["torch", "aiohttp"]:
    wheel(package, "2.0")
wheel("aiohttp", "1.0")
comfy()
ai_toolkit()
swarm()
