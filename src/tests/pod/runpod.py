#!/usr/bin/env python3
"""Stands in for RunPod's REST interface (version 2), as far as a pod asks about itself: what it is, and to be stopped.

    python3 runpod.py --port 0 --pod POD --key KEY [--cost 0.44] [--weather ok|locked|busy|down]

It prints the address that it listens on. `GET /weather/locked` changes the weather; `GET /asked` lists what was asked.
Nothing is stopped. Easel is pointed to it by `runpod_api` in easel.toml.
"""

import argparse
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--port", type=int, default=8099)
parser.add_argument("--pod", required=True)
parser.add_argument("--key", required=True)
parser.add_argument("--cost", type=float, default=0.44)
parser.add_argument("--weather", default="ok", choices=["ok", "locked", "busy", "down"])
args = parser.parse_args()

lock = threading.Lock()
state = {"status": "RUNNING", "weather": args.weather, "asked": []}


def pod():
    running = state["status"] == "RUNNING"
    return {
        "id": args.pod,
        "name": "studio",
        "status": state["status"],
        "actions": ["stop", "restart", "terminate"] if running else ["start", "terminate"],
        "image": "easel",
        "disk": 20,
        "mounts": {"network": [{"volumeId": "vol1", "path": "/workspace"}]},
        "ports": ["8080/http"],
        "gpu": {"id": "NVIDIA RTX A5000", "count": 1},
        "cloud": "SECURE",
        "cost": args.cost,
        "createdAt": "2026-11-20T10:00:00Z",
        "startedAt": "2026-11-27T08:00:00Z",
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="application/json"):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if status == 429:
            self.send_header("Retry-After", "30")
        self.end_headers()
        self.wfile.write(data)

    def problem(self, status, title, detail):
        self.answer(status, {"title": title, "status": status, "detail": detail, "errors": []}, "application/problem+json")

    def refused(self):
        """Answers what every request meets before it is looked at; whether it was answered."""
        if self.headers.get("Authorization") != f"Bearer {args.key}":
            self.problem(401, "Unauthorized", "The API key is missing or wrong.")
        elif state["weather"] == "down":
            self.problem(502, "Bad Gateway", "")
        elif state["weather"] == "busy":
            self.problem(429, "Too Many Requests", "Slow down.")
        elif not self.path.startswith(f"/pods/{args.pod}"):
            self.problem(404, "Not Found", "There is no such pod.")
        else:
            return False
        return True

    def do_GET(self):
        with lock:
            if self.path.startswith("/weather/"):
                state["weather"] = self.path.rsplit("/", 1)[1]
                return self.answer(200, {})
            if self.path == "/asked":
                return self.answer(200, {"status": state["status"], "asked": state["asked"]})
            state["asked"].append("GET " + self.path)
            if not self.refused():
                self.answer(200, pod())

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with lock:
            state["asked"].append(f"POST {self.path} {body.decode(errors='replace')}")
            if self.refused():
                return
            action = json.loads(body or b"{}").get("action")
            if self.path != f"/pods/{args.pod}/action" or action not in ("start", "stop", "restart", "terminate"):
                return self.problem(422, "Unprocessable Entity", "There is no such action.")
            if state["weather"] == "locked" or action not in pod()["actions"]:
                return self.problem(409, "Conflict", "The pod is locked." if state["weather"] == "locked" else "Wrong state.")
            if action == "stop":
                state["status"] = "EXITED"
            self.answer(200, pod())


server = ThreadingHTTPServer(("127.0.0.1", args.port), Handler)
print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
server.serve_forever()
