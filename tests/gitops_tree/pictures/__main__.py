"""`python -m gitops_tree.pictures`: draws the pictures of the GitOps tree anew, into docs/images."""

from __future__ import annotations

from gitops_tree.pictures.files import PICTURES, draw_all
from gitops_tree.tree import ROOT, load_tree

for name, picture in draw_all(load_tree()).items():
    (ROOT / PICTURES / name).write_text(picture, encoding="utf-8")
    print(PICTURES / name)
