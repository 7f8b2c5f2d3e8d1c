"""Looking at models: statistics of tensors, a self-contained page, pictures of the architecture, and notebooks."""
