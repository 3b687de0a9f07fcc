"""Steps of a promotion as Kubeflow Pipelines components, one file each.

Each is a thin lightweight component: its body imports the library and calls one function of it.
"""
