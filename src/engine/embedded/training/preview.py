"""Fits what latents look like as colours, one pixel a latent: `python preview.py ../model/vae ../model/preview.json`.

Least squares of painted pictures, averaged over 8 x 8 pixels, against the 3 x 3 scaled latents around each place: one
latent alone leaves twice the difference.
"""

import json
import sys

import numpy as np
import torch
from diffusers import AutoencoderKL

from generator import paint
from scenes import draw_scene
from vae import mean_of_posterior, to_tensor


def fit(vae, count=48, seed=5):
    """Red, green and blue from -1 to 1 of a unit of each channel of each latent around, and of latents that are all 0."""
    rng = np.random.default_rng(seed)
    pictures = np.stack([paint(draw_scene(rng), rng)[0] for _ in range(count)])
    pixels = to_tensor(pictures)
    with torch.no_grad():
        parts = [mean_of_posterior(vae, pixels[i : i + 8]) for i in range(0, count, 8)]
        latents = torch.cat(parts) * vae.config.scaling_factor
    colours = torch.nn.functional.avg_pool2d(pixels, 8).permute(0, 2, 3, 1).reshape(-1, 3).double().numpy()
    around = torch.nn.functional.pad(latents, (1, 1, 1, 1), mode="replicate").unfold(2, 3, 1).unfold(3, 3, 1)
    flat = around.permute(0, 2, 3, 4, 5, 1).reshape(len(colours), -1).double().numpy()
    rows = np.concatenate([flat, np.ones((len(flat), 1))], 1)
    weights, *_ = np.linalg.lstsq(rows, colours, rcond=None)
    left = np.abs(rows @ weights - colours).mean()
    print(f"mean difference of a preview's colours: {127.5 * left:.1f} of 255")
    return weights[:-1], weights[-1]


def main(vae, out):
    factors, bias = fit(AutoencoderKL.from_pretrained(vae, torch_dtype=torch.float32).eval())
    tidy = dict(factors=factors.round(4).tolist(), bias=bias.round(4).tolist())
    with open(out, "w") as file:
        json.dump(tidy, file)
        file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
