"""Figures of the VQ model on held-out scenes."""

from __future__ import annotations

import torch
from diffusers.models.autoencoders.vq_model import VQModel

from velatura_lab.readers import Judge

from .assess import Exam, Figures, assess_judge

_BATCH = 8


@torch.no_grad()
def assess_vq(network: VQModel, judge: Judge, exam: Exam) -> Figures:
    """PSNR of decoded pictures, the judge's readings of them and of the drawn ones, and the use of the codes.

    "perplexity" is exp of the entropy of the codes' shares: the number of codes that, used alike, would say
    as much.
    """
    images = exam.images
    decoded: list[torch.Tensor] = []
    codebook = network.quantize.embedding.weight
    uses = torch.zeros(len(codebook))
    for batch in (images * 2.0 - 1.0).split(_BATCH):
        z = network.encode(batch, return_dict=False)[0]
        codes = torch.cdist(z.movedim(1, -1).flatten(0, -2), codebook).argmin(1)
        uses += torch.bincount(codes, minlength=len(codebook))
        decoded.append(network.decode(z, return_dict=False)[0].clamp(-1.0, 1.0))
    pictures = (torch.cat(decoded) + 1.0) / 2.0
    errors = (pictures - images).square().flatten(1).mean(1)
    shares = uses[uses > 0] / uses.sum()
    return {
        "psnr": round(float((-10.0 * errors.log10()).mean()), 2),
        "read": assess_judge(judge, exam, pictures)["all"],
        "read when drawn": assess_judge(judge, exam)["all"],
        "codes": len(codebook),
        "codes used": len(shares),
        "perplexity": round(float((-(shares * shares.log()).sum()).exp()), 1),
    }
