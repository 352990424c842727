"""Picture files in and out: PNG, JPEG, WebP and TIFF to read; PNG and OpenRaster to write."""

from velatura.files.images import Image, Layer, read_image, read_mask
from velatura.files.ora import write_ora
from velatura.files.png import write_png

__all__ = ["Image", "Layer", "read_image", "read_mask", "write_ora", "write_png"]
