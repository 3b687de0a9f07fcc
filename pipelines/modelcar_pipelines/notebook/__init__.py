"""The pipelines as Python objects, for notebooks and scripts; what its methods return draws itself in a notebook.

`pipelines` has the methods; `plans`, `runs` and `schedules` have what they return, `live` what is seen meanwhile.
"""

from modelcar_pipelines.notebook.pipelines import Pipelines, connect

__all__ = ["Pipelines", "connect"]
