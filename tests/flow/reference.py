"""The published updates written out plainly: velocities, two rows, no reuse, in double precision where it
pays.

From the papers' pseudo-code; nothing of `velatura.flow` is used.
"""

from __future__ import annotations

import torch


def velocity(D, z, t, c):
    """v = (z - x0) / t of a denoiser D(x; sigma, c) with x = z / (1 - t), sigma = t / (1 - t)."""
    return (z - D(z / (1.0 - t), t / (1.0 - t), c)) / t


def times(sigmas):
    return [sigma / (1.0 + sigma) for sigma in sigmas]


def flow_align(v, x_src, noises, ts, c_src, c_tar, w, zeta):
    """FlowAlign's loop: v_p guided from the source's caption, v_q, and the pull of the predicted pictures."""
    z = x_src.clone()
    for t, t_next, eps in zip(ts, ts[1:], noises, strict=False):
        q = (1.0 - t) * x_src + t * eps
        p = z + q - x_src
        v_p = v(p, t, c_src) + w * (v(p, t, c_tar) - v(p, t, c_src))
        v_q = v(q, t, c_src)
        z = z + (t_next - t) * (v_p - v_q) + zeta * ((q - t * v_q) - (p - t * v_p))
    return z


def flow_slider(v, x_src, noises, ts, c_src, c_neg, pairs):
    """FlowSlider's loop with a sum over dials. pairs: (c_pos, c_neg of the dial, s)."""
    z = x_src.clone()
    for t, t_next, eps in zip(ts, ts[1:], noises, strict=False):
        z_src = (1.0 - t) * x_src + t * eps
        z_tar = z + z_src - x_src
        V = v(z_tar, t, c_neg) - v(z_src, t, c_src)
        for c_pos, c_away, s in pairs:
            V = V + s * (v(z_tar, t, c_pos) - v(z_tar, t, c_away))
        z = z + (t_next - t) * V
    return z


def flow_edit(v, x_src, noises, ts, c_src, c_tar, c_null, w_src, w_tar):
    """FlowEdit's loop with classifier-free guidance; noises: per step, several that are averaged."""

    def guided(z, t, c, w):
        return v(z, t, c_null) + w * (v(z, t, c) - v(z, t, c_null))

    z = x_src.clone()
    for t, t_next, draws in zip(ts, ts[1:], noises, strict=False):
        V = torch.zeros_like(z)
        for eps in draws:
            z_src = (1.0 - t) * x_src + t * eps
            z_tar = z + z_src - x_src
            V = V + (guided(z_tar, t, c_tar, w_tar) - guided(z_src, t, c_src, w_src)) / len(draws)
        z = z + (t_next - t) * V
    return z
