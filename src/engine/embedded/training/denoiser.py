"""Trains the denoiser: a small Stable Diffusion UNet with its CLIP text encoder, on encoded pictures.

python denoiser.py DATA LATENTS TOKENIZER OUT --minutes 80              from nothing
python denoiser.py DATA LATENTS TOKENIZER OUT --start FOLDER            goes on from saved weights
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from captions import caption
from optimiser import MuonAdam
from scenes import BODIES, COLOURS, GROUNDS, SIDES, SKIES, THINGS, TIMES, WEATHERS, Scene, draw_scene
from schedule import signal_and_noise
from together import Threads, average_gradients, join, launch, leave, share
from tokenizer import Tokenizer

WIDTH = 128  # of the text encoder
CLASSES = {
    "time": TIMES,
    "sky": SKIES,
    "body": BODIES,
    "side": ["none"] + SIDES,
    "ground": GROUNDS,
    "colour": COLOURS,
    "weather": WEATHERS,
    "thing": THINGS,
    "number": [0, 1, 2, 3, 4],
}


def new_unet():
    return UNet2DConditionModel(
        sample_size=32,
        in_channels=4,
        out_channels=4,
        block_out_channels=(32, 96, 128, 96),
        layers_per_block=1,
        down_block_types=["DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=["UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"],
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def new_text_encoder(tokenizer):
    config = CLIPTextConfig(
        vocab_size=len(tokenizer.ids),
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=77,
        bos_token_id=tokenizer.start,
        eos_token_id=tokenizer.end,
        pad_token_id=tokenizer.end,
        projection_dim=WIDTH,
        hidden_act="quick_gelu",
    )
    model = CLIPTextModel(config)
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding):
            torch.nn.init.normal_(module.weight, std=0.02 if module.num_embeddings == 77 else 0.3)
    return model


def warm_up(encoder, tokenizer, steps=500, batch=96):
    """Teaches the text encoder to tell the attributes of exact captions, before any picture."""
    rng = np.random.default_rng(5)
    heads = torch.nn.ModuleDict({k: torch.nn.Linear(WIDTH, len(v)) for k, v in CLASSES.items()})
    optimiser = torch.optim.AdamW([*encoder.parameters(), *heads.parameters()], lr=2e-3, weight_decay=0.01)
    start = time.time()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min(1, step / 30) * (1 - step / steps)
        scenes = [draw_scene(rng) for _ in range(batch)]
        ids = torch.from_numpy(tokenizer([caption(s, rng) for s in scenes]))
        ends = (ids != tokenizer.end).sum(1)
        states = encoder(input_ids=ids[:, : int(ends.max()) + 6]).last_hidden_state
        rows = torch.arange(batch)
        later = (ends + torch.randint(0, 5, (batch,))).clamp_max(states.shape[1] - 1)
        read = torch.cat([states[rows, ends], states[rows, later]])
        loss, right = 0, {}
        for name, values in CLASSES.items():
            wanted = torch.tensor([values.index(getattr(s, name)) for s in scenes]).repeat(2)
            guess = heads[name](read)
            loss = loss + F.cross_entropy(guess, wanted)
            right[name] = round((guess.argmax(1) == wanted).float().mean().item(), 2)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    print(f"text encoder warmed up in {time.time() - start:.0f} s:", right, flush=True)


def train(rank, world, args):
    join(rank, world, args)
    torch.manual_seed(args.seed)
    out = Path(args.out)
    tokenizer = Tokenizer(args.tokenizer)
    latents = np.load(args.latents, mmap_mode="r")
    labels = json.loads((Path(args.data) / "labels.json").read_text())
    fields = Scene.__dataclass_fields__
    scenes = [(Scene(**{k: label[k] for k in fields}), label["natural"]) for label in labels]
    if args.start:
        unet = UNet2DConditionModel.from_pretrained(f"{args.start}/unet", torch_dtype=torch.float32)
        encoder = CLIPTextModel.from_pretrained(f"{args.start}/text_encoder", torch_dtype=torch.float32)
    else:
        unet, encoder = new_unet(), new_text_encoder(tokenizer)
        if args.text_start:
            encoder = CLIPTextModel.from_pretrained(args.text_start, torch_dtype=torch.float32)
        elif rank == 0:
            warm_up(encoder, tokenizer)
            encoder.save_pretrained(out / "warm")
    unet = unet.to(memory_format=torch.channels_last).train()
    encoder.train()
    if rank == 0:
        count = [sum(p.numel() for p in part.parameters()) / 1e6 for part in (unet, encoder)]
        print(f"{count[0]:.2f} + {count[1]:.2f} million parameters", flush=True)
    parameters = [*unet.parameters(), *encoder.parameters()]
    share(parameters, world)
    optimiser = MuonAdam(unet.named_parameters(), muon=args.muon, adam=args.adam, plain=("conv_in", "conv_out"))
    optimiser_text = torch.optim.AdamW(
        encoder.parameters(), lr=args.text, betas=(0.9, 0.98), weight_decay=0, fused=True
    )
    average = [p.detach().clone() for p in parameters]
    signal, noise = signal_and_noise()
    # Every process has its own part of the pictures and its own noise.
    rng = np.random.default_rng([args.seed, rank])
    torch.manual_seed(args.seed * 100 + rank)
    mine = np.arange(rank, len(latents), world)
    empty = tokenizer([""])[0]
    start = last = saved = time.time()
    step = seen = 0
    clock, log, order = 0.0, [], np.zeros(0, int)
    threads = Threads()

    def save(folder):
        (out / folder).mkdir(parents=True, exist_ok=True)
        unet.save_pretrained(out / folder / "unet")
        encoder.save_pretrained(out / folder / "text_encoder")
        (out / folder / "seen").write_text(f"{seen} samples, {clock / 60:.1f} min\n")

    def save_both():
        save("raw")
        raw = [p.detach().clone() for p in parameters]
        with torch.no_grad():
            for p, a in zip(parameters, average):
                p.copy_(a)
            save("averaged")
            for p, r in zip(parameters, raw):
                p.copy_(r)

    while clock < args.minutes * 60:
        left = 1 - clock / (args.minutes * 60)
        factor = min(1, (step + 1) / (30 if args.start else 100)) * min(1, max(0.01, left / args.fall))
        if len(order) < args.batch:
            ready = mine[latents[mine, 0, 0, 0] != 0]  # encoding may still be going on
            order = rng.permutation(ready)
        chosen, order = np.sort(order[: args.batch]), order[args.batch :]
        ids = tokenizer([caption(scenes[i][0], rng, scenes[i][1]) for i in chosen])
        ids[rng.random(args.batch) < 0.1] = empty
        x = torch.from_numpy(latents[chosen]).float()
        # One timestep from each of `batch` equal parts, and more of the noisy ones, where the composition is decided.
        spread = (torch.arange(args.batch) + torch.rand(args.batch)) / args.batch
        t = (spread**args.noisy * 1000).long().clamp_max(999)
        s, n = signal[t].view(-1, 1, 1, 1), noise[t].view(-1, 1, 1, 1)
        e = torch.randn_like(x)
        noisy = (s * x + n * e).contiguous(memory_format=torch.channels_last)
        states = encoder(input_ids=torch.from_numpy(ids)).last_hidden_state
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.bf16):
            guess = unet(noisy, t, states, return_dict=False)[0]
        each = (guess.float() - (s * e - n * x)).pow(2).mean((1, 2, 3))
        for p in parameters:
            p.grad = None
        each.mean().backward()
        clock = average_gradients(parameters, time.time() - start, world)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step(factor)
        for group in optimiser_text.param_groups:
            group["lr"] = args.text * factor
        optimiser_text.step()
        if world == 1:
            threads.settle()
        step, seen = step + 1, seen + args.batch * world
        with torch.no_grad():
            torch._foreach_lerp_(
                average, [p.detach() for p in parameters], 1 - min(args.average, (1 + step) / (10 + step))
            )
        quarter = args.batch // 4
        log.append([each[k * quarter : (k + 1) * quarter].mean().item() for k in range(4)])
        if rank == 0 and time.time() - last > 60:
            last = time.time()
            speed = f"{clock / 60:.1f} min, {seen} samples, {seen / clock:.1f}/s, rate {factor:.2f}"
            print(f"{speed}, loss {np.mean(log):.4f}, by noise {np.mean(log, 0).round(3)}", flush=True)
            log = []
        if rank == 0 and time.time() - saved > 60 * args.save:
            saved = time.time()
            save_both()
    if rank == 0:
        save_both()
        print(f"done: {seen} samples, {clock / 60:.1f} min", flush=True)
    leave(world)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("latents")
    parser.add_argument("tokenizer")
    parser.add_argument("out")
    parser.add_argument("--minutes", type=float, default=80)
    parser.add_argument("--start", help="a folder with unet and text_encoder to go on from")
    parser.add_argument("--text-start", help="a warmed-up text encoder to begin with")
    parser.add_argument("--fall", type=float, default=0.35, help="last share of the time, over which the rates fall")
    parser.add_argument("--batch", type=int, default=16, help="pictures a process")
    parser.add_argument("--muon", type=float, default=0.02)
    parser.add_argument("--adam", type=float, default=1e-3)
    parser.add_argument("--text", type=float, default=4e-4)
    parser.add_argument("--noisy", type=float, default=0.8)
    parser.add_argument("--average", type=float, default=0.998)
    parser.add_argument(
        "--bf16", action="store_true", help="1.5 times the speed on a processor with AMX, slower on others"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--save", type=float, default=4, help="minutes between saves")
    parser.add_argument("--seed", type=int, default=1)
    launch(train, parser.parse_args())
