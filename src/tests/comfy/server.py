"""A program that speaks ComfyUI's API and makes plain pictures, for tests and for trying a gate without ComfyUI:

    python3 src/tests/comfy/server.py --listen 127.0.0.1 --port 8188 --output-directory /tmp/out

It knows the nodes CountFiles, CreateVideo, EmptyImage, LoadImage, PreviewImage, SaveImage, SaveLatent, SaveVideo, Steps (passes
pictures on after so many steps) and VHS_VideoCombine; every video is the same one. With --multi-user it keeps settings and user data for each user, as ComfyUI does; everything else is everybody's. Where the
variable CARD_DOUBLE names a folder, it holds memory of the card there, in a file of its process's number, as a run that loads
a model does, and gives it back when POST /free says so.
"""

import argparse
import base64
import hashlib
import json
import os
import pathlib
import re
import struct
import sys
import threading
import urllib.parse
import uuid
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from studio import NODES, Studio, hold

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def is_foreign(headers):
    """As ComfyUI's middleware: whoever asks a server on loopback from another origin is turned away."""
    host, origin = headers.get("Host"), headers.get("Origin")
    if not host or not origin:
        return False
    here, there = urllib.parse.urlsplit(f"//{host.lower()}"), urllib.parse.urlsplit(origin.lower())
    if here.hostname not in ("127.0.0.1", "localhost", "::1"):
        return False
    return (here.hostname if there.port is None else host.lower()) != there.netloc


