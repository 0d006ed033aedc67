"""Encodes a data set once, and before that whitens the latents of a new codec.

    python encode.py VAE DATA OUT [--whiten FOLDER]

Whitening turns the latents into four independent channels of deviation 1. It is folded into the quant convolutions
(scaling_factor stays 1), and the VAE that does it is saved in the folder given. The file is filled from its beginning;
training may start on what is there already.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from vae import mean_of_posterior, to_tensor


def whiten(vae, pictures):
    """Folds the whitening in; the posterior's noise is turned off, so that its sample is its mean."""
    with torch.no_grad():
        z = torch.cat([mean_of_posterior(vae, to_tensor(pictures[i : i + 16])) for i in range(0, len(pictures), 16)])
        flat = z.permute(1, 0, 2, 3).reshape(4, -1)
        mean = flat.mean(1)
        values, vectors = torch.linalg.eigh(torch.cov(flat))
        print("variances before whitening:", values.numpy().round(3))
        into, back = vectors @ torch.diag(values**-0.5) @ vectors.T, vectors @ torch.diag(values**0.5) @ vectors.T
        q, p = vae.quant_conv, vae.post_quant_conv
        weight, bias = q.weight[:4, :, 0, 0].clone(), q.bias[:4].clone()
        q.weight.zero_()
        q.weight[:4, :, 0, 0] = into @ weight
        q.bias[:4] = into @ (bias - mean)
        q.bias[4:] = -20.0
        weight = p.weight[:, :, 0, 0].clone()
        p.bias += weight @ mean
        p.weight[:, :, 0, 0] = weight @ back
    return vae


def _encode(job):
    vae, data, out, start, stop = job
    torch.set_num_threads(1)
    vae = AutoencoderKL.from_pretrained(vae).to(memory_format=torch.channels_last)
    pictures = np.load(Path(data) / "pictures.npy", mmap_mode="r")
    latents = np.load(out, mmap_mode="r+")
    with torch.no_grad():
        for i in range(start, stop, 16):
            latents[i : min(stop, i + 16)] = (
                mean_of_posterior(vae, to_tensor(pictures[i : min(stop, i + 16)])).half().numpy()
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vae")
    parser.add_argument("data")
    parser.add_argument("out")
    parser.add_argument("--whiten", help="where to save the whitened VAE")
    parser.add_argument("--count", type=int, help="encode only the first so many pictures")
    args = parser.parse_args()
    pictures = np.load(Path(args.data) / "pictures.npy", mmap_mode="r")[: args.count]
    if args.whiten:
        whiten(AutoencoderKL.from_pretrained(args.vae), pictures[:384]).save_pretrained(args.whiten)
    np.lib.format.open_memmap(args.out, mode="w+", dtype=np.float16, shape=(len(pictures), 4, 32, 32)).flush()
    jobs = [
        (args.whiten or args.vae, args.data, args.out, i, min(i + 250, len(pictures)))
        for i in range(0, len(pictures), 250)
    ]
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(_encode, jobs))
