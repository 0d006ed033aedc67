"""What the double of ComfyUI does behind its API: the queue, the nodes, the pictures, and who is told. It keeps nobody
apart, as ComfyUI does not: ids, folders and messages are everybody's. Knows no HTTP."""

import heapq
import json
import os
import pathlib
import random
import re
import struct
import threading
import time
import uuid
import zlib

import films

# What a run holds of the card, in bytes.
MODEL = int(os.environ.get("COMFY_DOUBLE_HOLDS", "0"))
IMAGES = ["IMAGE"]
INT = ["INT", {"default": 64, "min": 1, "max": 4096}]
FLOAT = ["FLOAT", {}]
PREFIX = ["STRING", {"default": "ComfyUI"}]
NODES = {
    "CreateVideo": ({"images": IMAGES, "fps": FLOAT}, ["VIDEO"], False),
    "CountFiles": ({"directory": ["STRING", {"default": ""}]}, [], True),
    "EmptyImage": ({"width": INT, "height": INT, "batch_size": INT, "color": INT}, IMAGES, False),
    "Steps": ({"images": IMAGES, "steps": INT, "seconds": FLOAT}, IMAGES, False),
    "LoadImage": ({"image": [[], {"image_upload": True}]}, IMAGES, False),
    "PreviewImage": ({"images": IMAGES}, [], True),
    "SaveImage": ({"images": IMAGES, "filename_prefix": PREFIX}, [], True),
    "SaveLatent": ({"samples": IMAGES, "filename_prefix": PREFIX}, [], True),
    "SaveVideo": ({"video": ["VIDEO"], "filename_prefix": PREFIX}, [], True),
    "VHS_VideoCombine": ({"images": IMAGES, "frame_rate": FLOAT, "filename_prefix": PREFIX, "save_output": ["BOOLEAN", {}]}, [], True),
}


def hold(bytes_held):
    """Holds so much memory of the card, or none."""
    folder = os.environ.get("CARD_DOUBLE")
    if not folder:
        return
    file = pathlib.Path(folder, str(os.getpid()))
    if bytes_held:
        file.write_text(str(bytes_held))
    else:
        file.unlink(missing_ok=True)


