"""Grounds: mountain ranges, rolling hills, sea, dunes and forests, far ones pale and near ones deep."""

import numpy as np
from PIL import Image, ImageDraw

from brushes import ROW, SIZE, WHITE, X, Y, below, colour, first_row, jagged, lay, mix, noise, smooth, unit, wobble

GROUND = {
    "green": colour(0.40, 0.64, 0.26),
    "blue": colour(0.20, 0.46, 0.78),
    "purple": colour(0.54, 0.32, 0.70),
    "red": colour(0.82, 0.28, 0.22),
    "golden": colour(0.95, 0.74, 0.24),
    "white": colour(0.93, 0.95, 0.98),
}


def _tones(scene, light, near):
    """Lit and shadowed colour of the ground; `near` is 0 at the horizon and 1 at the viewer's feet."""
    base = GROUND[scene.colour]
    haze = 0.62 * (1 - near)
    lit = mix(base * light.sunny, light.horizon, haze)
    dark = mix(base * light.shade, light.horizon, haze * 0.85)
    return lit, dark


def _meadow(picture, scene, light, rng, level=196):
    """The near strip of ground that things stand on."""
    line = level + wobble(rng, 70, 3.0) + wobble(rng, 24, 0.8)
    rows = slice(first_row(line), SIZE)
    lit, dark = _tones(scene, light, 0.96)
    depth = smooth((Y[rows] - level) / 75)[..., None] * 0.55
    touch = (0.035 * noise(rng, "stroke") + 0.03 * noise(rng, "wash"))[rows][..., None]
    lay(picture[rows], (lit + (dark - lit) * depth) * (1 + touch), below(line)[rows])


def _own(rise, softness):
    """1 where a column clearly belongs to one summit, 0 where it passes to its neighbour."""
    best = np.sort(rise, axis=0)
    return unit((best[-1] - best[-2]) / softness) if len(best) > 1 else np.ones(SIZE, np.float32)


def _range(picture, scene, light, rng, foot, count, height, near, snow):
    """One range of peaks, each with a sunny and a shadowed face and mist at its foot."""
    centres = ((np.arange(count) + rng.uniform(0.25, 0.75, count)) * SIZE / count).astype(np.float32)
    heights = rng.uniform(*height, count).astype(np.float32)
    slopes = rng.uniform(0.78, 1.05, count).astype(np.float32)
    rise = heights[:, None] - np.abs(ROW[None] - centres[:, None]) * slopes[:, None]
    owner = rise.argmax(0)
    line = foot - np.maximum(rise.max(0), 6 + wobble(rng, 30, 2)) + jagged(rng, 9, 1.5) + jagged(rng, 26, 2.2)
    rows = slice(first_row(line), SIZE)
    y = Y[rows]
    peak = (foot - heights)[owner][None]
    drop = np.maximum(y - peak, 0)
    # The crest runs down from each summit in a zigzag towards the viewer.
    zigzag = jagged(rng, 15, 7.0, 2 * SIZE)
    bends = zigzag[np.minimum(drop, SIZE - 1).astype(int) + (owner * 60)[None]] * unit(drop / 22)
    crest = centres[owner][None] + bends - light.side * drop * 0.16
    face = unit((X[rows] - crest) * light.side * 0.6 + 0.5)
    rough = noise(rng, "dab")[rows]
    face = 0.5 + (face - 0.5) * _own(rise, 9.0)[None]
    face = face * (0.93 + 0.07 * rough) + 0.08 * (1 - face) * rough
    lit, dark = _tones(scene, light, near)
    paint = dark + (lit - dark) * face[..., None]
    cap_line = peak + snow * heights[owner][None] + 3.0 * rough + 5.0 * jagged(rng, 11, 1)[None]
    cap = unit((cap_line - y) * 0.8)[..., None]
    snow_lit = mix(mix(WHITE * light.sunny, light.horizon, 0.10), lit, 0.2 * (1 - near))
    snow_dark = mix(colour(0.78, 0.84, 0.98) * light.shade * 1.15, light.horizon, 0.25)
    paint += (snow_dark + (snow_lit - snow_dark) * face[..., None] - paint) * cap
    mist = (smooth((y - foot + 58) / 70) * 0.66)[..., None]
    paint += (light.horizon - paint) * mist
    lay(picture[rows], paint, below(line)[rows])


def mountains(picture, scene, light, place, rng):
    _range(picture, scene, light, rng, 152, rng.integers(3, 5), (34, 62), 0.30, 0.26)
    _range(picture, scene, light, rng, 178, rng.integers(2, 4), (76, 104), 0.80, 0.30)
    line = 182 + wobble(rng, 60, 5) + wobble(rng, 20, 1.2)
    _slope(picture, scene, light, rng, line, 0.84, 0.35, 40)
    _meadow(picture, scene, light, rng, 204)


