#!/usr/bin/env python3
"""Times a denoising step of large models by diffusers on a GPU, eager and with torch.compile, with generated weights.

    baselines.py [sdxl] [flux] [qwen] [--small]

What families that the engine does not have yet will be measured against: SDXL at 1024 x 1024 with guidance (a batch of two),
FLUX.1 at 1024 x 1024 and Qwen-Image at 1328 x 1328 (one, with guidance as a number or none). bf16. Prints milliseconds of a step,
memory, and the share of the matrix rate that the card shows in a product of 8192 x 8192 x 8192. --small runs the same with
a few layers, also on a CPU, to see that it runs.
"""

import argparse
import math
import time

import torch
from torch.utils.flop_counter import FlopCounterMode
from diffusers import FluxTransformer2DModel, QwenImageTransformer2DModel, UNet2DConditionModel

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ROUNDS = 10


def rand(*shape):
    return torch.randn(*shape, device=DEVICE, dtype=torch.bfloat16)


def sdxl(small):
    side = 32 if small else 128
    model = UNet2DConditionModel(
        sample_size=side,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(32, 64, 64) if small else (320, 640, 1280),
        transformer_layers_per_block=(1, 1, 1) if small else (1, 2, 10),
        attention_head_dim=(1, 2, 2) if small else (5, 10, 20),
        cross_attention_dim=2048,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
    )
    added = {"text_embeds": rand(2, 1280), "time_ids": torch.full((2, 6), 1024.0, device=DEVICE, dtype=torch.bfloat16)}
    return model, {
        "sample": rand(2, 4, side, side).to(memory_format=torch.channels_last),
        "timestep": torch.tensor(500.0, device=DEVICE),
        "encoder_hidden_states": rand(2, 77, 2048),
        "added_cond_kwargs": added,
    }


def flux(small):
    side = 16 if small else 64
    layers = {"num_layers": 1, "num_single_layers": 1} if small else {}
    model = FluxTransformer2DModel(guidance_embeds=True, **layers)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    ids = torch.stack([torch.zeros_like(rows), rows, columns], -1).reshape(-1, 3).to(DEVICE, torch.bfloat16)
    return model, {
        "hidden_states": rand(1, side * side, 64),
        "encoder_hidden_states": rand(1, 512, 4096),
        "pooled_projections": rand(1, 768),
        "timestep": torch.tensor([0.5], device=DEVICE, dtype=torch.bfloat16),
        "guidance": torch.tensor([3.5], device=DEVICE, dtype=torch.bfloat16),
        "img_ids": ids,
        "txt_ids": torch.zeros(512, 3, device=DEVICE, dtype=torch.bfloat16),
    }


def qwen(small):
    side, words = (16, 32) if small else (83, 128)
    model = QwenImageTransformer2DModel(**({"num_layers": 1} if small else {}))
    return model, {
        "hidden_states": rand(1, side * side, 64),
        "encoder_hidden_states": rand(1, words, 3584),
        "encoder_hidden_states_mask": torch.ones(1, words, device=DEVICE, dtype=torch.bool),
        "timestep": torch.tensor([0.5], device=DEVICE, dtype=torch.bfloat16),
        "img_shapes": [[(1, side, side)]],
    }


FAMILIES = {"sdxl": sdxl, "flux": flux, "qwen": qwen}


def wait():
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def generate(model):
    """Fills every parameter: matrices by their fan-in, norms with one, biases small."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim >= 2:
                p.normal_(0, 1 / math.sqrt(p[0].numel()))
            elif name.endswith("weight"):
                p.fill_(1)
            else:
                p.normal_(0, 0.02)


def seconds(call, rounds=ROUNDS):
    for _ in range(3):
        call()
    wait()
    begin = time.perf_counter()
    for _ in range(rounds):
        call()
    wait()
    return (time.perf_counter() - begin) / rounds


def matrix_rate(size):
    """Operations a second of a product of random matrices."""
    a, b = rand(size, size), rand(size, size)
    return 2 * size**3 / seconds(lambda: a @ b)


def measure(name, small, rate):
    with torch.device(DEVICE):
        model, inputs = FAMILIES[name](small)
    generate(model)
    model.eval()
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            model(**inputs, return_dict=False)
        work = counter.get_total_flops()
        for mode, step in [("eager", model), ("torch.compile", torch.compile(model))]:
            begin = time.perf_counter()
            step(**inputs, return_dict=False)
            wait()
            first = time.perf_counter() - begin
            took = seconds(lambda: step(**inputs, return_dict=False))
            memory = torch.cuda.max_memory_allocated() / 2**30 if DEVICE == "cuda" else 0
            print(
                f"{name:5} {mode:13} step {took * 1e3:9.2f} ms   {work / 1e12:7.2f} TFLOP   "
                f"{100 * work / took / rate:5.1f} % of the matrix rate   first {first:6.1f} s   {memory:5.1f} GiB",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=f"of {', '.join(FAMILIES)}; all where none is named")
    parser.add_argument("--small", action="store_true")
    args = parser.parse_args()
    torch.set_default_dtype(torch.bfloat16)
    rate = matrix_rate(512 if args.small else 8192)
    where = torch.cuda.get_device_name() if DEVICE == "cuda" else "CPU"
    print(f"{where}, torch {torch.__version__}: {rate / 1e12:.1f} TFLOP/s in products", flush=True)
    for name in args.families or FAMILIES:
        measure(name, args.small, rate)
        if DEVICE == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


if __name__ == "__main__":
    main()
