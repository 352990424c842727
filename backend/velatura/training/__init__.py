"""Training of the embedded model, one command for each part: `python -m velatura.training --help`."""
