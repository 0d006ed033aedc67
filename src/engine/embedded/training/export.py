"""Writes the model as the studio embeds it, a diffusers folder of f16 safetensors, and raw weights to go on from.

python export.py VAE DENOISER/averaged TOKENIZER ../model
python export.py VAE DENOISER/raw TOKENIZER ../raw --weights-only
"""

import argparse
import json
import math
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel, CLIPTokenizer

from schedule import SCHEDULER

LIMIT = 16_000_000


def clean(folder):
    """Makes the files as releases have them: no trace of where a part lay, no numbers that JSON lacks, usual keys."""
    for path in folder.glob("**/*config.json"):
        config = json.loads(path.read_text())
        kept = {
            k: v for k, v in config.items() if k != "_name_or_path" and not (isinstance(v, float) and math.isinf(v))
        }
        path.write_text(json.dumps(kept, indent=2) + "\n")
    weights = folder / "text_encoder" / "model.safetensors"
    tensors = {k if k.startswith("text_model.") else "text_model." + k: v for k, v in load_file(weights).items()}
    save_file(tensors, weights, {"format": "pt"})
    for path in folder.glob("**/*.*"):
        path.chmod(0o644)


def main(args):
    parts = dict(
        vae=AutoencoderKL.from_pretrained(args.vae, torch_dtype=torch.float32),
        unet=UNet2DConditionModel.from_pretrained(f"{args.denoiser}/unet", torch_dtype=torch.float32),
        text_encoder=CLIPTextModel.from_pretrained(f"{args.denoiser}/text_encoder", torch_dtype=torch.float32),
    )
    for name, part in parts.items():
        parts[name] = part.half()
        print(name, f"{sum(p.numel() for p in part.parameters()) / 1e6:.2f} million parameters")
    out = Path(args.out)
    if args.weights_only:
        for name, part in parts.items():
            part.save_pretrained(out / name, safe_serialization=True)
    else:
        pipe = StableDiffusionPipeline(
            **parts,
            tokenizer=CLIPTokenizer.from_pretrained(args.tokenizer),
            scheduler=DPMSolverMultistepScheduler(**SCHEDULER),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        pipe.save_pretrained(out, safe_serialization=True)
        # The plain tokenizer files, as CLIP has them.
        for name in ("vocab.json", "merges.txt", "special_tokens_map.json", "tokenizer_config.json"):
            (out / "tokenizer" / name).write_text((Path(args.tokenizer) / name).read_text())
        (out / "tokenizer" / "tokenizer.json").unlink(missing_ok=True)
    clean(out)
    if not args.weights_only:
        StableDiffusionPipeline.from_pretrained(out, torch_dtype=torch.float32, safety_checker=None)
    size = sum(f.stat().st_size for f in out.glob("*/*.safetensors"))
    print(f"{size / 1e6:.2f} MB of weights")
    if size > LIMIT:
        raise SystemExit("too large to embed")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vae")
    parser.add_argument("denoiser")
    parser.add_argument("tokenizer")
    parser.add_argument("out")
    parser.add_argument("--weights-only", action="store_true")
    main(parser.parse_args())
