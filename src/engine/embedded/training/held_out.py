"""Writes the prompts that the model is scored on, each with its scene, for the engine's own test.

    python held_out.py held_out.json [--count 200] [--seed 2024]

They are those of `measure.py model`. The file also names what the measurer can answer, in the order of its outputs.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from captions import held_out_prompts
from scenes import COLOURS, GROUNDS, SIDES, SKIES, TIMES, WEATHERS

# The order of `measure.CHOICES` and `measure.FOUND`; importing them would need torch.
CHOICES = {"time": TIMES, "sky": SKIES, "ground": GROUNDS, "colour": COLOURS, "weather": WEATHERS}
FOUND = ["house", "tree", "boat", "sun", "moon"]

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=2024, help="another seed draws other scenes")
    args = parser.parse_args()
    scenes, prompts = held_out_prompts(args.count, args.seed)
    lines = [json.dumps({"prompt": prompt, **asdict(scene)}) for prompt, scene in zip(prompts, scenes)]
    head = {"seed": args.seed, "choices": list(CHOICES.items()), "found": FOUND, "sides": SIDES}
    body = "".join(f"  {json.dumps(key)}: {json.dumps(value)},\n" for key, value in head.items())
    Path(args.out).write_text("{\n" + body + '  "prompts": [\n    ' + ",\n    ".join(lines) + "\n  ]\n}\n")