def _slope(picture, scene, light, rng, line, near, deep, length):
    """A rounded slope: bright along its back, deeper below."""
    rows = slice(first_row(line), SIZE)
    lit, dark = _tones(scene, light, near)
    depth = smooth((Y[rows] - line[None]) / length)[..., None]
    touch = (0.03 * noise(rng, "stroke") + 0.03 * noise(rng, "wash"))[rows][..., None]
    paint = lit + (mix(lit, dark, deep + 0.45) - lit) * depth
    lay(picture[rows], paint * (1 + touch), below(line)[rows])


def hills(picture, scene, light, place, rng):
    for i, level in enumerate((128, 148, 170, 194)):
        bend = wobble(rng, 96, 9.0) + 5 * np.sin(ROW / rng.uniform(24, 40) + rng.uniform(0, 6.3)).astype(np.float32)
        _slope(picture, scene, light, rng, level + bend, 0.12 + 0.26 * i, 0.15 + 0.1 * (i % 2), 38 + 6 * i)
    _meadow(picture, scene, light, rng, 216)


def sea(picture, scene, light, place, rng):
    horizon = 132
    rows = slice(horizon - 26, SIZE)
    if rng.random() < 0.6:
        _headland(picture, light, rng, horizon)
    y, x = Y[rows], X[rows]
    depth = unit((y - horizon) / (SIZE - horizon))
    lit, dark = _tones(scene, light, 1.0)
    far = mix(lit, light.horizon, 0.55)
    near = mix(lit, dark, 0.50)
    water = far + (lit - far) * smooth(depth * 2.6)[..., None]
    water += (near - water) * smooth(depth * 1.15 - 0.15)[..., None]
    # Waves: flat strokes that widen towards the viewer.
    wave = np.sin(
        np.maximum(y - horizon, 0) ** 0.62 * 3.1 + 2.4 * noise(rng, "wash")[rows] + 0.9 * noise(rng, "stroke")[rows]
    )
    water *= (1 + (0.03 + 0.05 * depth) * wave)[..., None]
    glint = smooth(noise(rng, "stroke")[rows] * 0.9 - 0.75) * (0.12 + 0.30 * depth)
    lay(water, mix(WHITE * light.sunny, light.horizon, 0.35), glint)
    if place:
        ray = colour(1.0, 0.92, 0.66) if scene.body == "sun" else colour(0.92, 0.95, 1.0)
        width = 11 + 30 * depth
        path = np.exp(-(((x - place[0]) / width) ** 2)) * unit(0.50 + 0.55 * wave) * (0.85 - 0.35 * depth)
        lay(water, ray, path * (0.85 if scene.weather in ("clear", "clouds") else 0.6))
    lay(picture[rows], water, unit(y - horizon + 0.5))


def _headland(picture, light, rng, horizon):
    """A far cape in the haze."""
    right = rng.random() < 0.5
    reach, height = rng.uniform(70, 150), rng.uniform(9, 20)
    along = (SIZE - 1 - ROW if right else ROW) / reach
    line = horizon + 2 - height * smooth(1 - along) + wobble(rng, 14, 1.2) * (along < 1)
    line = np.where(along < 1, line, SIZE).astype(np.float32)
    lay(picture, mix(light.horizon, light.shade * colour(0.50, 0.52, 0.70), 0.42), below(line) * (Y < horizon + 1))


def desert(picture, scene, light, place, rng):
    _mesas(picture, scene, light, rng)
    for i, level in enumerate((156, 182, 214)):
        count = (3, 2, 1)[i]
        centres = (np.arange(count) + rng.uniform(0.2, 0.8, count)) * SIZE / count
        heights, widths = rng.uniform(16, 25, count) + 3 * i, rng.uniform(52, 76, count) + 14 * i
        rise = heights[:, None] * np.exp(-((np.abs(ROW[None] - centres[:, None]) / widths[:, None]) ** 1.35))
        owner = rise.argmax(0)
        line = (level - rise.max(0)).astype(np.float32)
        rows = slice(first_row(line), SIZE)
        y = Y[rows]
        drop = np.maximum(y - (level - heights)[owner][None], 0).astype(np.float32)
        curve = 12 * np.sin(drop / 17 + rng.uniform(0, 6.3)) * unit(drop / 20)
        crest = centres[owner][None].astype(np.float32) - light.side * drop * 0.75 + curve
        face = unit((X[rows] - crest) * light.side * 0.45 + 0.5)
        fade = np.exp(-((drop / (44 + 12 * i)) ** 2))
        ripple = 0.035 * np.sin((y - line[None]) * 0.55 + 1.8 * noise(rng, "wash")[rows])
        lit, dark = _tones(scene, light, 0.30 + 0.33 * i)
        soft = 0.22 * smooth((y - line[None]) / 70)
        fade = fade * _own(rise, 7.0)[None]
        shadow = (1 - face) * fade * 0.85 + soft * (1 - (1 - face) * fade)
        paint = lit + (dark - lit) * shadow[..., None]
        lay(picture[rows], paint * (1 + ripple + 0.015 * noise(rng, "stroke")[rows])[..., None], below(line)[rows])


