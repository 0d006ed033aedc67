"""Skies: the light of the hour, gradients, sun, moon, stars and clouds."""

from dataclasses import dataclass

import numpy as np

from brushes import SIZE, WHITE, X, Y, colour, lay, mix, noise, smooth, unit

SKY = {
    "blue": colour(0.24, 0.50, 0.90),
    "turquoise": colour(0.10, 0.66, 0.66),
    "violet": colour(0.50, 0.33, 0.82),
    "pink": colour(0.97, 0.50, 0.68),
    "red": colour(0.86, 0.20, 0.20),
    "orange": colour(1.00, 0.62, 0.18),
}
DULL = {"rain": 0.42, "snow": 0.22, "fog": 0.14, "clouds": 0.05, "clear": 0.0}


@dataclass
class Light:
    """The light that everything in one picture is painted in."""

    top: np.ndarray  # sky overhead
    middle: np.ndarray
    horizon: np.ndarray  # also the colour of distance
    sunny: np.ndarray  # multiplies what is lit
    shade: np.ndarray  # multiplies what is in shadow
    side: int  # -1 when it comes from the left, +1 from the right
    lamps: bool  # windows glow


def light_of(scene, rng):
    base = SKY[scene.sky]
    if scene.time == "morning":
        top, middle, horizon = mix(base, WHITE, 0.22), mix(base, (1.0, 0.90, 0.80), 0.55), colour(1.0, 0.91, 0.70)
        sunny, shade = colour(1.04, 0.99, 0.90), colour(0.74, 0.76, 0.90)
    elif scene.time == "day":
        top, middle, horizon = base, mix(base, WHITE, 0.30), mix(base, (1.0, 1.0, 0.97), 0.72)
        sunny, shade = colour(1.06, 1.05, 1.0), colour(0.66, 0.72, 0.86)
    elif scene.time == "evening":
        top, middle, horizon = (
            mix(base * 0.62, (0.20, 0.12, 0.34), 0.25),
            mix(base, (0.98, 0.42, 0.36), 0.22),
            colour(1.0, 0.66, 0.34),
        )
        sunny, shade = colour(1.02, 0.80, 0.66), colour(0.52, 0.42, 0.60)
    else:
        top, middle, horizon = (
            base * 0.24 + colour(0.02, 0.03, 0.10),
            base * 0.42 + colour(0.05, 0.06, 0.15),
            base * 0.56 + colour(0.13, 0.15, 0.26),
        )
        sunny, shade = colour(0.62, 0.68, 0.88), colour(0.36, 0.40, 0.62)
    dull = DULL[scene.weather]
    if dull:
        grey = colour(0.66, 0.69, 0.74) * {"morning": 1.0, "day": 0.98, "evening": 0.72, "night": 0.36}[scene.time]
        top, middle, horizon = mix(top, grey, dull), mix(middle, grey, dull), mix(horizon, grey, dull)
        sunny = mix(sunny, shade, dull * 0.5)
    side = {"left": -1, "right": 1}.get(scene.side) or (-1 if rng.random() < 0.5 else 1)
    return Light(top, middle, horizon, sunny, shade, side, scene.time in ("evening", "night"))


def body_place(scene, rng):
    """Where the sun or moon stands, or None."""
    if scene.body == "none":
        return None
    x = {"left": 50, "middle": 128, "right": 206}[scene.side] + rng.uniform(-14, 14)
    low = {"mountains": 52, "forest": 72}.get(scene.ground, 72)
    y = rng.uniform(34, low)
    if scene.time in ("evening", "morning") and scene.body == "sun":
        y = rng.uniform(0.5 * (34 + low), low + 6)
    if scene.weather == "rain":
        y = max(y, rng.uniform(58, 66))  # below the rain clouds
    return x, y


def paint_sky(scene, light, place, rng):
    """The whole canvas as sky, with stars, sun or moon, and clouds."""
    t = unit(Y / 158 + 0.05 * noise(rng, "wash") + 0.012 * noise(rng, "stroke"))
    lower = smooth(t * 1.9 - 0.9)[..., None]
    upper = smooth(t * 1.75)[..., None]
    picture = light.top + (light.middle - light.top) * upper
    picture += (light.horizon - picture) * lower
    picture *= (1 + 0.016 * noise(rng, "stroke") + 0.016 * noise(rng, "wash"))[..., None]
    if scene.time == "night":
        _stars(picture, place, rng)
    if place:
        (_sun if scene.body == "sun" else _moon)(picture, scene, light, *place)
    if scene.weather == "clouds":
        _clouds(picture, scene, light, place, rng)
    if scene.weather == "rain":
        _rain_clouds(picture, scene, light, rng)
    return picture


