"""The request that the command line sends (SPEC section 5)."""

from __future__ import annotations

from velatura.files.images import Image
from velatura_protocol.messages import digest


def request_of(
    *,
    method: str,
    prompt: str,
    parameters: dict,
    source: Image,
    mask: Image | None,
    seed: int,
    variations: int,
    model: str = "",
    method_version: int = 0,
) -> tuple[dict, dict[str, bytes]]:
    """Return the request and its blobs by digest.

    The source goes with an alpha channel, because results come in its channels and
    their alpha is the selection.
    """
    blobs: dict[str, bytes] = {}

    def raster(image: Image) -> dict:
        data = image.data
        name = digest(data)
        blobs[name] = data
        size = [image.width, image.height]
        return {
            "digest": name,
            "width": image.width,
            "height": image.height,
            "channels": image.channels,
            "dtype": image.dtype,
            "profile": image.profile,
            "rect": [0, 0, *size],
        }

    request = {
        "velatura": 1,
        "method": method,
        "method_version": method_version,
        "model": {"id": model, "digest": ""},
        "prompt": prompt,
        "seed": seed,
        "variations": variations,
        "parameters": parameters,
        "inputs": {"source": raster(source.with_alpha()), "mask": raster(mask) if mask else None},
        "canvas": [source.width, source.height],
        "lease": True,
    }
    return request, blobs
