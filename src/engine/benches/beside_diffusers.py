#!/usr/bin/env python3
"""Times a Stable Diffusion 1.x by diffusers with torch.compile and by Easel, in turns on the same machine.

    full_size.py DATA/models/full                  # once: generated weights, 2.1 GB
    beside_diffusers.py DATA full target/release/easel

Prints a line for each and each of their rounds, then ratios of medians: below 1 Easel needs less. A step is one call of the
denoiser with guidance. Memory is what all of the machine's GPUs hold beside what they held before, at most; on a CPU it is the
resident set. Run it alone.
"""

import argparse
import re
import resource
import statistics
import subprocess
import time

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel

# The prompt's length does not change the time: it is padded to 77 tokens.
BEGIN, END, TOKENS = 49406, 49407, 77


def used_mb():
    """Memory in use on all GPUs, whoever has it."""
    told = subprocess.run(["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"], capture_output=True, text=True, check=True)
    return sum(int(line) for line in told.stdout.split())


class Rival:
    """diffusers, with text encoder, denoiser and decoder as a pipeline has them."""

    def __init__(self, folder, device, mode, size):
        self.device, self.size = device, size
        self.before = used_mb() if device == "cuda" else 0
        dtype = torch.float16 if device == "cuda" else torch.float32
        load = lambda kind, part: kind.from_pretrained(f"{folder}/{part}", torch_dtype=dtype).to(device).eval()
        self.text = load(CLIPTextModel, "text_encoder")
        unet = load(UNet2DConditionModel, "unet").to(memory_format=torch.channels_last)
        vae = load(AutoencoderKL, "vae").to(memory_format=torch.channels_last)
        self.pipe = StableDiffusionPipeline(
            vae=vae,
            text_encoder=self.text,
            tokenizer=None,
            unet=unet,
            scheduler=EulerDiscreteScheduler.from_pretrained(f"{folder}/scheduler"),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        self.pipe.set_progress_bar_config(disable=True)
        if mode != "eager":
            options = {} if mode == "default" else {"mode": mode}
            self.pipe.unet = torch.compile(unet, fullgraph=True, **options)
            self.pipe.vae.decode = torch.compile(vae.decode, fullgraph=True, **options)

    def picture(self, steps):
        """Seconds of a whole picture."""
        self.wait()
        begin = time.perf_counter()
        with torch.inference_mode():
            ids = torch.full((2, TOKENS), END, device=self.device)
            ids[:, 0] = BEGIN
            ids[0, 1:8] = torch.arange(320, 327)
            wanted, nothing = self.text(ids).last_hidden_state.split(1)
            self.pipe(
                prompt_embeds=wanted,
                negative_prompt_embeds=nothing,
                width=self.size,
                height=self.size,
                num_inference_steps=steps,
                guidance_scale=7.5,
                output_type="np",
            )
        self.wait()
        return time.perf_counter() - begin

    def wait(self):
        if self.device == "cuda":
            torch.cuda.synchronize()

    def most_mb(self):
        # The allocator gives nothing back, so what it holds now is the most that it ever held.
        return used_mb() - self.before if self.device == "cuda" else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def easel(program, data, model, device, size, steps):
    """Step in ms and picture in s of the last round of `easel bench`, and its peak of memory in MB."""
    where = {"cuda": "gpu", "cpu": "cpu"}[device]
    command = [program, "bench", "--data", data, "--model", model, "--size", str(size), "--steps", str(steps), "--rounds", "2", "--device", where]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    last = re.findall(r" step +([\d.]+) ms .* picture +([\d.]+) s", told)[-1]
    memory = re.search(r"GPU memory (\d+) MB" if device == "cuda" else r", (\d+) MB at most", told)
    return float(last[0]), float(last[1]), int(memory[1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", help="Easel's data folder")
    parser.add_argument("model", help="the model's folder in its models/")
    parser.add_argument("program", help="easel")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--mode", default="default", help="of torch.compile: default, max-autotune, reduce-overhead; or eager")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()

    rival = Rival(f"{args.data}/models/{args.model}", args.device, args.mode, args.size)
    begin = time.perf_counter()
    for _ in range(2):
        rival.picture(2)
    print(f"torch {torch.__version__} {args.mode}: the first two pictures took {time.perf_counter() - begin:.1f} s, compiling included", flush=True)
    found = {"diffusers": [], "easel": []}
    for _ in range(args.rounds):
        whole = rival.picture(args.steps)
        # Twice the steps, once the rest: nobody has to wait for the card after each step.
        step = (rival.picture(2 * args.steps) - whole) / args.steps
        found["diffusers"].append((step * 1e3, whole, rival.most_mb()))
        found["easel"].append(easel(args.program, args.data, args.model, args.device, args.size, args.steps))
        for who, rounds in found.items():
            step, whole, memory = rounds[-1]
            print(f"{who:10} step {step:9.2f} ms   picture {whole:8.3f} s   memory {memory:6} MB", flush=True)
    middle = {who: [statistics.median(column) for column in zip(*rounds)] for who, rounds in found.items()}
    ratios = [ours / theirs for ours, theirs in zip(middle["easel"], middle["diffusers"])]
    print("easel by diffusers: step {:.3f}   picture {:.3f}   memory {:.3f}".format(*ratios))


if __name__ == "__main__":
    main()
