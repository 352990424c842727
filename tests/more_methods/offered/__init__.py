"""One file a method, as in `velatura.methods`."""
