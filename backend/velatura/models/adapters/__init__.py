"""Adapters: files of changes to a model's layers (LoRA, LoHa, LoKr), found on the disk, worn in a run."""
