"""Networks beside a model: CLIP, a captioner, a segmenter. `table` lists them."""
