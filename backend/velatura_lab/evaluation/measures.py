"""The measures of the world's pairs: functions of one editor's results for one case and all seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from . import metrics, statistics
from .batch import KEPT, LEAST_BACKGROUND, NEAR_DB, Batch, chosen
from .cases import to_images
from .encoders import required
from .measure import NAN, Measure, measure

MEASURES: dict[str, Measure] = {}
world_measure = partial(measure, into=MEASURES)


def _of_background(batch: Batch, values: torch.Tensor) -> list[float]:
    """The values, or NaN where nearly everything was to change: the few remaining pixels of background lie at
    the region's edge and tell nothing."""
    return values.tolist() if batch.has_background else [NAN] * len(batch)


@world_measure("success", "Edit success", "%", "asked", "higher", "judge", digits=0, rate=True)
def success(batch: Batch) -> Sequence[float]:
    """Share of results in which the judge reads the changed attribute as the target scene has it (a degree
    within a third). The world's exact pairs make the question answerable; compare batch precision in
    Avrahami et al. 2023, section 5.1."""
    return batch.right


@world_measure("acceptable", "Acceptable", "%", "asked", "higher", "judge", digits=0, rate=True)
def acceptable(batch: Batch) -> Sequence[float]:
    """Share of results that have the edit and keep most of the rest: the judge reads the edit, reads at least
    four fifths of the attributes to be kept as in the source, and the background PSNR is at least 20 dB.
    After "applied the edit while retaining most of the details from the initial image", experiment 1 of
    Huang & Compton, "Semantic Image Editing", where three people voted."""
    near = _of_background(batch, metrics.psnr(batch.results, batch.origins, batch.background))
    return [
        right and not kept < KEPT and not db < NEAR_DB  # NaN: there is nothing to keep, so nothing was lost
        for right, kept, db in zip(batch.right, batch.kept, near, strict=True)
    ]


@world_measure("leakage", "Leakage", "levels", "rest", "lower")
def leakage(batch: Batch) -> Sequence[float]:
    """Mean absolute difference from the source outside the exact region, in levels of 0..255. Outside the
    region the exact target is the source, so it is also the distance from the target. A measure of this
    project; it needs exact pairs. NaN where less than a twentieth of the picture lies outside."""
    return _of_background(batch, metrics.leakage(batch.results, batch.origins, batch.case.region_weight))


@world_measure("outside", "Change outside the selection", "levels", "rest", "lower")
def outside(batch: Batch) -> Sequence[float]:
    """Mean absolute difference from the source where nothing at all was selected, in levels of 0..255. The
    selection is the exact region grown as a hand would draw it; a method that takes one should give 0. A
    measure of this project."""
    unselected = (batch.case.mask_weight == 0).float()
    return metrics.mean_change(batch.results, batch.origins, unselected).tolist()


@world_measure("outside-psnr", "PSNR outside the selection", "dB", "rest", "higher", digits=1)
def outside_psnr(batch: Batch) -> Sequence[float]:
    """Peak signal-to-noise ratio against the source where nothing at all was selected: beyond the exact
    region grown as a hand would draw it, so that an edit whose new thing has another outline than the drawn
    one is not charged for it. 58.9 dB is an untouched picture, as in the background PSNR. A measure of this
    project. NaN where less than a twentieth of the picture is unselected."""
    unselected = (batch.case.mask_weight == 0).float()
    if float(unselected.mean()) < LEAST_BACKGROUND:
        return [NAN] * len(batch)
    return metrics.psnr(batch.results, batch.origins, unselected, metrics.ROUNDING).tolist()


@world_measure("closeness", "Closeness to the target", "", "asked", "higher", digits=3)
def closeness(batch: Batch) -> Sequence[float]:
    """1 - |result - target| / |source - target| over the exact region: 1 the exact target, 0 as far from it
    as the source, below 0 farther. What a prompt leaves open (which glasses?) keeps right edits below 1. A
    measure of this project; it needs exact pairs."""
    target = batch.case.target_image if batch.exact else None
    if target is None:
        return [NAN] * len(batch)
    return metrics.closeness(batch.results, batch.origins, target, batch.case.region_weight).tolist()


