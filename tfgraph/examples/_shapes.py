"""Ten classes of images drawn with NumPy: shapes and textures of random place, size, turn, colour and noise.

A class is a function of (u, v), places relative to the figure's centre in units of its size, that is positive inside
the figure and falls by about 1 per unit across its edge: the value times the size in pixels gives a soft edge.
"""

from collections.abc import Callable

import numpy as np

SIDE = 128  # pixels
NOISE = 0.08


def _disc(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return 0.9 - np.hypot(u, v)


def _ring(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return 0.18 - np.abs(np.hypot(u, v) - 0.75)


def _square(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return 0.8 - np.maximum(np.abs(u), np.abs(v))


def _triangle(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    slope = np.sqrt(3) / 2
    return 0.55 - np.maximum(v, slope * np.abs(u) - v / 2)


def _cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    across, down = np.abs(u), np.abs(v)
    return np.minimum(0.25 - np.minimum(across, down), 0.95 - np.maximum(across, down))


def _star(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return 0.6 + 0.35 * np.cos(5 * np.arctan2(u, -v)) - np.hypot(u, v)


def _patch(texture: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.minimum(texture, _square(u, v))


def _horizontal_stripes(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return _patch(np.sin(v * 10) * 0.1, u, v)


def _vertical_stripes(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return _patch(np.sin(u * 10) * 0.1, u, v)


def _checkerboard(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return _patch(np.sin(u * 8) * np.sin(v * 8) * 0.125, u, v)


def _dots(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return _patch((np.cos(u * 10) + np.cos(v * 10) - 0.9) * 0.1, u, v)


FIGURES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "disc": _disc,
    "ring": _ring,
    "square": _square,
    "triangle": _triangle,
    "cross": _cross,
    "star": _star,
    "rows": _horizontal_stripes,
    "columns": _vertical_stripes,
    "checks": _checkerboard,
    "dots": _dots,
}
NAMES = tuple(FIGURES)


def draw_image(label: int, channels: int, random: np.random.Generator) -> np.ndarray:
    """(128, 128, channels) float32 in 0..1 of the class `label`."""
    size = random.uniform(30, 56)
    centre = random.uniform(size, SIDE - size, 2)
    angle = random.uniform(-0.25, 0.25)  # rows and columns stay what they are
    y, x = np.ogrid[0:SIDE, 0:SIDE]
    across, down = ((x - centre[0]) / size).astype(np.float32), ((y - centre[1]) / size).astype(np.float32)
    u, v = across * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - across * np.sin(angle)
    inside = np.clip(FIGURES[NAMES[label]](u, v) * size + 0.5, 0, 1)[..., None]

    background = random.uniform(0.1, 0.9, channels)
    foreground = (background + random.choice([-1, 1]) * random.uniform(0.3, 0.7, channels)) % 1.0
    shading = (x - SIDE / 2) * random.uniform(-1, 1) + (y - SIDE / 2) * random.uniform(-1, 1)
    image = background + (shading / SIDE * 0.3)[..., None] + inside * (foreground - background)
    noise = random.standard_normal(image.shape, np.float32) * np.float32(NOISE)
    return np.clip(image.astype(np.float32) + noise, 0, 1)


def draw_images(count: int, channels: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """`count` images, classes at random: images (count, 128, 128, channels) float32, labels (count,) int64."""
    labels = random.integers(0, len(NAMES), count)
    return np.stack([draw_image(label, channels, random) for label in labels]), labels
