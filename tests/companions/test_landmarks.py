"""The face detector: OpenCV's own reader on a file in YuNet's layout, whose network always sees one face."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from tests.tiny import tiny_model
from velatura.companions.landmarks import load_landmarks
from velatura.models.catalogue import add
from velatura.models.store import ModelStore
from velatura_protocol.errors import VelaturaError

CPU = torch.device("cpu")
SIDE = 64
POINTS = np.array([[20.0, 22.0], [44.0, 20.0], [33.0, 30.0], [24.0, 44.0], [42.0, 43.0]], np.float32)


def _varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def _field(number, value):
    """A field of a protocol buffer: a whole number, bytes, a text, or several of them."""
    if isinstance(value, list):
        return b"".join(_field(number, one) for one in value)
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _tensor(name, values):
    raw = np.ascontiguousarray(values, np.float32)
    return _field(1, [*raw.shape]) + _field(2, 1) + _field(8, name) + _field(9, raw.tobytes())


def _value(name, shape):
    dims = _field(1, [_field(1, n) for n in shape])
    return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, dims)))


def _node(kind, inputs, outputs, *attributes):
    return _field(1, list(inputs)) + _field(2, list(outputs)) + _field(4, kind) + _field(5, list(attributes))


def yunet(path):
    """Writes the file: for each stride the tables cls, obj, bbox and kps, of a face in one cell of 8."""
    nodes, weights, outputs = [], [], []
    nodes.append(_node("GlobalAveragePool", ["input"], ["mean"]))
    axes = _field(1, "axis") + _field(3, 1) + _field(20, 2)
    nodes.append(_node("Flatten", ["mean"], ["flat"], axes))
    for stride in (8, 16, 32):
        n = (SIDE // stride) ** 2
        tables = {"cls": np.zeros((n, 1)), "obj": np.zeros((n, 1))}
        tables |= {"bbox": np.zeros((n, 4)), "kps": np.zeros((n, 10))}
        if stride == 8:
            tables["cls"][0], tables["obj"][0] = 0.9, 0.9
            tables["bbox"][0] = [4.0, 4.0, np.log(5.0), np.log(5.0)]
            tables["kps"][0] = (POINTS / 8.0).ravel()
        for name, table in tables.items():
            own = f"{name}_{stride}"
            weights.append(_tensor(f"w_{own}", np.zeros((3, table.size))))
            weights.append(_tensor(f"b_{own}", table.ravel()))
            nodes.append(_node("Gemm", ["flat", f"w_{own}", f"b_{own}"], [own]))
            outputs.append(_value(own, (1, table.size)))
    graph = _field(1, nodes) + _field(2, "yunet") + _field(5, weights)
    graph += _field(11, _value("input", (1, 3, SIDE, SIDE))) + _field(12, outputs)
    opset = _field(1, "") + _field(2, 13)
    path.write_bytes(_field(1, 8) + _field(7, graph) + _field(8, opset))
    return path


def test_landmarks_come_in_the_pixels_of_the_picture(tmp_path):
    detector = load_landmarks(yunet(tmp_path / "yunet.onnx"), CPU, torch.float32)
    (found,) = detector.faces(torch.zeros(1, 3, SIDE, SIDE))
    assert torch.allclose(found, torch.from_numpy(POINTS), atol=0.01)


def test_a_model_has_its_file_beside_it(tmp_path):
    path = yunet(tmp_path / "yunet.onnx")
    model = tiny_model(tmp_path / "model")
    entry = add(tmp_path, "mine", str(model), companions={"landmarks": str(path)})
    store = ModelStore([entry])
    store.get()
    assert len(store.landmarks().faces(torch.zeros(1, 3, SIDE, SIDE))) == 1


def test_another_file_is_refused_with_the_way_out(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"no network")
    for path in (tmp_path / "x.onnx", tmp_path / "none.onnx"):
        with pytest.raises(VelaturaError, match="name a YuNet file") as refused:
            load_landmarks(path, CPU, torch.float32)
        assert refused.value.code == "unknown-model"


def test_without_opencv_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(VelaturaError, match=r"pip install velatura\[faces\]"):
        load_landmarks(tmp_path / "yunet.onnx", CPU, torch.float32)
