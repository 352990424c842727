"""Which of several variations to show first: how well each fits the prompt, the picture and its border."""
