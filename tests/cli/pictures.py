"""Sample pictures and masks for edits."""

import imagecodecs
import numpy as np

SIZE = (48, 64)  # height, width


def gradient(channels, dtype):
    """A smooth picture [48, 64, channels] with noise in the lowest bits, alpha between a third and full."""
    full = np.iinfo(dtype).max
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    planes = [x / SIZE[1], y / SIZE[0], (x + y) / sum(SIZE), 1 - (x * y) / (3 * SIZE[0] * SIZE[1])]
    colours = {1: planes[:1], 2: [planes[0], planes[3]], 3: planes[:3], 4: planes}[channels]
    noise = np.random.default_rng(3).integers(0, 7, (*SIZE, channels))
    return np.clip(np.stack(colours, axis=-1) * (full - 7) + noise, 0, full).astype(dtype)


def soft_mask():
    """An 8-bit mask [48, 64]: a full square with soft edges, zero elsewhere."""
    mask = np.zeros(SIZE, np.uint8)
    mask[12:36, 16:48] = 120
    mask[14:34, 18:46] = 255
    return mask


def save(path, pixels):
    """Write a PNG by a library that the product does not use for it in this test."""
    path.write_bytes(imagecodecs.png_encode(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))
    return path


def load(path):
    """Read a PNG, always [h, w, c]."""
    pixels = imagecodecs.png_decode(path.read_bytes())
    return pixels if pixels.ndim == 3 else pixels[..., None]
