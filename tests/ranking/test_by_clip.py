"""How far a picture went towards its prompt, as CLIP reads it: against the formula written out."""

import numpy as np
import pytest
import torch

from tests.tiny import tiny_clip
from velatura.canvas.region import Seen
from velatura.companions.clip import load_encoder
from velatura.ranking.by_clip import AskedOfClip

CPU = torch.device("cpu")
SIDE = 48
RNG = np.random.default_rng(5)
IMAGE, *PICTURES = RNG.random((3, SIDE, SIDE, 3), dtype=np.float32)
MASK = np.zeros((SIDE, SIDE), np.float32)
MASK[8:40, 8:44] = 0.75
SEEN = Seen(IMAGE, MASK, np.zeros(3, np.float32))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return load_encoder(str(tiny_clip(tmp_path_factory.mktemp("clip"), words=20)), CPU, torch.float32)


class Fixed:
    """A CLIP with chosen cosines, in their order."""

    def __init__(self, *cosines):
        self.left = iter(cosines)

    def similarity(self, pictures, sentences):
        return torch.tensor([[next(self.left)]])


def ignored():
    pass


def test_it_is_the_formula(clip):
    text = clip.texts(["a hat"])[0].double()

    def cosine(picture):
        image = torch.from_numpy((1 - MASK[..., None]) * IMAGE + MASK[..., None] * picture)
        return float(clip.images(image.permute(2, 0, 1)[None])[0].double() @ text)

    before = cosine(IMAGE)
    expected = [0.5 + 0.5 * (cosine(picture) - before) / (1.0 - before) for picture in PICTURES]
    found = AskedOfClip(clip, SEEN, "a hat", CPU).read(PICTURES, ignored)
    assert found == pytest.approx(expected, abs=1e-5) and found[0] != found[1]
    assert AskedOfClip(clip, SEEN, "a hat", CPU).read(PICTURES[1:], ignored) == found[1:]


def test_the_layer_is_in_the_middle_and_the_bounds_are_kept(clip):
    assert AskedOfClip(clip, SEEN, "a hat", CPU).read([IMAGE], ignored) == [0.5]
    read = AskedOfClip(Fixed(0.6, 1.0, 0.8, 0.6, 0.4, -1.0), SEEN, "a hat", CPU).read
    assert read([IMAGE] * 5, ignored) == pytest.approx([1.0, 0.75, 0.5, 0.25, 0.0])


def test_without_a_prompt_there_is_nothing_to_read(clip):
    assert AskedOfClip(clip, SEEN, "", CPU).read(PICTURES, lambda: pytest.fail("looked")) is None


def test_it_can_be_stopped_before_every_look(clip):
    asked, looks = AskedOfClip(clip, SEEN, "a hat", CPU), []
    asked.read(PICTURES, lambda: looks.append(None))
    assert len(looks) == len(PICTURES) * asked.looks

    def stop():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        asked.read(PICTURES, stop)
