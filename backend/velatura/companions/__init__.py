"""Networks that stand beside a model: CLIP, a captioner, a segmenter. `table` says which there are."""
