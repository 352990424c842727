"""Algorithm 1's invariant, and the masks of section 4.3."""

import pytest
import torch

from velatura.diffusion import blending, denoiser, noise, samplers, schedule


def box_mask(size, box):
    m = torch.zeros(1, 1, size, size)
    y0, y1, x0, x1 = box
    m[..., y0:y1, x0:x1] = 1.0
    return m


@pytest.mark.parametrize("sampler", samplers.SAMPLERS.values(), ids=samplers.SAMPLERS.keys())
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_outside_the_mask_the_latents_are_the_noised_source_at_every_step(
    tiny, sampler, progressive, strength
):
    """The method itself is run, and the latents that its sampler goes through are looked at."""
    from velatura.methods.base import MethodInputs
    from velatura.methods.registry import registry

    model = tiny("v_prediction", True)
    method = registry()["blended-latent-diffusion"]
    name = next(key for key, value in samplers.SAMPLERS.items() if value is sampler)
    params = method.Parameters(
        steps=8, strength=strength, sampler=name, progressive_shrinking=progressive, guidance=2.0
    )
    torch.manual_seed(0)
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    mask = box_mask(64, (24, 40, 24, 40))
    mask[..., 30, 24:40] = 0.3
    seeds = [11, 12]
    visited = []

    def watching(D, x, sigmas, after_step):
        def hook(x, step):
            x = after_step(x, step)
            visited.append((x.clone(), step))
            return x

        return sampler(D, x, sigmas, hook)

    class Context:
        decode = model.decode

        is_draft = False

        def step(self, i, n, preview=None, *, stage):
            assert preview().shape == (1, 3, 64, 64)

    Context.model = model
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setitem(samplers.SAMPLERS, name, watching)
        method.run(MethodInputs(image, mask, "a hat", seeds), params, Context())

    sigmas = schedule.sigmas(model.training_sigmas, 8, strength)
    z_init = model.encode(image)
    n = noise.standard_normal(seeds, z_init.shape[1:])
    m = blending.latent_mask(mask, z_init.shape[-2:])
    masks = blending.shrinking_masks(m, len(sigmas) - 1, progressive)
    assert len(visited) == len(sigmas) - 1
    for (x, step), m_step in zip(visited, masks, strict=True):
        outside = (m_step == 0).expand_as(x)
        z_bg = z_init + sigmas[step.i + 1] * n
        assert outside.any()
        assert torch.equal(x[outside], z_bg[outside])
        assert not torch.equal(x[~outside], z_bg[~outside])
    last, step = visited[-1]
    untouched = (m == 0).expand_as(last)
    assert step.sigma_next == 0.0
    assert torch.equal(last[untouched], z_init.expand_as(last)[untouched])


def test_blend_is_linear_in_a_soft_mask():
    fg, bg = torch.full((1, 1, 1, 5), 10.0), torch.full((1, 1, 1, 5), 2.0)
    m = torch.tensor([[[[0.0, 0.25, 0.5, 0.75, 1.0]]]])
    assert torch.equal(blending.blend(fg, bg, m), torch.tensor([[[[2.0, 4.0, 6.0, 8.0, 10.0]]]]))


def test_blend_keeps_what_is_not_finite_inside():
    fg = torch.tensor([[[[float("nan"), 1.0]]]])
    assert torch.equal(
        blending.blend(fg, torch.zeros(1, 1, 1, 2), torch.tensor([[[[0.0, 1.0]]]])),
        torch.tensor([[[[0.0, 1.0]]]]),
    )


def test_a_line_one_pixel_thin_survives_in_the_latent():
    m = torch.zeros(1, 1, 64, 64)
    m[..., 33, :] = 1.0
    latent = blending.latent_mask(m, (8, 8))
    assert latent[0, 0, 4].tolist() == [1.0] * 8
    assert latent.sum() == 8


def test_a_faint_selection_asks_for_the_whole_edit():
    m = torch.zeros(1, 1, 64, 64)
    m[..., 8:24, 8:24] = 0.5
    m[..., 24:32, 8:24] = 0.125
    latent = blending.latent_mask(m, (8, 8))
    assert latent[0, 0, 1:4, 1].tolist() == [1.0, 1.0, 0.25]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 25, 48])
def test_masks_shrink_by_quarters_and_end_on_the_mask(n):
    m = box_mask(64, (30, 32, 30, 32))
    masks = blending.shrinking_masks(m, n, True)
    widths = [int(mask[0, 0, 31].sum()) for mask in masks]
    assert len(masks) == n
    assert widths == sorted(widths, reverse=True)
    if n % 4 == 0:
        assert widths == [w for w in (8, 6, 4, 2) for _ in range(n // 4)]
    assert torch.equal(masks[-1], m)
    assert all((mask >= m).all() for mask in masks)


def test_without_shrinking_every_step_has_the_mask_itself():
    m = box_mask(64, (3, 5, 3, 5))
    assert all(mask is m for mask in blending.shrinking_masks(m, 7, False))


def test_kernels_narrow_in_small_latents():
    m = box_mask(16, (8, 9, 8, 9))
    assert [int(mask[0, 0, 8].sum()) for mask in blending.shrinking_masks(m, 4, True)] == [5, 3, 1, 1]


def test_dilation_of_a_soft_mask_keeps_its_values():
    m = torch.zeros(1, 1, 9, 9)
    m[..., 4, 4] = 0.4
    assert blending.dilate(m, 3)[0, 0, 3:6, 3:6].eq(0.4).all()


def test_full_mask_is_plain_generation(tiny):
    model = tiny()
    D = denoiser.guided(model, "a hat", "", 2.0)
    sigmas = schedule.sigmas(model.training_sigmas, 4)
    n = noise.standard_normal([1], (4, 8, 8))
    m = torch.ones(1, 1, 8, 8)
    with torch.inference_mode():
        plain = samplers.euler(D, sigmas[0] * n, sigmas, lambda x, step: x)
        blended = samplers.euler(
            D, sigmas[0] * n, sigmas, lambda x, step: blending.blend(x, torch.zeros_like(x), m)
        )
    assert torch.equal(plain, blended)
