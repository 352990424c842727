"""Reconstruction of the background after an edit (Avrahami et al. 2023, section 4.2)."""
