"""What every component is made with: the step image, and nothing installed when a step runs."""

from functools import partial

from kfp import dsl

IMAGE = "quay.io/modelcar-pipelines/modelcar-python:0.1.0"
"""The image of this release. Compiling with `--image` puts another in its place. Its name keeps `python` in it, which
kfp's local runner looks for."""

component = partial(dsl.component, base_image=IMAGE, install_kfp_package=False)