def png(width, height, color, text):
    """One colour as a PNG, with text chunks as ComfyUI writes them."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    row = b"\0" + color.to_bytes(3, "big") * width
    texts = b"".join(chunk(b"tEXt", key.encode() + b"\0" + value.encode("latin-1")) for key, value in text.items())
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + texts + chunk(b"IDAT", zlib.compress(row * height)) + chunk(b"IEND", b"")


def read_png(data):
    """Size and colour of a picture that `png` made."""
    width, height = struct.unpack(">II", data[16:24])
    at = data.index(b"IDAT")
    length = int.from_bytes(data[at - 4 : at], "big")
    return width, height, int.from_bytes(zlib.decompress(data[at + 4 : at + 4 + length])[1:4], "big"), 1


def problem(kind, message, details=""):
    return {"type": kind, "message": message, "details": details, "extra_info": {}}


class Interrupted(Exception):
    pass


class Studio:
    """The queue, what came of it, and who listens."""

    def __init__(self, folders):
        self.folders = folders
        self.lock = threading.Condition()
        self.pending, self.running, self.history = [], [], {}
        self.listeners, self.flags = {}, {}
        self.number = 0
        self.client = None
        self.interrupted = threading.Event()
        self.suffix = "_temp_" + "".join(random.choice("abcdefghijklmnopqrstupvxyz") for _ in range(5))
        threading.Thread(target=self.work, daemon=True).start()

    def remaining(self):
        return {"exec_info": {"queue_remaining": len(self.pending) + len(self.running)}}

    def say(self, message, client=None):
        """A text or bytes to one client, or to all."""
        with self.lock:
            sockets = [s for name, s in self.listeners.items() if client in (None, name)]
        for socket in sockets:
            socket.say(message)

    def tell(self, kind, data, client=None):
        self.say(json.dumps({"type": kind, "data": data}), client)

    def path(self, name, default="input"):
        """An annotated name's file, as get_annotated_filepath."""
        for kind in ("output", "input", "temp"):
            if name.endswith(f"[{kind}]"):
                return self.folders[kind] / name[: -len(kind) - 3]
        return self.folders[default] / name

    def check(self, prompt):
        if not isinstance(prompt, dict) or not prompt:
            return {"error": problem("no_prompt", "No prompt provided"), "node_errors": {}}
        for id, node in prompt.items():
            kind = node.get("class_type")
            if kind not in NODES:
                message = f"Cannot execute because node {kind} does not exist."
                return {"error": problem("invalid_prompt", message, f"Node ID '#{id}'"), "node_errors": {}}
            inputs = node.get("inputs", {})
            # As validate_inputs: what is sent becomes a number in the prompt itself, and "nan" is one.
            for name, spec in NODES[kind][0].items():
                if spec[0] == "FLOAT" and isinstance(inputs.get(name), str):
                    inputs[name] = float(inputs[name])
            image = inputs.get("image")
            if kind == "LoadImage" and not (isinstance(image, str) and self.path(image).is_file()):
                why = problem("custom_validation_failed", "Custom validation failed for node", f"Invalid image file: {image}")
                error = problem("prompt_outputs_failed_validation", "Prompt outputs failed validation")
                return {"error": error, "node_errors": {id: {"errors": [why], "class_type": kind}}}
        if not any(NODES[node["class_type"]][2] for node in prompt.values()):
            return {"error": problem("prompt_no_outputs", "Prompt has no outputs"), "node_errors": {}}
        return None

    def add(self, body):
        prompt = body.get("prompt")
        wrong = self.check(prompt)
        if wrong:
            return 400, wrong
        id = str(body.get("prompt_id") or uuid.uuid4())
        extra = dict(body.get("extra_data") or {})
        if "client_id" in body:
            extra["client_id"] = body["client_id"]
        with self.lock:
            number = self.number
            if "number" in body:
                number = float(body["number"])
            else:
                number = -number if body.get("front") else number
                self.number += 1
            outputs = [node for node in prompt if NODES[prompt[node]["class_type"]][2]]
            heapq.heappush(self.pending, (number, id, prompt, extra, outputs))
            self.lock.notify()
        self.tell("status", {"status": self.remaining()})
        return 200, {"prompt_id": id, "number": number, "node_errors": {}}

    def work(self):
        while True:
            with self.lock:
                while not self.pending:
                    self.lock.wait()
                entry = heapq.heappop(self.pending)
                self.running = [entry]
                self.interrupted.clear()
                self.client = entry[3].get("client_id")
            hold(MODEL)
            self.run(entry)
            self.tell("status", {"status": self.remaining()})

    def run(self, entry):
        _, id, prompt, extra, _ = entry
        outputs = {}
        # Without a client everybody is told.
        tell = lambda kind, **data: self.tell(kind, {**data, "prompt_id": id}, self.client)
        tell("execution_start", timestamp=int(time.time() * 1000))
        tell("execution_cached", nodes=[], timestamp=int(time.time() * 1000))
        made, status = {}, "success"
        try:
            for node in sorted(prompt, key=lambda node: depth(prompt, node)):
                tell("executing", node=node, display_node=node)
                made[node], shown = self.node(entry, node, made, tell)
                if shown:
                    outputs[node] = shown
                    tell("executed", node=node, display_node=node, output=shown)
            tell("execution_success", timestamp=int(time.time() * 1000))
        except Interrupted:
            status = "error"
            tell("execution_interrupted", node_id=node, node_type=prompt[node]["class_type"], executed=list(made))
        except Exception as error:  # as ComfyUI: whatever a node does wrong is told, and the next prompt runs
            status = "error"
            tell("execution_error", node_id=node, exception_message=str(error), exception_type=type(error).__name__)
        with self.lock:
            told = {"status_str": status, "completed": status == "success", "messages": []}
            # At once, as task_done.
            self.running = []
            self.history[id] = {"prompt": entry, "outputs": outputs, "status": told, "meta": {}}
        if self.client is not None:
            tell("executing", node=None)

    def node(self, entry, id, made, tell):
        """What a node makes, and what it shows."""
        prompt = entry[2]
        inputs, kind = prompt[id]["inputs"], prompt[id]["class_type"]
        if kind == "EmptyImage":
            return (inputs["width"], inputs["height"], inputs.get("color", 0), inputs.get("batch_size", 1)), None
        if kind == "CountFiles":
            folder = self.folders["output"].parent / inputs["directory"]
            return None, {"text": sorted(file.name for file in folder.rglob("*"))}
        if kind == "LoadImage":
            return read_png(self.path(inputs["image"]).read_bytes()), None
        if kind == "CreateVideo":
            return made[inputs["images"][0]], None
        text = {"prompt": json.dumps(prompt)}
        text.update((key, json.dumps(value)) for key, value in (entry[3].get("extra_pnginfo") or {}).items())
        if kind == "SaveLatent":
            return None, {"latents": [self.save(b"no picture", inputs, "_.latent")]}
        if kind == "SaveVideo":
            return None, {"images": [self.save(films.mp4(text), inputs, "_.mp4")], "animated": [True]}
        picture = made[inputs["images"][0]]
        if kind == "Steps":
            self.steps(picture, inputs, id, tell)
            return picture, None
        width, height, color, batch = picture
        if kind == "VHS_VideoCombine":
            return None, {"gifs": [self.combine(png(width, height, color, text), films.webm(text), inputs)]}
        save = self.preview if kind == "PreviewImage" else self.save
        return None, {"images": [save(png(width, height, color, text), inputs) for _ in range(batch)]}

    def steps(self, picture, inputs, id, tell):
        """Steps with their progress, each with a preview."""
        steps = inputs["steps"]
        jpeg = b"\xff\xd8" + picture[2].to_bytes(3, "big")
        for step in range(1, steps + 1):
            if self.interrupted.wait(inputs.get("seconds", 0) / steps):
                raise Interrupted
            tell("progress", value=step, max=steps, node=id)
            tell("progress_state", nodes={id: {"value": step, "max": steps, "state": "running", "node_id": id}})
            self.say(struct.pack(">II", 1, 1) + jpeg, self.client)

    def preview(self, picture, inputs):
        return self.write("temp", "ComfyUI" + self.suffix, picture)

    def save(self, file, inputs, end="_.png"):
        return self.write("output", inputs.get("filename_prefix", "ComfyUI"), file, end)

    def combine(self, picture, film, inputs):
        """As VideoHelperSuite: the first frame beside the video, to keep the workflow, and where in the machine that lies."""
        kind = "output" if inputs.get("save_output", True) else "temp"
        still = self.write(kind, inputs.get("filename_prefix", "AnimateDiff"), picture, ".png")
        name = still["filename"].removesuffix("png") + "webm"
        file = self.folders[kind] / still["subfolder"] / name
        file.write_bytes(film)
        more = {"format": "video/webm", "frame_rate": inputs["frame_rate"], "workflow": still["filename"], "fullpath": str(file)}
        return {**still, "filename": name, **more}

    def write(self, kind, prefix, picture, end="_.png"):
        """As get_save_image_path."""
        folder = self.folders[kind]
        prefix = os.path.normpath(prefix)
        subfolder, name = os.path.dirname(prefix), os.path.basename(prefix)
        into = os.path.abspath(folder / subfolder)
        if os.path.commonpath((os.path.abspath(folder), into)) != os.path.abspath(folder):
            raise ValueError("Saving image outside the output folder is not allowed.")
        os.makedirs(into, exist_ok=True)
        number = re.compile(re.escape(name) + r"_(\d+)[_.]")
        numbers = [int(found[1]) for found in map(number.match, os.listdir(into)) if found]
        name = f"{name}_{max(numbers, default=0) + 1:05}{end}"
        pathlib.Path(into, name).write_bytes(picture)
        return {"filename": name, "subfolder": subfolder, "type": kind}

    def edit_queue(self, asked):
        gone = set(asked.get("delete", []))
        with self.lock:
            self.pending = [] if asked.get("clear") else [e for e in self.pending if e[1] not in gone]
            heapq.heapify(self.pending)
        self.tell("status", {"status": self.remaining()})

    def edit_history(self, asked):
        gone = set(asked.get("delete", []))
        with self.lock:
            self.history = {} if asked.get("clear") else {k: v for k, v in self.history.items() if k not in gone}

    def interrupt(self, id):
        """The prompt of this id, or whatever runs."""
        with self.lock:
            if not id or any(entry[1] == id for entry in self.running):
                self.interrupted.set()

    def some_history(self, most, offset):
        with self.lock:
            all = list(self.history.items())
        if most is None:
            return dict(all)
        start = len(all) - most if offset < 0 else offset
        return dict(all[max(start, 0) :][:most])

    def info(self, name):
        """A node as /object_info tells it, with the files of the input folder to choose from."""
        required, output, is_output = NODES[name]
        if name == "LoadImage":
            files = sorted(file.name for file in self.folders["input"].iterdir() if file.is_file())
            required = {"image": [files, {"image_upload": True}]}
        told = {"input": {"required": required}, "output": output, "name": name, "display_name": name}
        return {**told, "output_node": is_output}


def depth(prompt, id, seen=()):
    """How many nodes stand before this one; a circle is an error."""
    if id in seen:
        raise ValueError("the graph has a circle")
    links = [v[0] for v in prompt[id].get("inputs", {}).values() if isinstance(v, list)]
    return 1 + max((depth(prompt, link, (*seen, id)) for link in links), default=0)
