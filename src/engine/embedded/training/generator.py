"""Paints the training pictures: one 256x256 landscape from a scene. Run it to see a sheet of them."""

import sys
import time

import numpy as np
from PIL import Image

from brushes import SIZE, WHITE, X, Y, colour, lay, mix, noise, unit
from ground import PAINTERS
from scenes import draw_scene
from sky import body_place, light_of, paint_sky
from things import paint_things, place_things


def paint(scene, rng):
    """The picture as uint8 of shape (256, 256, 3), and where its things and its sun or moon stand."""
    light = light_of(scene, rng)
    place = body_place(scene, rng)
    picture = paint_sky(scene, light, place, rng)
    PAINTERS[scene.ground](picture, scene, light, place, rng)
    things = place_things(scene, rng)
    if scene.weather == "fog":
        _fog(picture, scene, light, rng, 0.9)
    paint_things(picture, scene, light, things, rng)
    if scene.weather == "fog":
        _fog(picture, scene, light, rng, 0.25)
    elif scene.weather == "rain":
        _rain(picture, light, rng)
    elif scene.weather == "snow":
        _snow(picture, light, rng)
    picture *= (1 + 0.008 * noise(rng, "dab"))[..., None]
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8), things, place


def _fog(picture, scene, light, rng, strength):
    veil = mix(light.horizon, WHITE * np.maximum(light.sunny, 0.55), 0.45)
    wisps = noise(rng, "wash") * 12 + noise(rng, "soft") * 5
    thick = 0.95 * np.exp(-(((Y - 150 + wisps) / 34) ** 2)) + 0.30 * np.exp(-(((Y - 205 - wisps) / 26) ** 2)) + 0.10
    lay(picture, veil, unit(thick) * strength)


def _rain(picture, light, rng):
    mask = np.zeros((SIZE, SIZE), np.float32)
    for _ in range(44):
        x, y, length = rng.uniform(-8, SIZE + 20), rng.uniform(-16, SIZE - 10), rng.uniform(26, 36)
        ys = slice(max(0, int(y)), min(SIZE, int(y + length) + 1))
        xs = slice(max(0, int(x - length * 0.4) - 3), max(0, min(SIZE, int(x) + 4)))
        dx, dy = X[ys, xs] - x, Y[ys, xs] - y
        if dx.size:
            streak = unit(1.7 - np.abs(dx + dy * 0.36)) * unit(dy / 8) * unit((length - dy) / 3)
            np.maximum(mask[ys, xs], streak, out=mask[ys, xs])
    lay(picture, mix(WHITE * np.maximum(light.sunny, 0.7), light.horizon, 0.25), mask * 0.62)


def _snow(picture, light, rng):
    cells = 8
    step = SIZE / cells
    for i in range(cells):
        for j in range(cells):
            x, y, r = (
                (i + rng.uniform(0.1, 0.9)) * step,
                (j + rng.uniform(0.1, 0.9)) * step,
                1.6 + 2.6 * rng.random() ** 2,
            )
            ys, xs = slice(max(0, int(y - 7)), int(y + 8)), slice(max(0, int(x - 7)), int(x + 8))
            d = np.hypot(X[ys, xs] - x, Y[ys, xs] - y)
            lay(picture[ys, xs], colour(1, 1, 1) * np.maximum(light.sunny, 0.85), unit((r - d) * 0.7 + 0.5) * 0.92)


def sheet(pictures, columns=8, gap=4):
    """Pictures side by side on white."""
    rows = -(-len(pictures) // columns)
    h, w = pictures[0].shape[:2]
    out = np.full((rows * (h + gap) + gap, columns * (w + gap) + gap, 3), 255, np.uint8)
    for k, picture in enumerate(pictures):
        y, x = gap + k // columns * (h + gap), gap + k % columns * (w + gap)
        out[y : y + h, x : x + w] = picture
    return out


if __name__ == "__main__":
    out, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    rng = np.random.default_rng(seed)
    start = time.time()
    scenes = [draw_scene(rng) for _ in range(count)]
    pictures = [paint(scene, rng)[0] for scene in scenes]
    print(f"{count / (time.time() - start):.0f} pictures a second")
    Image.fromarray(sheet(pictures, 4)).save(out)
    for scene in scenes:
        print(scene)
