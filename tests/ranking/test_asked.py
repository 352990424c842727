"""Whether a picture shows what was asked for: against the formula written out, on models of every kind."""

import itertools

import numpy as np
import pytest
import torch

from velatura.canvas.region import Seen
from velatura.diffusion.denoiser import denoise
from velatura.ranking.asked import LOOKS, Asked, level, position

SIDE = 64
RNG = np.random.default_rng(5)
IMAGE, *PICTURES = RNG.random((3, SIDE, SIDE, 3), dtype=np.float32)
MASK = np.zeros((SIDE, SIDE), np.float32)
MASK[8:40, 8:56] = 0.75
SEEN = Seen(IMAGE, MASK, np.zeros(3, np.float32))


def written_out(model, picture, prompt, other):
    """The docstring's r, number by number."""
    image = np.empty_like(IMAGE)
    for y, x in itertools.product(range(SIDE), repeat=2):
        image[y, x] = (1 - MASK[y, x]) * IMAGE[y, x] + MASK[y, x] * picture[y, x]
    z = model.encode(torch.from_numpy(image).permute(2, 0, 1)[None] * 2 - 1).double()
    found = []
    for time, seed in LOOKS:
        sigma = model.training_sigmas[int(time * len(model.training_sigmas)) - 1]
        n = torch.randn(z.shape[1:], generator=torch.Generator().manual_seed(seed))[None]
        x = (z + sigma * n).float()
        D_p, D_o = (
            denoise(model, x, float(sigma), model.encode_prompt(text)).double() for text in (prompt, other)
        )
        top = bottom = 0.0
        for z_i, p, o in zip(*(t.flatten().tolist() for t in (z, D_p, D_o)), strict=True):
            top += (o - z_i) ** 2 - (p - z_i) ** 2
            bottom += (p - o) ** 2
        found.append(top / bottom)
    return 1.0 / (1.0 + np.exp(-np.mean(found)))


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("other", ["", "a head"])
def test_it_is_the_formula(tiny, prediction, other):
    model = tiny(prediction, zero_snr=prediction == "v_prediction")
    found = Asked(model, SEEN, "a hat", other).read(PICTURES, lambda: None)
    expected = [written_out(model, picture, "a hat", other) for picture in PICTURES]
    assert found == pytest.approx(expected, abs=1e-3)


def test_a_picture_is_read_alike_whatever_stands_beside_it(tiny):
    asked = Asked(tiny(), SEEN, "a hat")
    assert asked.read(PICTURES[:1], lambda: None) == asked.read(PICTURES, lambda: None)[:1]


def test_the_prompt_as_the_other_text_is_no_other_text(tiny):
    same, none = Asked(tiny(), SEEN, "a hat", "a hat"), Asked(tiny(), SEEN, "a hat")
    assert same.read(PICTURES, lambda: None) == none.read(PICTURES, lambda: None)


def test_texts_that_say_the_same_tell_nothing_apart(tiny):
    assert Asked(tiny(), SEEN, "a hat", "A HAT").read(PICTURES, lambda: None) == [0.5, 0.5]


def test_without_a_prompt_there_is_nothing_to_read(tiny):
    assert Asked(tiny(), SEEN, "").read(PICTURES, lambda: pytest.fail("looked")) is None


def test_it_can_be_stopped_before_every_pass(tiny):
    class StopError(Exception):
        pass

    def stopping_after(count):
        left = iter(range(count))

        def check():
            if next(left, None) is None:
                raise StopError

        return check

    asked = Asked(tiny(), SEEN, "a hat")
    passes = len(PICTURES) * len(LOOKS)
    assert len(asked.read(PICTURES, stopping_after(passes))) == len(PICTURES)
    for count in range(passes):
        with pytest.raises(StopError):
            asked.read(PICTURES, stopping_after(count))


def test_where_a_latent_lies_between_two_predictions():
    D_p, D_o, aside = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    for share in (-1.0, 0.0, 0.5, 1.0, 1.5):
        z = D_o + (share + 1.0) / 2.0 * (D_p - D_o)
        for shift in (0.0, 1.0):
            assert float(position(z + shift * aside, D_p, D_o)) == pytest.approx(share, abs=1e-6)


def test_a_level_is_a_share_of_the_training_times():
    sigmas = np.arange(1.0, 1001.0)
    assert [level(sigmas, time) for time in (0.001, 0.65, 0.8, 1.0)] == [1.0, 650.0, 800.0, 1000.0]
