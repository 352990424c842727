"""A script that ends the process, where it should have had a guard."""

raise SystemExit(3)