@world_measure("kept", "Attributes kept", "%", "rest", "higher", "judge", digits=0)
def kept(batch: Batch) -> Sequence[float]:
    """Share of the attributes that the edit should leave alone which the judge reads as in the source (a
    degree within a third). A measure of this project; it needs exact pairs."""
    return batch.kept


@world_measure("structure", "Structure distance", "x 1000", "rest", "lower", "features", digits=2)
def structure(batch: Batch) -> Sequence[float]:
    """Mean squared difference of the cosine self-similarities of features at 16 x 16 places, times 1000.
    Tumanyan et al. 2022, eq. 4, as used by Ju et al. 2024 (PIE-Bench) with DINO's keys; here with the
    judge's features, so its figures stand beside no others."""
    features = required(batch.encoders.features)
    before, after = features.places(batch.origins), features.places(batch.results)
    return (1000.0 * metrics.structure_distance(before, after)).tolist()


@world_measure("background-psnr", "Background PSNR", "dB", "rest", "higher", digits=1)
def background_psnr(batch: Batch) -> Sequence[float]:
    """Peak signal-to-noise ratio against the source over the pixels outside the exact region. The error of
    rounding to 8 bits is the least that counts, so an untouched background has 58.9 dB. After Ju et al. 2024
    (PIE-Bench), who take it of pictures times (1 - mask). NaN where less than a twentieth of the picture
    lies outside."""
    found = metrics.psnr(batch.results, batch.origins, batch.background, metrics.ROUNDING)
    return _of_background(batch, found)


@world_measure("background-ssim", "Background SSIM", "x 100", "rest", "higher", digits=1)
def background_ssim(batch: Batch) -> Sequence[float]:
    """Structural similarity with the source (Wang et al. 2004, eq. 13: Gaussian window of 11 x 11, sigma 1.5)
    of the result with the exact region put back as it was, averaged over windows by how far their centres
    lie outside it, times 100. The exact target has 100. NaN where less than a twentieth of the picture lies
    outside."""
    return _of_background(batch, 100.0 * metrics.ssim(batch.restored, batch.origins, batch.background))


@world_measure(
    "background-perceptual", "Background perceptual distance", "x 1000", "rest", "lower", "features", digits=1
)
def background_perceptual(batch: Batch) -> Sequence[float]:
    """Distance of unit-length features from the source's, of the result with the exact region put back as it
    was, averaged over places outside it and summed over layers, times 1000: the form of LPIPS (Zhang et al.
    2018, eq. 1) with all weights one and the judge's features, so its figures stand beside no others. NaN
    where less than a twentieth of the picture lies outside."""
    layers = required(batch.encoders.features).layers
    distance = metrics.perceptual_distance(layers(batch.restored), layers(batch.origins), batch.background)
    return _of_background(batch, 1000.0 * distance)


@world_measure("identity", "Identity kept", "cosine", "rest", "higher", "identity", digits=3)
def identity(batch: Batch) -> Sequence[float]:
    """Cosine of the identity vectors of result and source, for portraits. The form of the identity loss of
    StyleCLIP (Patashnik et al. 2021, eq. 2, there with ArcFace), here with an encoder trained on the
    world's faces."""
    if batch.case.kind != "portrait":
        return [NAN] * len(batch)
    with torch.no_grad():
        before, after = (required(batch.encoders.identity).images(x) for x in (batch.origins, batch.results))
    return metrics.cosine(before, after).tolist()


@world_measure("directional", "Directional similarity", "cosine", "asked", "higher", "clip", digits=3)
def directional(batch: Batch) -> Sequence[float]:
    """cos(E(result) - E(source), T(target prompt) - T(source prompt)): whether the picture moved where the
    words did. Gal et al. 2021 (StyleGAN-NADA), eq. 3, here with a CLIP trained on the world."""
    with torch.no_grad():
        before = required(batch.encoders.clip).images(batch.origins)
    source, target = batch.texts[:1].expand(len(batch), -1), batch.texts[1:].expand(len(batch), -1)
    return metrics.directional_similarity(before, batch.embeddings, source, target).tolist()


