"""Edits by a flow's pull: a layer is drawn from one text towards another, with nothing trained and nothing
inverted. `DESIGN.md` says why it is as it is."""
