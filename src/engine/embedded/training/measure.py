"""Reads a picture's attributes from its pixels, and scores the model by them.

    python measure.py fit DATA WEIGHTS                   learns to read the generator's own pictures
    python measure.py check WEIGHTS [VAE]                scores generated pictures, shuffled captions and copies
    python measure.py model WEIGHTS MODEL --prompts 200  scores an exported model on held-out prompts

The reader is a small convolutional net. Things, sun and moon are found as peaks of a map and then counted and placed;
the rest (time, sky, ground, colour, weather) is one choice each.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from captions import held_out_prompts
from generator import paint, sheet
from scenes import COLOURS, GROUNDS, SIDES, SKIES, TIMES, WEATHERS, draw_scene

CHOICES = {"time": TIMES, "sky": SKIES, "ground": GROUNDS, "colour": COLOURS, "weather": WEATHERS}
FOUND = ["house", "tree", "boat", "sun", "moon"]
CELL = 8  # picture pixels a cell of the map
PEAK = 0.5


class Reader(nn.Module):
    """256x256 pictures to choices and a 32x32 map of each kind of thing."""

    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(3, 24, 3, 2, 1)
        self.c2 = nn.Conv2d(24, 32, 3, 2, 1)
        self.c3 = nn.Conv2d(32, 48, 3, 1, 1)
        self.c4 = nn.Conv2d(48, 48, 3, 1, 1)
        self.c5 = nn.Conv2d(48, 48, 3, 1, 2, 2)
        self.map = nn.Conv2d(48, len(FOUND), 1)
        self.c6 = nn.Conv2d(48, 64, 3, 2, 1)
        self.hidden = nn.Linear(64 * 8 * 3, 96)
        self.choice = nn.Linear(96, sum(map(len, CHOICES.values())))

    def forward(self, pictures):
        x = F.avg_pool2d(pictures, 2)
        x = F.relu(self.c2(F.relu(self.c1(x))))  # now a pixel is a cell of the map
        x = F.relu(self.c3(x))
        x = x + F.relu(self.c5(F.relu(self.c4(x))))
        wide = F.relu(self.c6(x))
        means, most = F.adaptive_avg_pool2d(wide, (8, 2)), F.adaptive_max_pool2d(wide, (8, 1))
        rows = torch.cat([means, most], 3).flatten(1)
        return self.choice(F.relu(self.hidden(rows))), self.map(x)


def read(reader, pictures):
    """Attributes of uint8 pictures, as scenes are described; a number of three or more reads 3."""
    out = []
    with torch.no_grad():
        for part in np.array_split(pictures, max(1, len(pictures) // 64)):
            x = torch.from_numpy(np.ascontiguousarray(part)).permute(0, 3, 1, 2).float() / 127.5 - 1
            choice, maps = reader(x)
            maps = maps.sigmoid()
            peaks = (maps == F.max_pool2d(maps, 5, 1, 2)) & (maps > PEAK)
            choices = choice.split([len(v) for v in CHOICES.values()], 1)
            for k in range(len(part)):
                seen = {name: values[c[k].argmax()] for (name, values), c in zip(CHOICES.items(), choices)}
                sky_best = maps[k, 3:].flatten(1).max(1)
                seen["body"], seen["side"] = "none", "none"
                if sky_best.values.max() > PEAK:
                    which = int(sky_best.values.argmax())
                    column = int(sky_best.indices[which]) % maps.shape[-1]
                    seen["body"] = FOUND[3 + which]
                    seen["side"] = SIDES[min(2, int(3 * (column + 0.5) / maps.shape[-1]))]
                counts = [int(peaks[k, j].sum()) for j in range(3)]
                strongest = max(range(3), key=lambda j: (counts[j] > 0, float(maps[k, j].max())))
                seen["thing"] = FOUND[strongest] if counts[strongest] else "none"
                seen["number"] = min(3, counts[strongest])
                out.append(seen)
    return out


def score(seen, scenes):
    """Share of right answers. Sides count where there is a sun or moon, numbers where there are things."""
    right = {name: [] for name in [*CHOICES, "body", "side", "thing", "number"]}
    for got, scene in zip(seen, scenes):
        for name in [*CHOICES, "body", "thing"]:
            right[name].append(got[name] == getattr(scene, name))
        if scene.body != "none":
            right["side"].append(got["side"] == scene.side)
        if scene.thing != "none":
            right["number"].append(got["thing"] == scene.thing and got["number"] == min(3, scene.number))
    every = [r for rs in right.values() for r in rs]
    return {name: float(np.mean(rs)) for name, rs in right.items()} | {"all": float(np.mean(every))}


def show(title, scores):
    print(f"{title}: " + ", ".join(f"{k} {100 * v:.1f}" for k, v in scores.items()), flush=True)


def _targets(labels):
    maps = np.zeros((len(labels), len(FOUND), 32, 32), np.float32)
    grid_y, grid_x = np.mgrid[0:32, 0:32] * CELL + CELL / 2
    for k, label in enumerate(labels):
        spots = [(FOUND.index(label["thing"]), x, y - 26 * s) for x, y, s in label["things"]]
        if label["place"]:
            spots.append((FOUND.index(label["body"]), *label["place"]))
        for kind, x, y in spots:
            bump = np.exp(-((grid_x - x) ** 2 + (grid_y - y) ** 2) / (2 * 9.0**2))
            np.maximum(maps[k, kind], bump, out=maps[k, kind])
    choice = np.stack([[values.index(label[name]) for name, values in CHOICES.items()] for label in labels])
    return torch.from_numpy(maps), torch.from_numpy(choice)


def _spoil(x, rng):
    """Blurs, tints, roughens and washes out pictures a little, so that the reader does not lean on perfect pixels."""
    kind = rng.integers(5)
    if kind == 1:
        x = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="bilinear")
    elif kind == 2:
        x = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    elif kind == 3:
        # What stands pale before its surroundings, as a model paints it that is not sure, is there all the same.
        around = F.interpolate(F.avg_pool2d(x, 32), scale_factor=32, mode="bilinear")
        x = around + rng.uniform(0.5, 1) * (x - around)
    x = x * torch.empty(len(x), 3, 1, 1).uniform_(0.95, 1.05) + torch.empty(len(x), 3, 1, 1).uniform_(-0.04, 0.04)
    return x + rng.uniform(0, 0.06) * torch.randn_like(x)


def fit(data, weights, rounds, start_from, threads):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    pictures = np.load(Path(data) / "pictures.npy", mmap_mode="r")
    labels = json.loads((Path(data) / "labels.json").read_text())
    maps, choice = _targets(labels)
    reader = Reader().to(memory_format=torch.channels_last)
    if start_from:
        known, fresh = load_file(start_from), reader.state_dict()
        reader.load_state_dict({k: known[k].float() if known[k].shape == v.shape else v for k, v in fresh.items()})
    optimiser = torch.optim.AdamW(reader.parameters(), lr=2e-3, weight_decay=0.01)
    rng = np.random.default_rng(0)
    start = time.time()
    for step in range(rounds):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 50) * min(1, 2 * (1 - step / rounds))
        at = np.sort(rng.integers(0, len(pictures), 32))
        x = torch.from_numpy(pictures[at]).permute(0, 3, 1, 2).float() / 127.5 - 1
        guess, found = reader(_spoil(x, rng))
        weight = 1 + 12 * maps[at]
        loss = 4 * F.binary_cross_entropy_with_logits(found, maps[at], weight=weight)
        for part, wanted in zip(guess.split([len(v) for v in CHOICES.values()], 1), choice[at].T):
            loss = loss + 0.3 * F.cross_entropy(part, wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 100 == 99:
            print(f"step {step}, {time.time() - start:.0f} s, loss {loss.item():.3f}", flush=True)
    save_file({k: v.half().contiguous() for k, v in reader.state_dict().items()}, weights)


def load(weights):
    reader = Reader()
    reader.load_state_dict({k: v.float() for k, v in load_file(weights).items()})
    return reader.eval().to(memory_format=torch.channels_last)


def check(weights, vae, count):
    reader = load(weights)
    rng = np.random.default_rng(99)
    scenes = [draw_scene(rng, held=i % 2 == 0) for i in range(count)]
    pictures = np.stack([paint(scene, rng)[0] for scene in scenes])
    seen = read(reader, pictures)
    show("generator's own pictures", score(seen, scenes))
    show("shuffled captions", score(seen, [scenes[i] for i in rng.permutation(count)]))
    if vae:
        from diffusers import AutoencoderKL

        from vae import decibels, mean_of_posterior, to_tensor

        vae = AutoencoderKL.from_pretrained(vae, torch_dtype=torch.float32).to(memory_format=torch.channels_last)
        copies, quality = [], []
        with torch.no_grad():
            for i in range(0, count, 16):
                x = to_tensor(pictures[i : i + 16])
                y = vae.decoder(vae.post_quant_conv(mean_of_posterior(vae, x)))
                quality.append(decibels(y, x))
                copies.append(((y.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy())
        show(f"the codec's copies ({np.mean(quality):.2f} dB)", score(read(reader, np.concatenate(copies)), scenes))


def render(model, prompts, steps, guidance, batch=16, seed=0):
    """Pictures of the prompts by the real pipeline; each has its own seed, so that batches do not matter."""
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(model, torch_dtype=torch.float32, safety_checker=None)
    pipe.unet.to(memory_format=torch.channels_last)
    pipe.vae.to(memory_format=torch.channels_last)
    pipe.set_progress_bar_config(disable=True)
    pictures = []
    for i in range(0, len(prompts), batch):
        part = prompts[i : i + batch]
        draws = [torch.Generator().manual_seed(seed + i + k) for k in range(len(part))]
        pictures.append(
            pipe(
                part,
                num_inference_steps=steps,
                guidance_scale=guidance,
                height=256,
                width=256,
                generator=draws,
                output_type="np",
            ).images
        )
    return (np.concatenate(pictures) * 255).round().astype(np.uint8)


def score_model(args):
    torch.set_num_threads(args.threads)
    reader = load(args.weights)
    scenes, prompts = held_out_prompts(args.prompts)
    start = time.time()
    pictures = render(args.model, prompts, args.steps, args.guidance)
    took = (time.time() - start) / len(prompts)
    seen = read(reader, pictures)
    show(
        f"{len(prompts)} held-out prompts, {args.steps} steps, guidance {args.guidance}, {took:.2f} s a picture",
        score(seen, scenes),
    )
    rng = np.random.default_rng(1)
    show("the same with shuffled captions", score(seen, [scenes[i] for i in rng.permutation(len(scenes))]))
    for name in ("weather", "thing", "ground"):
        values = sorted({getattr(s, name) for s in scenes})
        shares = {v: np.mean([g[name] == v for g, s in zip(seen, scenes) if getattr(s, name) == v]) for v in values}
        print(f"  {name}: " + ", ".join(f"{v} {100 * share:.0f}" for v, share in shares.items()))
    for n in (1, 2, 3):
        hits = [
            g["thing"] == s.thing and g["number"] == n
            for g, s in zip(seen, scenes)
            if s.thing != "none" and min(3, s.number) == n
        ]
        print(f"  number {n}{'+' if n == 3 else ''}: {100 * np.mean(hits):.0f} of {len(hits)}")
    if args.sheet:
        from PIL import Image

        Image.fromarray(sheet(list(pictures[:32]), 8)).save(args.sheet)
    for scene, prompt, got in zip(scenes, prompts, seen):
        wrong = {k: got[k] for k in got if got[k] != (min(3, scene.number) if k == "number" else getattr(scene, k))}
        if args.verbose and wrong:
            print("  wrong:", prompt, "->", wrong)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["fit", "check", "model"])
    parser.add_argument("first")
    parser.add_argument("second", nargs="?")
    parser.add_argument("--rounds", type=int, default=1500, help="batches to fit by")
    parser.add_argument("--start", help="fits on from these weights")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompts", type=int, default=200, help="how many prompts, or pictures to check by")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=2.5)
    parser.add_argument("--sheet", help="saves the first 32 pictures here")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    if args.what == "fit":
        fit(args.first, args.second, args.rounds, args.start, args.threads)
    elif args.what == "check":
        torch.set_num_threads(args.threads)
        check(args.first, args.second, args.prompts)
    else:
        args.weights, args.model = args.first, args.second
        score_model(args)
