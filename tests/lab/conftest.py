"""The tiny model whose attention means something, for the tests of the benches."""

from tests.prompt_to_prompt.conftest import sharp

__all__ = ["sharp"]
