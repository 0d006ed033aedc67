"""The painter's tools: the canvas grid, colours, soft noise and ways to lay paint on a picture."""

import numpy as np

SIZE = 256
Y, X = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
ROW = np.arange(SIZE, dtype=np.float32)
WHITE = np.array((1.0, 1.0, 1.0), np.float32)


def colour(*rgb):
    return np.array(rgb, np.float32)


def mix(a, b, t):
    """Colour a at t = 0, colour b at t = 1."""
    return np.asarray(a, np.float32) * (1 - t) + np.asarray(b, np.float32) * t


def unit(z):
    return np.clip(z, 0, 1)


def smooth(z):
    z = np.clip(z, 0, 1)
    return z * z * (3 - 2 * z)


def _noise_bank(sigma_x, sigma_y, count, seed, size=352):
    rng = np.random.default_rng(seed)
    fx, fy = np.fft.fftfreq(size)[None, :], np.fft.fftfreq(size)[:, None]
    blur = np.exp(-2 * np.pi**2 * ((fx * sigma_x) ** 2 + (fy * sigma_y) ** 2))
    bank = [np.fft.ifft2(np.fft.fft2(rng.standard_normal((size, size))) * blur).real for _ in range(count)]
    return np.stack([b / b.std() for b in bank]).astype(np.float32)


BANKS = {
    "wash": _noise_bank(46, 13, 10, 1),  # broad, watery
    "stroke": _noise_bank(20, 2.6, 10, 2),  # long flat brush strokes
    "soft": _noise_bank(14, 12, 10, 3),  # cloudy
    "dab": _noise_bank(4.5, 3.6, 10, 4),  # short touches of the brush
}


def noise(rng, kind):
    """A random piece of noise of the whole canvas, of mean 0 and deviation 1."""
    bank = BANKS[kind]
    i, (y, x) = rng.integers(len(bank)), rng.integers(0, bank.shape[1] - SIZE, 2)
    piece = bank[i, y : y + SIZE, x : x + SIZE]
    return piece[:, ::-1] if rng.random() < 0.5 else piece


def wobble(rng, period, amplitude, length=SIZE):
    """A wandering line: smooth random knots `period` pixels apart."""
    knots = rng.normal(0, amplitude, int(length / period) + 4)
    t = np.arange(length) / period + rng.random()
    i = t.astype(int)
    f = t - i
    f = f * f * (3 - 2 * f)
    return (knots[i] * (1 - f) + knots[i + 1] * f).astype(np.float32)


def jagged(rng, period, amplitude, length=SIZE):
    """A broken line: straight between random knots `period` pixels apart."""
    knots = rng.normal(0, amplitude, int(length / period) + 4)
    return np.interp(np.arange(length) / period + rng.random(), np.arange(len(knots)), knots).astype(np.float32)


def lay(picture, paint, mask):
    """Lays paint (a colour or a picture) over the picture where the mask is."""
    picture += (paint - picture) * mask[..., None]


def below(line, softness=1.0):
    """Mask of everything under a line of heights, with a crisp edge."""
    return unit((Y - line[None, :]) / softness + 0.5)


def first_row(line, margin=3):
    """The first row that a layer under this line can touch: the rest of the canvas need not be painted."""
    return max(0, int(line.min()) - margin)
