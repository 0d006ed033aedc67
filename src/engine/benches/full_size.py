#!/usr/bin/env python3
"""Writes a full-size Stable Diffusion 1.5 with generated weights, in the diffusers layout, f16 (2.1 GB).

    full_size.py FOLDER

For figures of time and memory only: its pictures are noise. The weights keep activations near unit variance,
so that nothing overflows and no timing profits from zeros or denormals. There is no tokenizer folder: the
engine's built-in CLIP vocabulary serves.
"""

import json
import math
import pathlib
import sys

import torch
from diffusers import AutoencoderKL, PNDMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel


def generate(model, seed):
    """Fills every parameter: matrices by their fan-in, norms near one, biases small."""
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        with torch.no_grad():
            if p.ndim >= 2:
                p.normal_(0, 1 / math.sqrt(p[0].numel()), generator=generator)
            elif name.endswith("weight"):
                p.fill_(1)
            else:
                p.normal_(0, 0.02, generator=generator)
    return model.half()


def main():
    root = pathlib.Path(sys.argv[1])
    unet = UNet2DConditionModel(
        sample_size=64,
        cross_attention_dim=768,
        attention_head_dim=8,
        block_out_channels=(320, 640, 1280, 1280),
    )
    generate(unet, 1).save_pretrained(root / "unet")
    del unet
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
        sample_size=512,
    )
    generate(vae, 2).save_pretrained(root / "vae")
    text = CLIPTextModel(CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, eos_token_id=2))
    generate(text, 3).save_pretrained(root / "text_encoder")
    PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", set_alpha_to_one=False, skip_prk_steps=True, steps_offset=1
    ).save_pretrained(root / "scheduler")
    index = {
        "_class_name": "StableDiffusionPipeline",
        "scheduler": ["diffusers", "PNDMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (root / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")


if __name__ == "__main__":
    main()
