"""Houses, trees and boats, drawn large and then reduced so that their edges are clean."""

import numpy as np
from PIL import Image, ImageDraw

from brushes import SIZE, colour, lay, mix, unit

SCALE = 4  # drawn this much larger than painted


class _Sheet:
    """A transparent sheet that shapes are drawn on in picture pixels; (0, 0) is the point where the thing stands."""

    def __init__(self, half_width, above, under):
        self.left, self.top = -half_width, -above
        self.image = Image.new("RGBA", (2 * half_width * SCALE, (above + under) * SCALE), (0, 0, 0, 0))
        self.draw = ImageDraw.Draw(self.image)

    def _at(self, points):
        return [((x - self.left) * SCALE, (y - self.top) * SCALE) for x, y in points]

    def polygon(self, paint, points):
        self.draw.polygon(self._at(points), fill=_rgb(paint))

    def ellipse(self, paint, x, y, rx, ry):
        self.draw.ellipse([v for p in self._at([(x - rx, y - ry), (x + rx, y + ry)]) for v in p], fill=_rgb(paint))

    def put_on(self, picture, x, y):
        """Lays the sheet on the picture with its foot at (x, y)."""
        sheet = np.asarray(self.image.reduce(SCALE), np.float32) / 255
        left, top = int(round(x)) + self.left, int(round(y)) + self.top
        h, w = sheet.shape[:2]
        x0, x1, y0, y1 = max(0, left), min(SIZE, left + w), max(0, top), min(SIZE, top + h)
        piece = sheet[y0 - top : y1 - top, x0 - left : x1 - left]
        lay(picture[y0:y1, x0:x1], piece[..., :3], piece[..., 3])


def _rgb(paint):
    return tuple(int(v) for v in np.clip(np.asarray(paint) * 255 + 0.5, 0, 255)) + (255,)


def _ground_shadow(picture, light, x, y, width):
    from brushes import X, Y

    ys = slice(max(0, int(y - 8)), min(SIZE, int(y + 12)))
    d = ((X[ys] - x + light.side * width * 0.25) / width) ** 2 + ((Y[ys] - y - 1) / 5.0) ** 2
    lay(picture[ys], light.shade * colour(0.30, 0.28, 0.38), 0.42 * unit(1.3 - d))


def house(picture, light, x, y, s, rng):
    w, h = 24 * s, 23 * s
    wall, wall_dark = colour(1.0, 0.94, 0.82) * light.sunny, colour(0.98, 0.90, 0.84) * light.shade * 1.06
    roof, roof_dark = colour(0.78, 0.30, 0.20) * light.sunny, colour(0.74, 0.30, 0.24) * light.shade
    pane = colour(1.0, 0.84, 0.40) if light.lamps else colour(0.36, 0.46, 0.58)
    _ground_shadow(picture, light, x, y, w * 1.25)
    sheet = _Sheet(40, 62, 6)
    k = -light.side  # the gable faces the light
    gable = 0.42  # share of the house that is the gable wall
    edge = -k * w + k * 2 * w * gable
    sheet.polygon(wall, [(-k * w, 1), (-k * w, -h), (-k * w + k * w * gable, -h * 1.78), (edge, -h), (edge, 1)])
    sheet.polygon(wall_dark, [(edge, 1), (edge, -h), (k * w, -h), (k * w, 1)])
    ridge = -k * w + k * w * gable
    chimney = k * w * 0.42
    sheet.polygon(
        roof_dark * 0.9,
        [
            (chimney - 3 * s, -h * 1.4),
            (chimney - 3 * s, -h * 2.12),
            (chimney + 3.2 * s, -h * 2.12),
            (chimney + 3.2 * s, -h * 1.4),
        ],
    )
    sheet.polygon(
        mix(roof, roof_dark, 0.45),
        [(ridge, -h * 1.88), (k * w * 0.92, -h * 1.88), (k * w * 1.12, -h * 0.88), (edge + k * 1.0 * s, -h * 0.88)],
    )
    sheet.polygon(
        roof,
        [
            (ridge, -h * 1.92),
            (ridge + k * 3 * s, -h * 1.86),
            (-k * w * 1.10 + k * 4.5 * s, -h * 0.84),
            (-k * w * 1.12, -h * 0.90),
        ],
    )
    sheet.polygon(
        roof,
        [
            (ridge - k * 1.0 * s, -h * 1.92),
            (ridge + k * 2.6 * s, -h * 1.90),
            (edge + k * 3.4 * s, -h * 0.86),
            (edge - k * 0.6 * s, -h * 0.80),
        ],
    )
    gx = ridge
    sheet.polygon(
        pane,
        [(gx - 3.6 * s, -h * 0.92), (gx + 3.6 * s, -h * 0.92), (gx + 3.6 * s, -h * 0.48), (gx - 3.6 * s, -h * 0.48)],
    )
    mid = (edge + k * w) / 2
    for offset in (-7.6 * s, 7.6 * s):
        px = mid + offset
        sheet.polygon(
            pane * (1 if light.lamps else 0.85),
            [
                (px - 3.3 * s, -h * 0.68),
                (px + 3.3 * s, -h * 0.68),
                (px + 3.3 * s, -h * 0.28),
                (px - 3.3 * s, -h * 0.28),
            ],
        )
    sheet.put_on(picture, x, y)


