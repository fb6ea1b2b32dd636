"""Simple faces drawn with NumPy, with Kaggle's 15 keypoints: the keypoints example runs without its data.

Everything is drawn in the face's own coordinates (u to the right, v down, the head about 1 across) which a random
rotation, size and place map to pixels; a shape is an ellipse, tilted or bent, laid over the image with soft edges.
"""

import numpy as np

from ._keypoint_files import SIDE, Faces

KEYPOINTS = (
    "left_eye_center", "right_eye_center", "left_eye_inner_corner", "left_eye_outer_corner",
    "right_eye_inner_corner", "right_eye_outer_corner", "left_eyebrow_inner_end", "left_eyebrow_outer_end",
    "right_eyebrow_inner_end", "right_eyebrow_outer_end", "nose_tip", "mouth_left_corner", "mouth_right_corner",
    "mouth_center_top_lip", "mouth_center_bottom_lip",
)  # fmt: skip
ALWAYS_MARKED = {"left_eye_center", "right_eye_center", "nose_tip", "mouth_center_bottom_lip"}  # as in Kaggle's file
INCOMPLETE = 0.3  # share of faces that lack keypoints
MISSING = 0.5  # share of the other keypoints that an incomplete face lacks


class Canvas:
    """One image, and for every pixel its place (u, v) in the face."""

    def __init__(self, centre: np.ndarray, size: float, angle: float, background: np.ndarray) -> None:
        y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
        self._turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
        self._centre = centre.astype(np.float32)
        self._size = np.float32(size)
        across, down = (x - self._centre[0]) / self._size, (y - self._centre[1]) / self._size
        self._u = across * self._turn[0, 0] + down * self._turn[1, 0]
        self._v = across * self._turn[0, 1] + down * self._turn[1, 1]
        self.image = background.astype(np.float32)

    def ellipse(
        self, u: float, v: float, width: float, height: float, shade: float, *, tilt: float = 0.0, bend: float = 0.0
    ) -> None:
        """Lay an ellipse of half axes `width`, `height` over the image; `tilt` slopes it, `bend` curves its ends."""
        across = self._u - np.float32(u)
        down = self._v - np.float32(v) - np.float32(tilt) * across - np.float32(bend) * across**2
        distance = np.sqrt((across / np.float32(width)) ** 2 + (down / np.float32(height)) ** 2)
        softness = np.float32(self._size * min(width, height))  # about one pixel of soft edge
        self.image += (np.float32(shade) - self.image) * np.clip((1 - distance) * softness + 0.5, 0, 1)

    def to_pixels(self, points: np.ndarray) -> np.ndarray:
        """(k, 2) places (u, v) -> (k, 2) pixels (x, y)."""
        return points @ self._turn.T * self._size + self._centre


def draw_face(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One face: image (96, 96) float32 in 0..1 and keypoints (15, 2) in pixels, in the order of `KEYPOINTS`."""
    pick = random.uniform
    slope = np.linspace(-1, 1, SIDE)[:, None] * pick(-0.15, 0.15) + np.linspace(-1, 1, SIDE)[None, :] * pick(-0.15, 0.15)
    canvas = Canvas(pick((42, 45), (54, 57)), pick(32, 42), pick(-0.3, 0.3), pick(0.2, 0.8) + slope)
    skin, hair = pick(0.5, 0.85), pick(0.05, 0.4)
    look = pick(-0.06, 0.06)  # the whole face turns to a side
    eye_u, eye_v, eye_width, eye_height = pick(0.36, 0.46), pick(-0.3, -0.2), pick(0.14, 0.18), pick(0.06, 0.1)
    brow_v, brow_tilt, brow_bend = eye_v - pick(0.2, 0.28), pick(-0.15, 0.2), pick(0.2, 0.7)
    nose_v = pick(0.1, 0.2)
    mouth_v, mouth_width, mouth_height, smile = pick(0.46, 0.56), pick(0.24, 0.36), pick(0.05, 0.12), pick(-1.2, 0.3)

    canvas.ellipse(0, -0.15, 0.98, 1.12, hair)
    canvas.ellipse(0, 0.05, pick(0.78, 0.88), pick(0.98, 1.08), skin)
    canvas.ellipse(look * 1.4, nose_v - 0.2, 0.06, 0.26, skin + 0.08)
    canvas.ellipse(look * 1.6, nose_v + 0.03, pick(0.1, 0.15), 0.05, skin - 0.2)
    points = {"nose_tip": (look * 1.6, nose_v)}
    for side, name in ((1, "left"), (-1, "right")):  # the person's left is the viewer's right
        u = side * eye_u + look
        canvas.ellipse(u, eye_v, eye_width, eye_height, 0.95)
        canvas.ellipse(u + look * 0.5, eye_v, eye_height * 0.9, eye_height * 0.9, 0.08)
        canvas.ellipse(u, brow_v, 0.2, 0.045, hair, tilt=side * brow_tilt, bend=brow_bend)
        points[f"{name}_eye_center"] = (u, eye_v)
        points[f"{name}_eye_inner_corner"] = (u - side * eye_width, eye_v)
        points[f"{name}_eye_outer_corner"] = (u + side * eye_width, eye_v)
        points[f"{name}_eyebrow_inner_end"] = (u - side * 0.2, brow_v - brow_tilt * 0.2 + brow_bend * 0.04)
        points[f"{name}_eyebrow_outer_end"] = (u + side * 0.2, brow_v + brow_tilt * 0.2 + brow_bend * 0.04)
        points[f"mouth_{name}_corner"] = (look + side * mouth_width, mouth_v + smile * mouth_width**2)
    canvas.ellipse(look, mouth_v, mouth_width, mouth_height, skin - 0.35, bend=smile)
    points["mouth_center_top_lip"] = (look, mouth_v - mouth_height)
    points["mouth_center_bottom_lip"] = (look, mouth_v + mouth_height)

    image = canvas.image + random.standard_normal((SIDE, SIDE), np.float32) * np.float32(pick(0.02, 0.06))
    return np.clip(image, 0, 1), canvas.to_pixels(np.array([points[name] for name in KEYPOINTS]))


def draw_faces(count: int, seed: int) -> Faces:
    """`count` faces, the same for the same `seed`; three in ten lack some keypoints, NaN as an empty cell is."""
    random = np.random.default_rng([seed, 96])
    drawn = [draw_face(random) for _ in range(count)]
    images = np.stack([image.reshape(-1) for image, _ in drawn])
    keypoints = np.stack([points for _, points in drawn]).astype(np.float32)  # (n, 15, 2)
    optional = np.array([name not in ALWAYS_MARKED for name in KEYPOINTS])
    unmarked = random.random((count, len(KEYPOINTS))) < MISSING
    incomplete = random.random(count) < INCOMPLETE
    keypoints[unmarked & optional & incomplete[:, None]] = np.nan
    names = tuple(f"{name}_{axis}" for name in KEYPOINTS for axis in "xy")
    return Faces(images, keypoints.reshape(count, -1), names)
