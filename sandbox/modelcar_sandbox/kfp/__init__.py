"""The Kubeflow Pipelines API server."""

from modelcar_sandbox.kfp.clock import RealClock, SteppedClock
from modelcar_sandbox.kfp.server import PipelineServer

__all__ = ["PipelineServer", "RealClock", "SteppedClock"]
