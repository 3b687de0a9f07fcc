"""Checks 10 and 11: no secret is in git, and each one that is needed is made by somebody."""

from __future__ import annotations

import math
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

from gitops_tree.checks.registry import check
from gitops_tree.objects import contents, describe, name_of, namespace_of
from gitops_tree.secret_references import Read, references
from gitops_tree.tree import KUSTOMIZATION, Object, Tree, read_yaml
from modelcar_gitops.bootstrap_secrets import BY_HAND, SECRETS, Secret

SHAPES: Final = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a token of a Hub or a git host": re.compile(r"\b(?:hf|gh[pousr]|github_pat|glpat)[_-][A-Za-z0-9_]{16,}"),
    "a token of Kubernetes": re.compile(r"\beyJ[\w-]{16,}\.|\bsha256~[\w-]{20,}"),
    "a key of a cloud": re.compile(r"\bAKIA[A-Z0-9]{12,}"),
    "a login for a registry": re.compile(r"\"auths?\"\s*:\s*[{\"]|\bauths?:\s+[A-Za-z0-9+/=]{8,}"),
    "a password in an address": re.compile(r"://[^/\s:@]*:[^/\s@]+@"),
    "a password": re.compile(
        r"(?i)\b(?:password|passwd|token|secret)\b[\"']?\s*[:=]\s*[\"']?[A-Za-z0-9+/!]{8,}[\"']?\s*$"
    ),
}
CANDIDATE: Final = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")
DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}\b")
"""What is published, and as random as any secret."""
HEX: Final = re.compile(r"(?<![0-9a-fA-F])(?=[a-fA-F]*[0-9])(?:[0-9a-f]{32,}|[0-9A-F]{32,})")
_CAMEL: Final = re.compile(r"[A-Z](?=[a-z]{2})")
"""The beginning of a word, as in InferenceService."""
_FEWEST, _BITS_A_LETTER, _SWITCHES = 16, 3.4, 0.3


@check(10, "No file, object or commit holds a secret: no Secret with data, no login, no token, nothing random")
def secrets_in_git(tree: Tree) -> Iterator[str]:
    for path, text in tree.files.items():
        yield from (f"{path}:{line} looks like {what}" for line, what in find_secrets(text))
        yield from (f"{path}: {problem}" for problem in _secrets_of(path, text))
    for one in tree.objects:
        if one["kind"] == "Secret" and (one.get("data") or one.get("stringData")):
            yield f"{describe(one)} has data, which everybody who reads git knows"
        for text in contents(tree, one).texts:
            if len(text) >= _FEWEST:
                yield from (f"{describe(one)} has what looks like {what}" for _, what in find_secrets(text))
    for commit, line in added_lines(tree.root):
        yield from (f"commit {commit} added what looks like {what}" for _, what in find_secrets(line))


def _secrets_of(path: str, text: str) -> Iterator[str]:
    if not path.endswith((".yaml", ".yml")):
        return
    for one in read_yaml(text):
        if isinstance(one, dict) and one.get("kind") == "Secret" and (one.get("data") or one.get("stringData")):
            yield f"Secret {name_of(one)} has data"
        if path.endswith(f"/{KUSTOMIZATION}") and "secretGenerator" in one:
            yield "a secretGenerator makes a Secret of what is in git"


@cache
def find_secrets(text: str) -> tuple[tuple[int, str], ...]:
    """Lines of a text that look like secrets, and like what."""
    return tuple(
        (number, what)
        for number, line in enumerate(text.splitlines(), 1)
        for what in _likenesses(DIGEST.sub("", line.removeprefix("+")))
    )


def _likenesses(line: str) -> Iterator[str]:
    yield from (what for what, shape in SHAPES.items() if shape.search(line))
    if any(_is_random(word) for word in CANDIDATE.findall(line)):
        yield "something random"


