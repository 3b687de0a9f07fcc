"""Plain Tekton from the pipelines' compiled form: no driver and no launcher of Kubeflow Pipelines is in it."""
