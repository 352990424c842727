"""Maps that are read from pictures."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from velatura.models.control import maps
from velatura.models.control.kinds import KINDS, kind_of, number
from velatura.models.control.listing import CONTROL, GuideFile
from velatura_protocol.errors import VelaturaError

CPU = torch.device("cpu")


def drawn(ground, ink, side=64):
    """A circle in ink, [h, w, 3] in [0, 1]."""
    image = Image.new("RGB", (side, side), ground)
    ImageDraw.Draw(image).ellipse((12, 12, 50, 50), outline=ink, width=2)
    return np.asarray(image, np.float32) / 255.0


def read(picture, kind, alpha=None, depth=None):
    return maps.read(picture, alpha, kind, depth, CPU)


def test_edges_are_those_of_opencv():
    picture = drawn("white", "navy")
    found = read(picture, "edges")
    grey = np.rint(picture @ np.array((0.299, 0.587, 0.114), np.float32) * 255.0).astype(np.uint8)
    assert np.array_equal(found[..., 0], cv2.Canny(grey, 100, 200) / np.float32(255.0))
    assert 0.02 < found.mean() < 0.3 and found.shape == picture.shape


def test_edges_without_opencv_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(VelaturaError, match=r"pip install velatura\[guides\].*Is a map"):
        read(drawn("white", "navy"), "edges")


@pytest.mark.parametrize("kind", ["lines", "scribble"])
@pytest.mark.parametrize(("ground", "ink"), [("white", "black"), ("#b0a090", "#604020")])
def test_lines_are_white_on_black(kind, ground, ink):
    picture = drawn(ground, ink)
    found = read(picture, kind)[..., 0]
    on_line = np.abs(picture - picture[0, 0]).max(2) > 0.05
    assert found[on_line].mean() > 0.8 and found[~on_line].mean() < 0.05


def test_ink_on_an_empty_layer_is_lines_whatever_its_colour():
    for ink in ("black", "white"):
        alpha = drawn("black", "white")[..., :1]
        over_mean = np.full((64, 64, 3), 1.0 if ink == "white" else 0.0, np.float32)
        assert np.array_equal(read(over_mean, "lines", alpha)[..., 0], alpha[..., 0])
        assert np.array_equal(maps.as_map(over_mean, alpha, "edges")[..., 0], alpha[..., 0])


def test_a_map_of_lines_is_turned_to_white_on_black_and_others_are_left():
    light, dark = drawn("white", "black"), drawn("black", "white")
    assert np.array_equal(maps.as_map(light, None, "lines"), 1.0 - light)
    assert np.array_equal(maps.as_map(dark, None, "lines"), dark)
    assert np.array_equal(maps.as_map(light, None, "depth"), light)
    alpha = np.zeros((64, 64, 1), np.float32)
    assert not maps.as_map(light, alpha, "pose").any()


def test_light_and_colours_are_the_pictures():
    picture = drawn("teal", "orange")
    assert np.array_equal(read(picture, "colours"), picture)
    grey = read(picture, "grey")
    assert np.ptp(grey, axis=2).max() == 0.0 and grey.std() > 0.0


@pytest.mark.parametrize("metric", [False, True])
def test_depth_is_read_near_as_white_by_transformers_network(tmp_path, metric):
    from transformers import DPTConfig, DPTForDepthEstimation, DPTImageProcessor

    config = DPTConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=32,
        patch_size=8,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        is_hybrid=False,
    )
    config.depth_estimation_type = "metric" if metric else "relative"
    network = DPTForDepthEstimation(config).eval()
    for layer in network.head.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.weight.data *= 30.0  # or all of its depths are about the same
    network.save_pretrained(tmp_path)
    processor = DPTImageProcessor(size={"height": 32, "width": 32})
    processor.save_pretrained(tmp_path)
    picture = drawn("white", "black")
    found = read(picture, "depth", depth=tmp_path)
    assert found.shape == (64, 64, 3) and found.min() == 0.0 and found.max() == 1.0
    image = Image.fromarray(np.rint(picture * 255).astype(np.uint8))
    with torch.no_grad():
        told = network(**processor(image, return_tensors="pt")).predicted_depth[0].numpy()
    small = np.asarray(Image.fromarray(found[..., 0]).resize(told.shape[::-1]))
    assert np.corrcoef(small.ravel(), told.ravel())[0, 1] * (-1 if metric else 1) > 0.9


def test_what_cannot_be_read_is_said():
    with pytest.raises(VelaturaError, match=r"“Pose” cannot be read .* switch on “Is a map”"):
        read(drawn("white", "black"), "pose")
    with pytest.raises(VelaturaError, match=r"not on this computer; download one.*Is a map"):
        read(drawn("white", "black"), "depth")


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("control_v11p_sd15_canny_fp16", "edges"),
        ("control_v11f1p_sd15_depth_fp16", "depth"),
        ("control_v11p_sd15_openpose", "pose"),
        ("control_v11p_sd15s2_lineart_anime", "lines"),
        ("control_v11p_sd15_softedge", "scribble"),
        ("control_v11p_sd15_scribble", "scribble"),
        ("control_v11f1e_sd15_tile", "colours"),
        ("control_v11p_sd15_seg", "areas"),
        ("control_v11p_sd15_normalbae", "normals"),
        ("control-lora-recolor-rank256", "grey"),
        ("controlnet-union-sdxl-1.0", "edges"),
        ("diffusers_xl_depth_mid", "depth"),
        ("t2i_anime", "lines"),
    ],
)
def test_the_kind_is_told_by_the_name(title, kind):
    assert kind_of(title) == kind


def test_a_unions_numbers_are_those_of_its_model_card(tmp_path):
    union = GuideFile("0", "u", tmp_path, "sdxl", CONTROL, 6)
    told = {name: number(union, name) for name in KINDS}
    assert told["pose"] == 0 and told["edges"] == told["lines"] == 3 and told["areas"] == 5
    assert told["colours"] is None  # only the later one of eight kinds has it
    assert number(union._replace(kinds=8), "colours") == 6
    assert {number(union._replace(kinds=0), name) for name in KINDS} == {-1}