@world_measure("cycle-psnr", "Cycle A to B to A", "dB", "back", "higher", digits=1)
def cycle_psnr(batch: Batch) -> Sequence[float]:
    """PSNR against the source of the first result edited back with source and target prompt exchanged, over
    the whole picture. Cycle consistency as "CL P2P" defines it ("Text-based image editing via
    cross-attention mechanisms"), which shows it in pictures."""
    if batch.back is None:
        return [NAN]
    return _cycle(batch, batch.back, lambda a, b: metrics.psnr(a, b, floor=metrics.ROUNDING))


@world_measure(
    "cycle-perceptual", "Cycle, perceptual distance", "x 1000", "back", "lower", "features", digits=1
)
def cycle_perceptual(batch: Batch) -> Sequence[float]:
    """As "Cycle A to B to A", as a perceptual distance of the judge's features (the form of LPIPS, Zhang et
    al. 2018, eq. 1), times 1000."""
    if batch.back is None:
        return [NAN]
    layers = required(batch.encoders.features).layers
    return _cycle(batch, batch.back, lambda a, b: 1000.0 * metrics.perceptual_distance(layers(a), layers(b)))


def _cycle(
    batch: Batch, back: NDArray[np.uint8], distance: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> list[float]:
    return distance(to_images(back[None]), batch.origins[:1]).tolist()


@world_measure("batch-precision", "Batch precision", "%", "many", "higher", "judge", digits=0, rate=True)
def batch_precision(batch: Batch) -> Sequence[float]:
    """Mean over batches of the share of results whose cut-out shows what was asked: the square round the
    selection, on a plain ground of the source's mean colour, read by the judge. Avrahami et al. 2023, section
    5.1 and appendix C.1, who cut out the mask itself, on black, and count an ImageNet classifier's five best
    guesses; Velatura's judge reads one value, and of the mask's bare shape hardly anything. NaN for a batch
    of one."""
    return batch.inside if len(batch) > 1 else [NAN]


@world_measure(
    "best-precision", "Best-of-batch precision", "%", "many", "higher", "judge", digits=0, rate=True
)
def best_precision(batch: Batch) -> Sequence[float]:
    """Share of batches whose first result, by Velatura's ranking, shows what was asked in its cut-out, as in
    "Batch precision". Avrahami et al. 2023, section 5.1, there ranked by CLIP on the masked area. NaN for a
    batch of one, or one not ranked."""
    if len(batch) < 2 or batch.scores is None:
        return [NAN]
    return [batch.inside[max(range(len(batch)), key=batch.scores.__getitem__)]]


@world_measure("ranking-auc", "Ranking AUC", "", "many", "higher", "judge", digits=2)
def ranking_auc(batch: Batch) -> Sequence[float]:
    """Probability that Velatura's ranking puts a result that the judge finds right above one that it finds
    wrong, over the batches that hold both (Hanley & McNeil 1982). 0.5 is chance. Avrahami et al. 2023,
    section 4.4, rank by CLIP and show it in figure 22."""
    return [NAN] if batch.scores is None else [statistics.auc(batch.scores, batch.right)]


@world_measure("ranking-closeness", "Ranking against closeness", "", "many", "higher", digits=2)
def ranking_closeness(batch: Batch) -> Sequence[float]:
    """Spearman's correlation (1904) between Velatura's ranking and closeness to the exact target, within a
    batch of at least three. 0 is chance. A measure of this project; it needs exact pairs."""
    if batch.scores is None or len(batch) < 3:
        return [NAN]
    return [statistics.spearman(batch.scores, closeness(batch))]


@world_measure(
    "diversity", "Diversity of the right ones", "x 1000", "many", "higher", "judge", "features", digits=1
)
def diversity(batch: Batch) -> Sequence[float]:
    """Mean perceptual distance between the results of a batch whose cut-outs show what was asked, as in
    "Batch precision", each times the selection; times 1000. Avrahami et al. 2023, section 5.1 and appendix
    C.1, there LPIPS; here the judge's features with all weights one. NaN for fewer than two right results."""
    if sum(batch.inside) < 2:
        return [NAN]
    cut_out = batch.results * batch.case.mask_weight
    layers = required(batch.encoders.features).layers(cut_out)
    return [1000.0 * metrics.diversity(chosen(layers, batch.inside))]
