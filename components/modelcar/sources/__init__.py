"""Where a model's bytes come from: one module per URI scheme, each an implementation of `modelcar.snapshot.Source`."""
