"""A Kubeflow Pipelines component as the step of a Tekton task: `python3 -m modelcar_tekton COMPONENT`."""