def _stars(picture, place, rng):
    for _ in range(rng.integers(16, 26)):
        x, y, r = rng.uniform(6, SIZE - 6), rng.uniform(6, 104), rng.uniform(0.9, 1.7)
        if place and np.hypot(x - place[0], y - place[1]) < 40:
            continue
        ys, xs = slice(int(y) - 4, int(y) + 5), slice(int(x) - 4, int(x) + 5)
        d = np.hypot(X[ys, xs] - x, Y[ys, xs] - y)
        lay(picture[ys, xs], colour(1.0, 0.98, 0.90), 0.85 * unit(r - d + 0.5) + 0.12 * np.exp(-((d / 3) ** 2)))


def _sun(picture, scene, light, x, y):
    low = scene.time in ("evening", "morning")
    radius = 23 if low else 20
    # Yellow, where moons are white, and brighter than the deep glow around it: it must stand out from a pink morning too.
    core = {"morning": colour(1.0, 0.92, 0.50), "evening": colour(1.0, 0.86, 0.46)}.get(
        scene.time, colour(1.0, 0.97, 0.72)
    )
    halo = {"morning": colour(1.0, 0.74, 0.42), "evening": colour(1.0, 0.58, 0.26)}.get(
        scene.time, colour(1.0, 0.93, 0.62)
    )
    d = np.hypot(X - x, Y - y)
    lay(picture, halo, (0.42 if low else 0.28) * np.exp(-((d / 78) ** 2)))
    lay(picture, mix(halo, core, 0.15 if scene.time == "morning" else 0.45), 0.60 * np.exp(-((d / 38) ** 2)))
    lay(picture, core, unit(radius - d + 0.5))


def _moon(picture, scene, light, x, y):
    night = scene.time == "night"
    d = np.hypot(X - x, Y - y)
    lay(picture, mix(light.horizon, (0.88, 0.92, 1.0), 0.6), (0.38 if night else 0.22) * np.exp(-((d / 56) ** 2)))
    lay(picture, colour(0.93, 0.95, 1.0), (0.34 if night else 0.26) * np.exp(-((d / 30) ** 2)))
    bite = unit(np.hypot(X - x - 10, Y - y + 6) - 17.5 + 0.5)
    lay(picture, colour(1.0, 0.98, 0.90), unit(20 - d + 0.5) * bite)


def _clouds(picture, scene, light, place, rng):
    glow = {
        "morning": colour(1.0, 0.95, 0.88),
        "day": WHITE,
        "evening": colour(1.0, 0.76, 0.62),
        "night": mix(light.horizon, (0.62, 0.66, 0.86), 0.6),
    }[scene.time]
    belly = mix(glow, light.middle * 0.9, 0.55)
    rough = noise(rng, "soft") * 0.5 + noise(rng, "dab") * 0.35
    slots = rng.permutation(3)
    for slot in slots[: rng.integers(2, 4)]:
        x, y = (slot + rng.uniform(0.2, 0.8)) * SIZE / 3, rng.uniform(30, 96)
        width = rng.uniform(36, 52)
        if place and abs(x - place[0]) < width + 26:
            y = place[1] + (50 if place[1] < 58 else -44)
            if not 18 < y < 112:
                continue
        ys = slice(max(0, int(y - 44)), int(y + 14))
        cx, cy, r2 = X[ys], Y[ys], rough[ys]
        mask = np.zeros(cx.shape, np.float32)
        for k, size in enumerate((0.30, 0.44, 0.52, 0.40, 0.26)):
            px, rr = x + (k - 2) * width * 0.46 + rng.uniform(-4, 4), width * size * rng.uniform(0.9, 1.12)
            d = ((cx - px) / (rr * 1.15)) ** 2 + ((cy - y + rr * 0.40) / rr) ** 2
            np.maximum(mask, unit((1 - d + 0.16 * r2) * rr * 0.28), out=mask)
        mask *= unit((y + 5 + 2.5 * r2 - cy) * 0.5)
        depth = smooth((cy - y + width * 0.42 + 3 * r2) / (width * 0.52))[..., None]
        lay(picture[ys], glow + (belly - glow) * depth, 0.95 * mask)


def _rain_clouds(picture, scene, light, rng):
    heavy = mix(light.top * 0.72, colour(0.40, 0.43, 0.50) * light.sunny, 0.5)
    edge = 26 + 9 * noise(rng, "soft") + 3 * noise(rng, "dab")
    lay(picture, heavy * (1 + 0.05 * noise(rng, "soft"))[..., None], 0.72 * smooth((edge - Y) / 16 + 0.5))