def tree(picture, light, x, y, s, rng):
    trunk = colour(0.40, 0.26, 0.18) * mix(light.sunny, light.shade, 0.5)
    leaf, leaf_dark = colour(0.30, 0.56, 0.22) * light.sunny, colour(0.17, 0.38, 0.24) * light.shade * 1.15
    _ground_shadow(picture, light, x, y, 26 * s)
    sheet = _Sheet(46, 104, 5)
    sheet.polygon(
        trunk,
        [
            (-5 * s, 2),
            (-2.6 * s, -34 * s),
            (-9 * s, -50 * s),
            (-6 * s, -52 * s),
            (0, -40 * s),
            (7 * s, -52 * s),
            (9.5 * s, -50 * s),
            (3 * s, -34 * s),
            (5.4 * s, 2),
        ],
    )
    crown = [(0, -64, 22), (-17, -50, 16), (17, -50, 16), (-10, -70, 15), (11, -69, 15), (0, -48, 16)]
    crown = [
        (cx * s + rng.uniform(-2, 2), cy * s + rng.uniform(-2, 2), r * s * rng.uniform(0.94, 1.08))
        for cx, cy, r in crown
    ]
    for cx, cy, r in crown:
        sheet.ellipse(leaf_dark, cx, cy, r, r * 0.94)
    for cx, cy, r in crown[:5]:
        sheet.ellipse(mix(leaf_dark, leaf, 0.55), cx + light.side * r * 0.16, cy - r * 0.18, r * 0.76, r * 0.68)
    for cx, cy, r in crown[:5]:
        sheet.ellipse(leaf, cx + light.side * r * 0.30, cy - r * 0.36, r * 0.46, r * 0.38)
    sheet.put_on(picture, x, y)


def palm(picture, light, x, y, s, rng):
    trunk, trunk_lit = colour(0.42, 0.28, 0.18) * light.shade * 1.15, colour(0.62, 0.43, 0.26) * light.sunny
    leaf, leaf_dark = colour(0.30, 0.58, 0.26) * light.sunny, colour(0.14, 0.36, 0.24) * light.shade * 1.05
    _ground_shadow(picture, light, x, y, 20 * s)
    sheet = _Sheet(46, 104, 5)
    lean = rng.choice((-1, 1)) * 9 * s
    hx, hy = lean, -64 * s
    sheet.polygon(
        trunk,
        [
            (-4.6 * s, 2),
            (lean * 0.35 - 3 * s, -34 * s),
            (hx - 2.4 * s, hy),
            (hx + 2.4 * s, hy),
            (lean * 0.35 + 3 * s, -34 * s),
            (4.6 * s, 2),
        ],
    )
    k = light.side
    sheet.polygon(
        trunk_lit,
        [
            (k * 0.5 * s, 2),
            (lean * 0.35, -34 * s),
            (hx, hy),
            (hx + k * 2.2 * s, hy),
            (lean * 0.35 + k * 2.8 * s, -34 * s),
            (k * 4.4 * s, 2),
        ],
    )
    for angle in (-2.75, -0.35, -2.35, -0.75, -1.95, -1.2, -3.2, 0.1):
        ax, ay = np.cos(angle), np.sin(angle)
        tip = (hx + ax * 31 * s, hy + ay * 21 * s + 15 * s)
        bend = (hx + ax * 19 * s, hy + ay * 19 * s - 4 * s)
        under = (hx + ax * 16 * s, hy + ay * 14 * s + 7 * s)
        tone = leaf if ax * k > 0 else mix(leaf, leaf_dark, 0.6)
        sheet.polygon(mix(tone, leaf_dark, 0.25), [(hx, hy - 2 * s), bend, tip, under, (hx, hy + 3 * s)])
        sheet.polygon(tone, [(hx, hy - 2 * s), bend, tip, (hx + ax * 17 * s, hy + ay * 16 * s + 1 * s)])
    sheet.put_on(picture, x, y)


