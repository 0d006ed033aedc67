#!/usr/bin/env python3
"""Writes which name every weight of Stable Diffusion 1.x has in the original single file: `single_file.json`.

    python single_file.py        # reads sd15/weights.json, writes single_file.json, both beside itself

Needs diffusers and torch. The names are built here the other way round than the engine reads them, and are then
checked by diffusers' own conversion: it must give back every tensor under the name that it came from.
"""
import json
import os
import re

import torch
from diffusers.loaders import single_file_utils

HERE = os.path.dirname(os.path.abspath(__file__))
LAYERS = 2

RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection"}
UNET = {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2", "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2"}
ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def denoiser(name):
    stem, leaf = name.rsplit(".", 1)
    if stem in UNET:
        return UNET[stem] + "." + leaf
    place, rest = re.fullmatch(r"(mid_block|(?:down|up)_blocks\.\d+)\.(.+)", name).groups()
    kind, number, rest = rest.split(".", 2)
    number = int(number)
    if kind == "resnets":
        stem, leaf = rest.rsplit(".", 1)
        rest = RESNET[stem] + "." + leaf
    if place == "mid_block":
        return "middle_block.%d.%s" % (1 if kind == "attentions" else 2 * number, rest)
    direction, level = place.split("_blocks.")
    level = int(level)
    if direction == "down":
        if kind == "downsamplers":
            return "input_blocks.%d.0.op.%s" % (level * (LAYERS + 1) + LAYERS + 1, rest.split(".", 1)[1])
        return "input_blocks.%d.%d.%s" % (level * (LAYERS + 1) + number + 1, kind == "attentions", rest)
    if kind == "upsamplers":
        # The lowest level has no attention, so that its upsampler comes second and not third.
        return "output_blocks.%d.%d.conv.%s" % (level * (LAYERS + 1) + LAYERS, 1 if level == 0 else 2, rest.split(".", 1)[1])
    return "output_blocks.%d.%d.%s" % (level * (LAYERS + 1) + number, kind == "attentions", rest)


def autoencoder(name, levels):
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: "mid.block_%d" % (int(m[1]) + 1), name)
    attention = re.fullmatch(r"(.+)\.mid_block\.attentions\.0\.(.+)\.(weight|bias)", name)
    if attention:
        return "%s.mid.attn_1.%s.%s" % (attention[1], ATTENTION[attention[2]], attention[3])
    name = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", name)
    name = re.sub(r"up_blocks\.(\d)\.resnets", lambda m: "up.%d.block" % (levels - 1 - int(m[1])), name)
    name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
    return re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: "up.%d.upsample" % (levels - 1 - int(m[1])), name)


def main():
    with open(os.path.join(HERE, "sd15", "weights.json")) as file:
        weights = json.load(file)
    levels = len(weights["configs"]["vae"]["block_out_channels"])
    prefixes = {"unet": "model.diffusion_model.", "vae": "first_stage_model.", "text_encoder": "cond_stage_model.transformer."}
    rules = {"unet": denoiser, "vae": lambda name: autoencoder(name, levels), "text_encoder": lambda name: "text_model." + name.removeprefix("text_model.")}
    names = {who: {key: prefixes[who] + rules[who](key) for key in tensors} for who, tensors in weights["tensors"].items()}

    original, expected = {}, {}
    for who, keys in names.items():
        for key, name in keys.items():
            dims = weights["tensors"][who][key][0]
            value = torch.full(dims, float(len(original)))
            assert name not in original, name
            # The original keeps the autoencoder's attention as convolutions.
            original[name] = value[..., None, None] if ".attn_1." in name and value.ndim == 2 else value
            expected[who, key] = value
    found = dict(unet=single_file_utils.convert_ldm_unet_checkpoint(dict(original), weights["configs"]["unet"]),
                 vae=single_file_utils.convert_ldm_vae_checkpoint(dict(original), weights["configs"]["vae"]),
                 text_encoder=single_file_utils.convert_ldm_clip_checkpoint(dict(original)))
    for who, keys in names.items():
        got = {k: v for k, v in found[who].items() if not k.endswith("position_ids")}
        if who == "text_encoder":
            # transformers itself takes this prefix off or puts it on, whichever way its version has it.
            bare = lambda k: k.removeprefix("text_model.")
            got, keys = {bare(k): v for k, v in got.items()}, {bare(k): k for k in keys}
        assert set(got) == set(keys), (who, set(got) ^ set(keys))
        for key in keys:
            value = expected[who, keys[key] if who == "text_encoder" else key]
            assert torch.equal(got[key].reshape(value.shape), value), (who, key)
    with open(os.path.join(HERE, "single_file.json"), "w") as file:
        json.dump(names, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
