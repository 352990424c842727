"""The edited attention of a pass."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.attention.joint import Blocks, apart
from velatura.attention.places import Attend, Place, halved, map_level
from velatura.diffusion.network import LatentDiffusion

from .control import Branch, Control, Cross, Mix, needed, self_
from .features import Features, Need
from .joint import joint, source_branch
from .local import LocalBlend, MapSums


class Attending:
    """Attention during one run of B variations at latents (h, w). It edits the last B rows of a pass and
    leaves the other rows unchanged. It also gathers the maps of local blend's words."""

    def __init__(
        self,
        model: LatentDiffusion,
        control: Control,
        local: LocalBlend | None,
        features: Features,
        B: int,
        latent: tuple[int, int],
    ) -> None:
        self.control, self.weighs = control, control.weighs
        self._only_words = replace(control, self_steps=0, value_steps=0)
        self.features, self.B = features, B
        self.wanted = None if local is None else local.words
        self.map_level = map_level(model.latent_size, model.attention_levels)
        self.sums = MapSums(*(halved(side, self.map_level) for side in latent))
        self.blocks = model.joint_blocks
        self._mixes: dict[tuple[int, bool, bool], Mix] = {}
        self._crosses: dict[str, tuple[int, Cross]] = {}

    def need(self, i: int) -> Need:
        """The parts of the source's branch that step i needs."""
        control = self.control
        return Need(
            cross=control.takes_cross(i),
            maps=self.wanted is not None,
            self_=control.self_share if control.takes_self(i) else 0.0,
            values=control.self_share if control.takes_values(i) else 0.0,
        )

    def step(self, i: int, runs_source: bool) -> Attend:
        """The attention of step i. runs_source: whether the first B rows are the source's conditional rows;
        otherwise its features are recorded."""
        need, B = self.need(i), self.B

        def attend(place: Place, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            if place.kind == "joint":
                return self._joint(i, place, need, runs_source, q, k, v)
            at = place.level
            gathers = False
            if place.kind == "cross":
                gathers = need.maps and at == self.map_level
                takes, values = need.cross or gathers, False
                edits = takes or self.weighs
            else:
                values = 0.25**at <= need.values
                takes = edits = values or 0.25**at <= need.self_
            if not edits:
                return F.scaled_dot_product_attention(q, k, v)
            source: Branch | None = None
            if takes and runs_source:
                source = Branch(q[:B], k[:B], v[:B] if values else None)
                self.features.record(i, place.name, source)
            elif takes:
                source = self.features.branches[i, place.name]
            target = Branch(q[-B:], k[-B:], v[-B:])
            if place.kind == "self":
                out = self_(self.control, i, needed(source), target)
            else:
                out = self._cross(i, place.name, gathers, source, target)
            if len(q) == B:
                return out
            return _rows(F.scaled_dot_product_attention(q[:-B], k[:-B], v[:-B]), out)

        return attend

    def _cross(self, i: int, name: str, gathers: bool, source: Branch | None, target: Branch) -> Tensor:
        phase, v_t = self.control.phases[i], needed(target.v)
        if self._crosses.get(name, (None,))[0] != phase:
            k_s = None if source is None else source.k
            self._crosses[name] = phase, Cross(self._mix(i, gathers, v_t), k_s, target.k, v_t)
        out, maps = self._crosses[name][1](None if source is None else source.q, target.q)
        if gathers:
            self.sums.add(maps)
        return out

    def _joint(
        self, i: int, place: Place, need: Need, runs_source: bool, q: Tensor, k: Tensor, v: Tensor
    ) -> Tensor:
        """Joint attention has one level, so all blocks that inject do so, however fine the structure is."""
        B, blocks = self.B, self.blocks or Blocks()
        injects, reads = blocks.injects(place.name), blocks.reads(place.name)
        gathers = need.maps and reads and place.level == self.map_level
        takes_maps, values = injects and need.cross, injects and need.values > 0.0
        takes = takes_maps or gathers or values or (injects and need.self_ > 0.0)
        edits_text = takes_maps or gathers or self.weighs
        source: Branch | None = None
        if runs_source and (takes or (reads and need.cross)):  # features for words have those for maps, too
            source = source_branch(place, q[:B], k[:B], v[:B] if values else None)
            self.features.record(i, place.name, source)
        elif takes:
            source = self.features.branches[i, place.name]
        if not (takes or edits_text):
            return apart(place, q, k, v)
        target = Branch(q[-B:], k[-B:], v[-B:])
        mix = self._mix(i, gathers, v, takes=injects) if edits_text else None
        control = self.control if injects else self._only_words
        out, maps = joint(place, control, i, mix, source, target)
        if gathers:
            self.sums.add(needed(maps))
        return out if len(q) == B else _rows(apart(place, q[:-B], k[:-B], v[:-B]), out)

    def _mix(self, i: int, gathers: bool, like: Tensor, *, takes: bool = True) -> Mix:
        key = self.control.phases[i], gathers, takes
        if key not in self._mixes:
            self._mixes[key] = self.control.mix(i, self.wanted if gathers else None, like, takes=takes)
        return self._mixes[key]


def _rows(a: Tensor, b: Tensor) -> Tensor:
    """The rows of a and b [·, heads, L, d], in the memory layout that the network uses next: the heads of one
    place side by side."""
    return torch.cat([a.transpose(1, 2), b.transpose(1, 2)]).transpose(1, 2)
