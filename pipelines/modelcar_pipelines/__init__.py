"""Pipelines that promote models: compile, upload, run and schedule them on Kubeflow Pipelines."""
