"""Training of the embedded model, one command for each part: `velatura train --help`."""
