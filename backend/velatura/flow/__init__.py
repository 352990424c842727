"""Edits by a flow's pull: a layer moves from one text towards another, without training and without
inversion. `DESIGN.md` gives the reasons."""