def _is_random(word: str) -> bool:
    """Whether letters and digits are as mixed as no name's are: many different ones, changing kind all the time."""
    letters = [one for one in _CAMEL.sub(lambda found: found[0].lower(), word) if one.isalnum()]
    if len(letters) < _FEWEST:
        return False
    if HEX.search(word):
        return True
    bits = -sum(count / len(letters) * math.log2(count / len(letters)) for count in Counter(letters).values())
    kinds = [0 if one.isdigit() else 1 if one.islower() else 2 for one in letters]
    switches = sum(before != after for before, after in pairwise(kinds))
    return bits >= _BITS_A_LETTER and switches / len(letters) >= _SWITCHES


@cache
def added_lines(root: Path) -> tuple[tuple[str, str], ...]:
    """Commits and the lines that they added below gitops and gitops-apps; none where there is no history."""
    if not (root / ".git").exists():
        return ()
    command = ["git", "log", "-p", "--no-color", "--no-ext-diff", "--format=commit %h", "--", "gitops", "gitops-apps"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, errors="replace", check=True)
    found, commit = dict[str, str](), ""
    for line in done.stdout.splitlines():
        if line.startswith("commit "):
            commit = line.removeprefix("commit ")
        elif line.startswith("+") and not line.startswith("+++"):
            found.setdefault(line, commit)
    return tuple((commit, line) for line, commit in found.items())


@check(11, "Each Secret that is read is made by a Job of the tree or by External Secrets, or is listed as made by hand")
def secrets(tree: Tree) -> Iterator[str]:
    known = {(one.namespace, one.name): one for one in SECRETS}
    read = list(references(tree))
    for found in read:
        secret = known.get((found.namespace, found.name))
        yield from (f"{found.who} {problem}" for problem in _misread(found, secret))
    for secret in SECRETS:
        if not any((secret.namespace, secret.name) == (found.namespace, found.name) for found in read):
            yield f"nothing reads Secret {secret.namespace}/{secret.name}, which the list has"
        yield from _unmade(tree, secret)
    for one in tree.of_kind("ExternalSecret"):
        if (namespace_of(one), _target(one)) not in known:
            yield f"{describe(one)} makes Secret {_target(one)}, which the list has not"


def _misread(found: Read, secret: Secret | None) -> Iterator[str]:
    """What is wrong with how a Secret is read."""
    who = f"Secret {found.namespace}/{found.name}"
    if secret is None:
        yield f"reads {who}, which nobody makes"
        return
    for key in sorted(found.keys - set(secret.keys)):
        yield f"reads the key {key} of {who}, which has no such key"
    if secret.optional and not found.optional:
        yield f"needs {who}, which may be left out"


def _unmade(tree: Tree, secret: Secret) -> Iterator[str]:
    """What is wrong with the Job or the ExternalSecret that makes it."""
    here = [one for one in tree.of_kind("Job", "ExternalSecret") if namespace_of(one) == secret.namespace]
    makers = [one for one in here if one["kind"] == "ExternalSecret" and _target(one) == secret.name]
    if secret.made_by != BY_HAND:
        makers += [one for one in here if f"{one['kind']} {name_of(one)}" == secret.made_by]
        if not makers:
            yield f"Secret {secret.namespace}/{secret.name}: there is no {secret.made_by} that makes it"
    for maker in makers:
        name, keys = _brought_by(maker) if maker["kind"] == "ExternalSecret" else _made_by(maker)
        if name != secret.name or keys != set(secret.keys):
            yield f"{describe(maker)} makes {name} with {sorted(keys)}, not {secret.name} with {sorted(secret.keys)}"


def _target(external: Object) -> str:
    """The Secret that an ExternalSecret makes."""
    return str(external["spec"].get("target", {}).get("name") or name_of(external))


def _brought_by(external: Object) -> tuple[str, set[str]]:
    return _target(external), {one["secretKey"] for one in external["spec"].get("data", ())}


def _made_by(job: Object) -> tuple[str, set[str]]:
    """The Secret, and its keys, that a Job makes by `modelcar gitops create-secret`."""
    (container,) = job["spec"]["template"]["spec"]["containers"]
    words = [part for word in container["command"] for part in word.split("=")]
    if words[:3] != ["modelcar", "gitops", "create-secret"]:
        return " ".join(words), set()
    return words[3], {after for before, after in pairwise(words) if before == "--random"}
