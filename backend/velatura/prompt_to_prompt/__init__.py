"""The word as a brush: Prompt-to-Prompt (Hertz et al. 2022) on the words of a prompt."""
