"""Paints a data set of pictures with their scenes, in parallel: `python dataset.py FOLDER COUNT SEED`."""

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np

from generator import paint
from scenes import draw_scene

CHUNK = 250


def _chunk(job):
    path, start, count, seed = job
    pictures = np.lib.format.open_memmap(path, mode="r+")
    rng = np.random.default_rng([seed, start])
    labels = []
    for i in range(start, start + count):
        natural = rng.random() < 0.3
        scene = draw_scene(rng, natural=natural)
        picture, things, place = paint(scene, rng)
        pictures[i] = picture
        labels.append(
            asdict(scene)
            | {
                "natural": natural,
                "things": [[float(x), float(y), float(s)] for x, y, s in things],
                "place": place and [float(v) for v in place],
            }
        )
    return labels


def main(folder, count, seed, workers=2):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pictures.npy"
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(count, 256, 256, 3)).flush()
    jobs = [(path, start, min(CHUNK, count - start), seed) for start in range(0, count, CHUNK)]
    with ProcessPoolExecutor(workers) as pool:
        labels = [label for chunk in pool.map(_chunk, jobs) for label in chunk]
    (folder / "labels.json").write_text(json.dumps(labels))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