def _mesas(picture, scene, light, rng):
    """Flat-topped rocks on the horizon."""
    line = np.full(SIZE, 152.0, np.float32)
    for _ in range(rng.integers(1, 4)):
        x, width, height = rng.uniform(10, 246), rng.uniform(18, 44), rng.uniform(14, 30)
        shape = 152 - height * unit((width - np.abs(ROW - x)) / 7 + 0.2)
        line = np.minimum(line, shape)
    lit, dark = _tones(scene, light, 0.22)
    rows = slice(first_row(line), 170)
    lay(picture[rows], mix(lit, dark, 0.6) * (1 + 0.03 * noise(rng, "dab")[rows])[..., None], below(line)[rows])


def _conifers():
    """A few drawn firs, each as (mask, brightness of the side turned to the right), 96 pixels high."""
    firs, rng = [], np.random.default_rng(6)
    for _ in range(8):
        height, half = 96, rng.uniform(17, 22)
        mask = Image.new("L", (4 * 48, 4 * height), 0)
        draw = ImageDraw.Draw(mask)
        tiers = 6
        for k in range(tiers):
            top, bottom = height * (k / (tiers + 0.8)) ** 1.05, height * ((k + 1.75) / (tiers + 0.75))
            w = half * (0.22 + 0.78 * (k + 1) / tiers)
            tilt = rng.uniform(-1.5, 1.5)
            points = [
                (24, top),
                (24 + w, bottom + tilt),
                (24 + w * 0.4, bottom - 3),
                (24 - w * 0.4, bottom - 3),
                (24 - w, bottom - tilt),
            ]
            draw.polygon([(4 * px, 4 * py) for px, py in points], fill=255)
        alpha = np.asarray(mask.reduce(4), np.float32) / 255
        yy, xx = np.mgrid[0:height, 0:48].astype(np.float32)
        tier = (yy * (tiers + 0.8) / height) % 1
        side = unit((xx - 24) / 10 + 0.5)
        firs.append((alpha, unit(0.15 + 0.75 * side - 0.35 * tier + 0.1)))
    return firs


def _resized(drawing, size):
    return np.asarray(Image.fromarray(drawing).resize((int(48 * size), int(96 * size)), Image.BILINEAR))


FIR_SIZES = (0.42, 0.5, 0.6, 0.7, 0.8, 0.92)
FIRS = [[(_resized(mask, s), _resized(tone, s)) for s in FIR_SIZES] for mask, tone in _conifers()]


def forest(picture, scene, light, place, rng):
    line = 136 + wobble(rng, 60, 8)
    _slope(picture, scene, light, rng, line, 0.14, 0.2, 60)
    for i, (foot, sizes, count) in enumerate(((168, (0, 2), 15), (192, (1, 4), 12), (214, (3, 6), 9))):
        near = (0.28, 0.62, 1.0)[i]
        lit, dark = _tones(scene, light, near)
        dark = dark * (0.94, 0.80, 0.66)[i]
        lift = wobble(rng, 50, 4)
        xs = (np.arange(count) + rng.uniform(0.15, 0.85, count)) * (SIZE + 24) / count - 12
        for x in rng.permutation(xs):
            alpha, bright = FIRS[rng.integers(len(FIRS))][rng.integers(*sizes)]
            if light.side < 0:
                alpha, bright = alpha[:, ::-1], bright[:, ::-1]
            h, w = alpha.shape
            top, left = int(foot + lift[int(np.clip(x, 0, SIZE - 1))] - h), int(x - w / 2)
            x0, x1 = max(0, left), min(SIZE, left + w)
            if x1 <= x0:
                continue
            part = slice(x0 - left, x1 - left)
            tone = (bright[:, part] * rng.uniform(0.85, 1.1))[..., None]
            lay(picture[top : top + h, x0:x1], dark + (lit - dark) * tone, alpha[:, part])
        if i < 2:
            band = np.exp(-(((Y - foot + 6) / 13) ** 2)) * (Y < foot + 12) * (0.42 - 0.12 * i)
            rows = slice(foot - 36, foot + 12)
            lay(picture[rows], mix(lit, light.horizon, 0.6), band[rows])
            floor = foot - 5 + lift
            _slope(picture, scene, light, rng, floor, near, 0.45, 40)
    _meadow(picture, scene, light, rng, 210)


PAINTERS = {"mountains": mountains, "hills": hills, "sea": sea, "desert": desert, "forest": forest}
