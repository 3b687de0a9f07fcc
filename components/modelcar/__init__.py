"""Promote a model: from its source to what serves it."""
