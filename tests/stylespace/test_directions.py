"""Global directions against a brute force on a generator that is linear."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from tests.stylespace.toys import Linear, Looks
from velatura.cache import values
from velatura.stylespace import directions
from velatura_protocol.errors import VelaturaError

NAMES = ("“Instead of”", "The prompt")


def ignored(i, n):
    pass


@pytest.fixture(scope="module")
def measured():
    model, clip = Linear(), Looks()
    sigma = directions.deviations(model, 150, ignored)
    return model, clip, directions.measure(model, clip, sigma, 6, [], ignored, batch=4)


def test_the_deviations_are_those_of_the_sampled_codes(measured):
    model, _, relevance = measured
    S = model.styles(model.wplus(model.sample(range(150), 0.7)))
    assert len(S) == len(relevance.deviations)
    for found, s in zip(relevance.deviations, S, strict=True):
        torch.testing.assert_close(found, s.std(0, correction=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("sigmas", "least"), [(0.01, 0.9999), (5.0, 0.9)])
def test_a_channels_direction_is_the_mean_of_what_its_moves_do_to_clips_vector(measured, sigmas, least):
    """The published moves of 5 deviations to either side, and small ones."""
    model, clip, relevance = measured
    S = model.styles(model.wplus(model.sample(range(directions.FIRST, directions.FIRST + 6), 0.7)))
    cosines = []
    for place in (0, 2, 4):
        for c in range(4):
            units = []
            for picture in range(6):
                ends = []
                for sign in (sigmas, -sigmas):
                    s = [part[picture : picture + 1].clone() for part in S]
                    s[place][0, c] += sign * relevance.deviations[place][c]
                    ends.append(clip.images((model.synthesise(s).pictures + 1) / 2)[0])
                units.append((ends[0] - ends[1]) / (ends[0] - ends[1]).norm())
            mean = torch.stack(units).mean(0)
            cosines.append(float(relevance.unit[len(cosines)] @ mean / mean.norm()))
    assert relevance.unit.shape == (len(cosines), clip.d)
    assert min(cosines) > least


def test_a_channels_effect_is_the_mean_move_of_clips_vector_for_a_deviation(measured):
    model, clip, relevance = measured
    S = model.styles(model.wplus(model.sample(range(directions.FIRST, directions.FIRST + 6), 0.7)))
    for row, (place, c) in enumerate((place, c) for place in (0, 2, 4) for c in range(4)):
        ends = []
        for sign in (0.01, -0.01):
            s = [part.clone().double() for part in S]
            s[place][:, c] += sign * relevance.deviations[place][c]
            pictures = sum(a @ B.double() for a, B in zip(s, model.to_pixels, strict=True))
            ends.append(F.normalize((pictures + 1) / 2 @ clip.A.double(), dim=-1))
        expected = (ends[0] - ends[1]).mean(0) / 0.02
        torch.testing.assert_close(relevance.effect[row].double(), expected, rtol=1e-3, atol=1e-5)


def test_the_direction_has_the_channels_above_beta_scaled_by_the_largest_and_their_deviation(measured):
    model, clip, relevance = measured
    delta_t = directions.text_direction(clip, "a face", "a beard", (), NAMES)
    expected_t = clip.text("a beard") - clip.text("a face")
    torch.testing.assert_close(delta_t, expected_t / expected_t.norm())
    cosines = [float(unit @ delta_t) for unit in relevance.unit]
    beta = sorted(abs(c) for c in cosines)[6] + 1e-6  # the middle
    left = [
        float(effect @ delta_t) if abs(c) >= beta else 0.0
        for c, effect in zip(cosines, relevance.effect, strict=True)
    ]
    found = directions.direction(model, relevance, delta_t, beta)
    flat = torch.cat([found[place] / relevance.deviations[place] for place in (0, 2, 4)])
    torch.testing.assert_close(flat, torch.tensor([size / max(map(abs, left)) for size in left]))
    assert (flat == 0).sum() == 7
    assert not found[1].any() and not found[3].any()  # colours


def test_a_step_is_linear_at_first_and_no_channel_goes_farther_than_its_limit(measured):
    model, clip, relevance = measured
    delta_t = directions.text_direction(clip, "a face", "a beard", (), NAMES)
    found, sigma = directions.direction(model, relevance, delta_t, 0.0), relevance.deviations
    little, half, much, back = (directions.step(found, sigma, a, 3.0) for a in (0.01, 3.0, 300.0, -3.0))
    largest = 0.0
    for place in range(len(found)):
        torch.testing.assert_close(little[place], 0.01 * found[place], rtol=1e-4, atol=1e-9)
        expected = [
            3.0 * s * math.tanh(d / s) if s else 0.0
            for d, s in zip(found[place].tolist(), sigma[place].tolist(), strict=True)
        ]
        torch.testing.assert_close(half[place], torch.tensor(expected))
        assert torch.equal(back[place], -half[place])
        assert (much[place].abs() <= 3.0 * sigma[place] * (1.0 + 1e-6)).all()
        assert torch.equal(much[place].sign(), found[place].sign())
        largest = max(largest, float((much[place].abs() / sigma[place].clamp(min=1e-12)).max()))
    assert largest == pytest.approx(3.0, rel=1e-3)
    s = model.styles(model.wplus(model.sample([1, 2])))
    torch.testing.assert_close(directions.moved(s, half)[2], s[2] + half[2])


def test_the_direction_leads_clips_vector_to_the_text(measured):
    model, clip, relevance = measured
    delta_t = directions.text_direction(clip, "a face", "a beard", (), NAMES)
    found, sigma = directions.direction(model, relevance, delta_t, 0.1), relevance.deviations
    s = model.styles(model.wplus(model.sample(range(900, 920), 0.7)))
    cosine = [
        (
            clip.images(
                (
                    model.synthesise(directions.moved(s, directions.step(found, sigma, alpha, 3.0))).pictures
                    + 1
                )
                / 2
            )
            @ delta_t
        ).mean()
        for alpha in (-4.0, 0.0, 4.0)
    ]
    assert cosine[0] < cosine[1] - 0.02 and cosine[1] + 0.02 < cosine[2]


def test_no_channel_above_beta_gives_no_move(measured):
    model, clip, relevance = measured
    found = directions.direction(model, relevance, clip.text("a beard"), 2.0)
    assert not any(part.any() for part in found)


def test_templates_take_the_text_without_its_article(measured):
    _, clip, _ = measured
    found = directions.text_vector(clip, "The red hat", ("a photo of a {}", "my {}"), "The prompt")
    both = clip.text("a photo of a red hat") + clip.text("my red hat")
    torch.testing.assert_close(found, F.normalize(both / 2, dim=0))
    assert directions.text_vector(clip, "an", ("{}",), "The prompt").equal(
        F.normalize(clip.text("an"), dim=0)
    )
    assert len(set(directions.TEMPLATES)) == len(directions.TEMPLATES)
    assert all(template.count("{}") == 1 for template in directions.TEMPLATES)


def test_a_text_that_clip_does_not_read_whole_is_refused(measured):
    _, clip, _ = measured
    with pytest.raises(VelaturaError, match=r"^“Instead of” is too long"):
        directions.text_direction(clip, "x" * 41, "y", (), NAMES)
    with pytest.raises(VelaturaError, match=r"^The prompt is too long"):
        directions.text_direction(clip, "x", "y" * 35, ("a photo of {}",), NAMES)


def test_a_measurement_that_is_stopped_goes_on_with_the_pictures_that_are_missing(measured):
    model, clip, relevance = measured

    def stopping(i, n):
        if i == 9:
            raise KeyboardInterrupt

    begun: list[torch.Tensor] = []
    with pytest.raises(KeyboardInterrupt):
        directions.measure(model, clip, relevance.deviations, 6, begun, stopping, batch=4)
    begun, steps = values.unpack("k", values.pack("k", begun)), []
    with torch.inference_mode():
        again = directions.measure(
            model, clip, relevance.deviations, 6, begun, lambda i, n: steps.append((i, n)), batch=4
        )
    assert torch.equal(again.unit, relevance.unit) and torch.equal(again.effect, relevance.effect)
    assert steps == [(i, 14) for i in range(8, 15)]


def test_what_was_measured_can_be_kept_on_disk(measured):
    *_, relevance = measured
    again = values.unpack("k", values.pack("k", relevance))
    assert torch.equal(again.unit, relevance.unit)
    assert all(map(torch.equal, again.deviations, relevance.deviations))
