"""Whether a model fits the GPUs that an InferenceService asks for: its shape, the server, and the sum of both."""
