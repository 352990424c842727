"""Guidance by CLIP: a term that leads a denoiser to pictures which CLIP finds close to words, and what it
sees of them. Works on pixels and, through a decoder, on latents."""