class Socket:
    """The server's side of a WebSocket: says texts, hears the end."""

    def __init__(self, handler):
        self.handler = handler
        self.lock = threading.Lock()

    def say(self, message):
        """A text, or bytes."""
        body = message.encode() if isinstance(message, str) else message
        head = bytes([0x81 if isinstance(message, str) else 0x82])
        if len(body) < 126:
            head += bytes([len(body)])
        else:
            head += struct.pack(">BH", 126, len(body)) if len(body) < 65536 else struct.pack(">BQ", 127, len(body))
        with self.lock:
            try:
                self.handler.wfile.write(head + body)
                self.handler.wfile.flush()
            except OSError:
                pass

    def listen(self):
        """Until the other side closes or is gone."""
        read, first = self.handler.rfile.read, True
        while head := read(2):
            length = head[1] & 0x7F
            if length >= 126:
                length = int.from_bytes(read(2 if length == 126 else 8), "big")
            mask = read(4)
            body = bytes(b ^ mask[i % 4] for i, b in enumerate(read(length)))
            if head[0] & 0x0F == 8:
                return
            if head[0] & 0x0F == 9:
                with self.lock:
                    self.handler.wfile.write(bytes([0x8A, len(body)]) + body)
            if head[0] & 0x0F == 1:
                if first and json.loads(body).get("type") == "feature_flags":
                    features = {"supports_preview_metadata": True, "max_upload_size": 104857600}
                    self.say(json.dumps({"type": "feature_flags", "data": features}))
                first = False


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", kind="application/json"):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def where(self):
        """Path without /api, in segments, and the query."""
        url = urllib.parse.urlsplit(self.path)
        path = [urllib.parse.unquote(segment) for segment in url.path.removeprefix("/api").split("/")[1:]]
        # aiohttp takes the first of two.
        return path, {k: v[0] for k, v in urllib.parse.parse_qs(url.query, keep_blank_values=True).items()}

    def do_GET(self):
        if is_foreign(self.headers):
            return self.answer(403)
        path, query = self.where()
        studio = self.server.studio
        match path:
            case [""]:
                return self.answer(200, b"<!doctype html><link rel=icon href=data:,><title>ComfyUI</title><h1>ComfyUI's double</h1>", "text/html")
            case ["ws"]:
                return self.listen(query.get("clientId") or uuid.uuid4().hex)
            case ["view"]:
                return self.view(query)
            case ["system_stats"]:
                system = {"os": "posix", "comfyui_version": "double", "argv": sys.argv}
                return self.answer(200, {"system": system, "devices": []})
            case ["prompt"]:
                return self.answer(200, studio.remaining())
            case ["queue"]:
                with studio.lock:
                    return self.answer(200, {"queue_running": studio.running, "queue_pending": studio.pending})
            case ["object_info", *names]:
                return self.answer(200, {n: studio.info(n) for n in NODES if names in ([], [n])})
            case ["history"]:
                most, offset = query.get("max_items"), int(query.get("offset", -1))
                return self.answer(200, studio.some_history(None if most is None else int(most), offset))
            case ["history", id]:
                return self.answer(200, {k: v for k, v in studio.history.items() if k == id})
            case ["features"]:
                return self.answer(200, {"supports_preview_metadata": True})
            case ["embeddings" | "extensions"]:
                return self.answer(200, [])
            case ["models"]:
                return self.answer(200, ["checkpoints", "loras"])
            case ["experiment", "models"]:
                return self.answer(200, [{"name": "loras", "folders": [str(pathlib.Path.cwd() / "loras")]}])
            case ["models", _] | ["experiment", "models", _]:
                return self.answer(200, ["a.safetensors"])
            case ["users"] | ["userdata", *_] | ["settings", *_]:
                return self.users.get(path, query)
            case ["internal", "files", kind] if kind in studio.folders:
                return self.answer(200, sorted(f.name for f in studio.folders[kind].iterdir() if f.is_file()))
            case ["internal", "logs"] | ["manager", "version" | "notice"]:
                return self.answer(200, "of everybody")
        self.answer(404)

    def do_POST(self):
        body = self.body()
        if is_foreign(self.headers):
            return self.answer(403)
        path, query = self.where()
        studio = self.server.studio
        if path[0] == "upload" and path[1:] in (["image"], ["mask"]):
            return self.upload(body, path[1] == "mask")
        if path[0] == "userdata":
            return self.users.put(path, query, body)
        try:
            asked = json.loads(body or b"{}")
        except ValueError:
            return self.answer(400)
        match path:
            case ["prompt"]:
                return self.answer(*studio.add(asked))
            case ["interrupt"]:
                studio.interrupt(asked.get("prompt_id"))
            case ["free"]:
                # One that clings to its memory, for who wants to see what comes of that.
                if asked.get("unload_models") and not os.path.exists(os.path.join(os.environ.get("EASEL_TOOL_DIR", "."), "cling")):
                    hold(0)
            case ["queue"]:
                studio.edit_queue(asked)
            case ["history"]:
                studio.edit_history(asked)
            case ["users"] | ["settings", *_]:
                return self.users.post(path, asked)
            case ["manager", *_]:
                return self.answer(200, "of everybody")
            case _:
                return self.answer(404)
        self.answer(200)

    def do_DELETE(self):
        path, _ = self.where()
        return self.users.delete(path) if path[0] == "userdata" else self.answer(404)

    @property
    def users(self):
        return Users(self)

    def annotated(self, name):
        """A name without its annotation, and the folder that it names."""
        for kind in ("output", "input", "temp"):
            if name.endswith(f"[{kind}]"):
                return name[: -len(kind) - 3], kind
        return name, None

    def file(self, kind, subfolder, name):
        """A file of one of the folders, or None where the name leads out of it, as ComfyUI looks at it."""
        name, said = self.annotated(name)
        root = self.server.studio.folders.get(said or kind)
        if root is None or not name or name[0] == "/" or ".." in name:
            return None
        root = os.path.abspath(root)
        folder = os.path.abspath(os.path.join(root, subfolder))
        return pathlib.Path(folder, name) if os.path.commonpath((root, folder)) == root else None

    def view(self, query):
        file = self.file(query.get("type", "output"), query.get("subfolder", ""), query.get("filename", ""))
        if file is None:
            return self.answer(400)
        file = file.parent / file.name
        if not file.is_file():
            return self.answer(404)
        self.answer(200, file.read_bytes(), "image/png" if file.suffix == ".png" else "application/octet-stream")

    def upload(self, body, mask):
        head = f"Content-Type: {self.headers.get('Content-Type')}\r\n\r\n".encode()
        parts = {}
        for part in BytesParser(policy=HTTP).parsebytes(head + body).iter_parts():
            parts.setdefault(part.get_param("name", header="content-disposition"), part)
        image = parts.get("image")
        text = lambda name, default: parts[name].get_payload(decode=True).decode().strip() if name in parts else default
        kind, subfolder, name = text("type", "input"), text("subfolder", ""), image.get_filename() if image else ""
        root = self.server.studio.folders.get(kind)
        if root is None or not name:
            return self.answer(400)
        root = os.path.abspath(root)
        file = pathlib.Path(os.path.abspath(os.path.join(root, os.path.normpath(subfolder), name)))
        if os.path.commonpath((root, file)) != root:
            return self.answer(400)
        data = image.get_payload(decode=True)
        if mask:
            of = json.loads(text("original_ref", "{}"))
            original = self.file(of.get("type", "output"), of.get("subfolder", ""), of["filename"])
            if original is None or not original.is_file():
                return self.answer(400)
            data = original.read_bytes()
        file.parent.mkdir(parents=True, exist_ok=True)
        stem, n = file.stem, 1
        while file.exists() and text("overwrite", "false") not in ("true", "1"):
            if file.read_bytes() == data:
                break
            file, n = file.with_name(f"{stem} ({n}){file.suffix}"), n + 1
        file.write_bytes(data)
        self.answer(200, {"name": file.name, "subfolder": subfolder, "type": kind})

    def listen(self, client):
        accept = base64.b64encode(hashlib.sha1(self.headers["Sec-WebSocket-Key"].encode() + MAGIC).digest()).decode()
        self.send_response(101)
        for name, value in (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)):
            self.send_header(name, value)
        self.end_headers()
        studio, socket = self.server.studio, Socket(self)
        with studio.lock:
            studio.listeners[client] = socket
        socket.say(json.dumps({"type": "status", "data": {"status": studio.remaining(), "sid": client}}))
        try:
            socket.listen()
        finally:
            with studio.lock:
                if studio.listeners.get(client) is socket:
                    del studio.listeners[client]
            self.close_connection = True


