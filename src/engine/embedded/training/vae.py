"""Trains the picture codec: an AutoencoderKL of factor 8 with 4 channels, on crops, with two processes.

python vae.py DATA OUT --minutes 60            from nothing
python vae.py DATA OUT --start FOLDER          goes on from saved weights
python vae.py DATA OUT --start FOLDER --decoder-only --muon 0.006 --adam 5e-4    tunes the decoder alone
python vae.py DATA OUT --start FOLDER --decoder-only --sharpen 0.02              and against a small critic
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from optimiser import MuonAdam
from together import average_gradients, join, launch, leave

CHANNELS = (16, 32, 64, 96)
CONFIG = dict(
    in_channels=3,
    out_channels=3,
    latent_channels=4,
    sample_size=256,
    block_out_channels=CHANNELS,
    layers_per_block=1,
    down_block_types=["DownEncoderBlock2D"] * 4,
    up_block_types=["UpDecoderBlock2D"] * 4,
    norm_num_groups=8,
    mid_block_add_attention=False,
    scaling_factor=1.0,
)
NOISE = 0.07  # on latents of deviation 1, so that the decoder forgives the denoiser small errors
HELD_BACK = 64  # pictures that training leaves out, to measure by


class Crops:
    """Random crops; half of them look at a thing, a sun or a moon."""

    def __init__(self, folder, size, rng):
        self.pictures = np.load(Path(folder) / "pictures.npy", mmap_mode="r")
        self.labels = json.loads((Path(folder) / "labels.json").read_text())
        self.size, self.rng = size, rng

    def batch(self, count):
        out = np.empty((count, self.size, self.size, 3), np.uint8)
        limit = (256 - self.size) // 8
        for k in range(count):
            i = int(self.rng.integers(HELD_BACK, len(self.pictures)))
            y, x = (int(v) * 8 for v in self.rng.integers(0, limit + 1, 2))
            spots = [(px, py - 30) for px, py, _ in self.labels[i]["things"]]
            if self.labels[i]["place"]:
                spots.append(tuple(self.labels[i]["place"]))
            if spots and self.rng.random() < 0.5:
                px, py = spots[self.rng.integers(len(spots))]
                y, x = (
                    int(np.clip((p - self.size / 2 + self.rng.uniform(-20, 20)) // 8, 0, limit)) * 8 for p in (py, px)
                )
            out[k] = self.pictures[i, y : y + self.size, x : x + self.size]
        return to_tensor(out)


def to_tensor(pictures):
    t = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return t.contiguous(memory_format=torch.channels_last)


def gradients_apart(a, b):
    """How far the edges of two pictures differ, at three scales."""
    total = 0
    for d in (1, 2, 4):
        total = total + (a[..., d:] - a[..., :-d] - b[..., d:] + b[..., :-d]).abs().mean()
        total = total + (a[..., d:, :] - a[..., :-d, :] - b[..., d:, :] + b[..., :-d, :]).abs().mean()
    return total


def colours_apart(a, b):
    """How far broad colours differ: what the eye sees as the wrong hue."""
    return (F.avg_pool2d(a, 8) - F.avg_pool2d(b, 8)).abs().mean()


def uneven(z):
    """How far the latents are from four independent channels of mean 0 and deviation 1."""
    flat = z.permute(1, 0, 2, 3).reshape(z.shape[1], -1)
    mean = flat.mean(1)
    centred = flat - mean[:, None]
    covariance = centred @ centred.T / flat.shape[1]
    return (covariance - torch.eye(len(mean))).pow(2).sum() + mean.pow(2).sum()


def mean_of_posterior(vae, x):
    return vae.quant_conv(vae.encoder(x)).chunk(2, 1)[0]


def decibels(a, b):
    return (-10 * torch.log10(((a.clamp(-1, 1) - b) / 2).pow(2).mean((1, 2, 3)))).mean().item()


def critic():
    """Judges 19x19 patches as painted or decoded."""
    conv = lambda *a: torch.nn.utils.parametrizations.spectral_norm(torch.nn.Conv2d(*a))
    slope = torch.nn.LeakyReLU(0.2)
    return torch.nn.Sequential(
        conv(3, 24, 4, 2, 1), slope, conv(24, 48, 4, 2, 1), slope, conv(48, 64, 3, 1, 1), slope, conv(64, 1, 3, 1, 1)
    ).to(memory_format=torch.channels_last)


def train(rank, world, args):
    join(rank, world, args)
    torch.manual_seed(0)
    vae = AutoencoderKL.from_pretrained(args.start) if args.start else AutoencoderKL(**CONFIG)
    vae = vae.to(memory_format=torch.channels_last)
    module = vae.decoder if args.decoder_only else vae
    named = [(n, p) for n, p in module.named_parameters()]
    parameters = [p for _, p in named]
    optimiser = MuonAdam(named, muon=args.muon, adam=args.adam)
    average = [p.detach().clone() for p in parameters]
    judge = critic() if args.sharpen else None
    judge_optimiser = (
        torch.optim.AdamW(judge.parameters(), lr=1e-3, betas=(0.5, 0.95), weight_decay=0) if judge else None
    )
    rng = np.random.default_rng([args.seed, rank])
    torch.manual_seed(args.seed * 100 + rank)
    crops = Crops(args.data, args.crop, rng)
    check = to_tensor(crops.pictures[:HELD_BACK])
    start = last = time.time()
    step = seen = 0
    clock, log = 0.0, []

    def save():
        nonlocal average
        raw = [p.detach().clone() for p in parameters]
        vae.save_pretrained(f"{args.out}/raw")
        with torch.no_grad():
            for p, a in zip(parameters, average):
                p.copy_(a)
            vae.save_pretrained(f"{args.out}/averaged")
            z = torch.cat([mean_of_posterior(vae, c) for c in check.split(8)])
            y = torch.cat([vae.decoder(vae.post_quant_conv(c)) for c in z.split(8)])
            for p, r in zip(parameters, raw):
                p.copy_(r)
        np.save(f"{args.out}/check.npy", ((y.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy())
        spectrum = torch.linalg.eigvalsh(torch.cov(z.permute(1, 0, 2, 3).reshape(4, -1)))
        return decibels(y, check), spectrum

    while clock < args.minutes * 60:
        left = 1 - clock / (args.minutes * 60)
        factor = min(1, (step + 1) / 100) * min(1, max(0.02, left / args.fall))
        x = crops.batch(args.batch)
        with torch.set_grad_enabled(not args.decoder_only):
            z = mean_of_posterior(vae, x)
        y = vae.decoder(vae.post_quant_conv(z + NOISE * torch.randn_like(z)))
        near, edges = (x - y).abs().mean(), gradients_apart(x, y)
        loss = near + (x - y).pow(2).mean() + 0.35 * edges + args.hue * colours_apart(x, y)
        if not args.decoder_only:
            loss = loss + args.even * uneven(z)
        if judge:
            judge.requires_grad_(False)
            loss = loss - args.sharpen * min(1, step / 200) * judge(y).mean()
            judge.requires_grad_(True)
        for p in parameters:
            p.grad = None
        loss.backward()
        clock = average_gradients(parameters, time.time() - start, world)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step(factor)
        if judge:
            verdict = F.relu(1 - judge(x)).mean() + F.relu(1 + judge(y.detach())).mean()
            judge_optimiser.zero_grad()
            verdict.backward()
            judge_optimiser.step()
        step, seen = step + 1, seen + args.batch * world
        with torch.no_grad():
            torch._foreach_lerp_(average, [p.detach() for p in parameters], max(0.004, 1 / (step + 1)))
        log.append((near.item(), edges.item(), uneven(z.detach()).item()))
        if rank == 0 and time.time() - last > 60 * args.report:
            quality, spectrum = save()
            last = time.time()
            row = "l1 %.4f edges %.4f uneven %.3f" % tuple(np.mean(log, 0))
            log = []
            speed = f"{clock / 60:.1f} min, {seen} crops, {seen / clock:.1f}/s, rate {factor:.2f}"
            print(f"{speed}, {row}, {quality:.2f} dB, variances {spectrum.numpy().round(2)}", flush=True)
    if rank == 0:
        quality, _ = save()
        print(f"done: {clock / 60:.1f} min, {seen} crops, {quality:.2f} dB", flush=True)
    leave(world)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("out")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--start", help="a saved VAE to go on from")
    parser.add_argument("--sharpen", type=float, default=0.0, help="weight of a critic that judges the decoder")
    parser.add_argument("--decoder-only", action="store_true", help="leaves the encoder and its latents as they are")
    parser.add_argument("--fall", type=float, default=0.4, help="last share of the time, over which the rate falls")
    parser.add_argument("--batch", type=int, default=8, help="crops a process")
    parser.add_argument("--crop", type=int, default=96)
    parser.add_argument("--muon", type=float, default=0.02)
    parser.add_argument("--adam", type=float, default=2e-3)
    parser.add_argument("--even", type=float, default=0.02, help="weight of the latents' independence")
    parser.add_argument("--hue", type=float, default=1.5, help="weight of broad colours")
    parser.add_argument("--report", type=float, default=2, help="minutes between reports and saves")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    launch(train, parser.parse_args())
