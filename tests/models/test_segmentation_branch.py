"""The segmentation branch of a style generator."""

import pytest
import torch

from velatura.models.families.style_segmentation import Segmentation
from velatura.models.families.stylegan2 import Shape, StyleGAN2

SHAPE = Shape(z_dim=8, c_dim=0, w_dim=8, channels=(12, 8, 6), mapping_layers=1)


def _generated() -> tuple[StyleGAN2, torch.Tensor]:
    torch.manual_seed(0)
    generator = StyleGAN2(SHAPE).eval()
    return generator, torch.randn(2, SHAPE.num_ws, SHAPE.w_dim)


@pytest.mark.parametrize("side", [16, 24, 128])
def test_it_gives_logits_at_the_size_of_the_picture(side):
    generator, ws = _generated()
    made = generator.synthesis(generator.synthesis.styles(ws))
    branch = Segmentation(SHAPE.channels, classes=5, width=8)
    assert branch(made.features, torch.rand(2, 3, side, side)).shape == (2, 5, side, side)


@pytest.mark.parametrize("way", ["features", "picture"])
def test_the_gradient_reaches_every_layer_of_wplus_through_features_and_through_the_picture(way):
    generator, ws = _generated()
    ws.requires_grad_()
    made = generator.synthesis(generator.synthesis.styles(ws))
    features = made.features if way == "features" else [x.detach() for x in made.features]
    picture = made.picture if way == "picture" else made.picture.detach()
    logits = Segmentation(SHAPE.channels, classes=5, width=8)(features, picture)
    (gradient,) = torch.autograd.grad(logits.square().mean(), ws)
    rows = slice(None) if way == "picture" else slice(0, -1)  # the last layer gives colours only
    assert (gradient[:, rows].abs().amax(-1) > 0).all()


def test_another_number_of_blocks_is_refused():
    with pytest.raises(ValueError, match="2 blocks of features, not 3"):
        Segmentation((4, 4, 4), 3)([torch.zeros(1, 4, 4, 4)] * 2, torch.zeros(1, 3, 16, 16))


def test_it_is_small():
    branch = Segmentation((256, 256, 256), 20)
    assert sum(p.numel() for p in branch.parameters()) < 100_000