def boat(picture, light, x, y, s, rng):
    hull, stripe = (
        colour(0.42, 0.18, 0.14) * mix(light.sunny, light.shade, 0.35),
        colour(0.96, 0.92, 0.84) * light.sunny,
    )
    mast = colour(0.36, 0.24, 0.18) * light.shade * 1.2
    sail, sail_dark = (
        colour(1.0, 0.97, 0.90) * np.maximum(light.sunny, 0.62),
        colour(0.92, 0.88, 0.88) * np.maximum(light.shade * 1.2, 0.46),
    )
    k = light.side

    def draw(sheet, up):
        sheet.polygon(mast, [(-1.1 * s, 0), (-1.0 * s, up * -66 * s), (1.0 * s, up * -66 * s), (1.1 * s, 0)])
        sheet.polygon(
            sail if k > 0 else mix(sail, sail_dark, 0.6),
            [(2.5 * s, up * -64 * s), (4 * s, up * -34 * s), (26 * s, up * -15 * s), (2.5 * s, up * -13 * s)],
        )
        sheet.polygon(
            sail if k < 0 else sail_dark,
            [(-2.5 * s, up * -58 * s), (-9 * s, up * -34 * s), (-20 * s, up * -14 * s), (-2.5 * s, up * -13 * s)],
        )
        sheet.polygon(
            hull, [(-27 * s, up * -10 * s), (29 * s, up * -10 * s), (21 * s, up * 2 * s), (-20 * s, up * 2 * s)]
        )
        sheet.polygon(
            stripe,
            [(-27 * s, up * -10 * s), (29 * s, up * -10 * s), (27.4 * s, up * -7.6 * s), (-25.6 * s, up * -7.6 * s)],
        )

    mirror = _Sheet(44, 4, 46)
    draw(mirror, -0.55)
    faint = np.array(mirror.image)
    fade = np.linspace(0.55, 0.05, faint.shape[0])[:, None]
    faint[..., 3] = (faint[..., 3] * fade).astype(np.uint8)
    mirror.image = Image.fromarray(faint)
    mirror.put_on(picture, x, y + 2 * s)
    sheet = _Sheet(44, 86, 6)
    draw(sheet, 1)
    sheet.put_on(picture, x, y)


def place_things(scene, rng):
    """Feet and sizes of the scene's things, farthest first: (x, y, size)."""
    n = scene.number
    if not n:
        return []
    room = SIZE / n
    # One alone stays near the middle: where it might stand anywhere, the denoiser paints it in two places at once.
    shift = min(26.0, max(2.0, (room - 62) * 0.36))
    xs = (np.arange(n) + 0.5) * room + rng.uniform(-shift, shift, n)
    xs = np.clip(xs, 34, SIZE - 34)
    base = 224 if scene.thing != "boat" else 206
    ys = base + rng.uniform(-9, 12, n)
    sizes = rng.uniform(0.86, 1.06) * rng.uniform(0.94, 1.06, n)
    return sorted(zip(xs, ys, sizes), key=lambda thing: thing[1])


def paint_things(picture, scene, light, places, rng):
    draw = {"house": house, "tree": palm if scene.ground == "desert" else tree, "boat": boat}
    for x, y, s in places:
        draw[scene.thing](picture, light, x, y, s, rng)
