"""The command line: one module per command. Nothing here imports torch."""
