"""Editing methods: one file each, found by `registry`, run by `execute`."""
