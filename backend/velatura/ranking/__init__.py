"""The order of several variations: by how well each fits the prompt, and by its border."""
