"""A kind of model whose sizes are no sizes, and which ends the process for one path."""

import numpy as np

KIND = "sizes"
TITLE = "a model of no size"
SIZES = {"text": "64", "numpy": np.int64(64), "number": 64.0, "zero": 0, "huge": 10**6, "boolean": True}


def recognise(path):
    if path.name == "ends":
        raise SystemExit(3)
    return SIZES.get(path.name)


def load(path, id, digest, device, dtype):
    raise AssertionError("it has no size")