class Users:
    """Settings and user data, of the user whom the header names."""

    def __init__(self, handler):
        self.handler, self.answer = handler, handler.answer
        self.root = pathlib.Path(os.path.abspath(handler.server.studio.folders["user"]))
        self.many = handler.server.many

    def all(self):
        file = self.root / "users.json"
        return json.loads(file.read_text()) if file.is_file() else {}

    def path(self, name):
        """A file of the user's, or None: no such user, or a name that leads out."""
        user = self.handler.headers.get("Comfy-User", "default") if self.many else "default"
        if self.many and user not in self.all():
            return None
        root = self.root / user
        file = os.path.abspath(root / urllib.parse.unquote(name))
        return pathlib.Path(file) if os.path.commonpath((root, file)) == str(root) else None

    def settings(self):
        file = self.path("comfy.settings.json")
        return (file, json.loads(file.read_text()) if file.is_file() else {}) if file else (None, None)

    def get(self, path, query):
        if path == ["users"]:
            shown = {"users": self.all()} if self.many else {"migrated": True}
            return self.answer(200, {"storage": "server", **shown})
        if path[0] == "settings":
            file, settings = self.settings()
            if file is None:
                return self.answer(500)
            return self.answer(200, settings.get(path[1]) if path[1:] else settings)
        file = self.path(path[1] if path[1:] else query.get("dir", ""))
        if file is None:
            return self.answer(403)
        if path[1:]:
            return self.answer(200, file.read_bytes(), "application/octet-stream") if file.is_file() else self.answer(404)
        found = file.rglob("*") if query.get("recurse") == "true" else file.glob("*")
        return self.answer(200, [str(f.relative_to(file)) for f in found if f.is_file()]) if file.is_dir() else self.answer(404)

    def put(self, path, query, body):
        file = self.path(path[1])
        if file is None:
            return self.answer(403)
        if path[2:3] == ["move"]:
            to = self.path(path[3])
            if to is None or not file.is_file():
                return self.answer(403 if to is None else 404)
            to.parent.mkdir(parents=True, exist_ok=True)
            file.rename(to)
            return self.answer(200, path[3])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
        self.answer(200, path[1])

    def post(self, path, asked):
        if path == ["users"]:
            with self.handler.server.studio.lock:
                users = self.all()
                if asked["username"] in users.values():
                    return self.answer(400, {"error": "Duplicate username."})
                id = re.sub("[^a-zA-Z0-9-_]+", "-", asked["username"]) + "_" + str(uuid.uuid4())
                (self.root / "users.json").write_text(json.dumps({**users, id: asked["username"]}))
            return self.answer(200, id)
        file, settings = self.settings()
        if file is None:
            return self.answer(500)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({**settings, **({path[1]: asked} if path[1:] else asked)}))
        self.answer(200)

    def delete(self, path):
        file = self.path(path[1])
        if file is None or not file.is_file():
            return self.answer(403 if file is None else 404)
        file.unlink()
        self.answer(204)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8188)
    parser.add_argument("--multi-user", action="store_true")
    for name in ("output", "input", "temp", "user"):
        parser.add_argument(f"--{name}-directory", type=pathlib.Path, default=pathlib.Path(name))
    # What ComfyUI takes besides is taken and left.
    arguments, _ = parser.parse_known_args()
    folders = {name: getattr(arguments, f"{name}_directory") for name in ("output", "input", "temp", "user")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    server = ThreadingHTTPServer((arguments.listen, arguments.port), Handler)
    server.studio, server.many = Studio(folders), arguments.multi_user
    print(f"To see the GUI go to: http://{arguments.listen}:{arguments.port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print("Stopped server", flush=True)
    finally:
        hold(0)


if __name__ == "__main__":
    main()
