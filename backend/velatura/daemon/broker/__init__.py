"""The process that clients speak to. It imports no torch: an import contract in pyproject.toml holds that."""
