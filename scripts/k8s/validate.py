#!/usr/bin/env python3
"""Holds rendered manifests to Kubernetes' own schemas, strictly, for the newest three minor versions that kubernetes-validate ships.

usage: validate.py FOLDER…

Each FOLDER is one cell, as `brimful k8s render` wrote it; a file `built-OVERLAY.yaml` in it is what kustomize made of an overlay. All of
them, and the files of the base, are validated, and every path that a kustomization names must be there and every file must be named.
Before that the validation itself is tried: a manifest with a typo must be refused.
"""

import copy
import functools
import sys
from pathlib import Path

import kubernetes_validate
import yaml
from kubernetes_validate import utils

VERSIONS_MOST = 3

problems = []


class Strict(yaml.SafeLoader):
    """Refuses a key that is there twice, which YAML forbids and PyYAML lets pass."""


def mapping(loader, node):
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is there twice", node.start_mark)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)


def newest():
    """The latest release of each of the newest three minor versions."""
    releases = {}
    for version in utils.all_versions():
        releases[utils.major_minor(version)] = version
    return list(releases.values())[-VERSIONS_MOST:]


def documents(path):
    with path.open() as file:
        return [document for document in yaml.load_all(file, Strict) if document is not None]


def refusals(document, versions):
    """What each version has against a document."""
    for version in versions:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{version}: {'.'.join(map(str, error.path))}: {error.message}"
        except kubernetes_validate.SchemaNotFoundError as error:
            yield f"{version}: {error.message}"


def structure(folder):
    """That a cell's kustomizations name what is there, and that everything is named."""
    named = set()
    for file in folder.glob("**/kustomization.yaml"):
        for document in documents(file):
            words = document.get("resources", []) + document.get("components", [])
            words += [patch["path"] for patch in document.get("patches", [])]
            for word in words:
                path = (file.parent / word).resolve()
                path = path / "kustomization.yaml" if path.is_dir() else path
                named.add(path)
                if not path.is_file():
                    problems.append(f"{file} names {word}, which is not there")
    for file in folder.glob("*/**/*.yaml"):
        if file.resolve() not in named and file.relative_to(folder).parts[0] != "overlays":
            problems.append(f"{file} is named by no kustomization")


def try_the_validation(folder, versions):
    """One typo of each kind, in manifests of our own: each must be refused by every version."""
    typos = {
        "target.yaml": [("spec", "replicaz", 1), ("spec", "replicas", "one")],
        "probe.yaml": [("spec", "backOffLimit", 5)],
        "target-network.yaml": [("spec", "policyType", ["Ingress"])],
        "target-service.yaml": [("spec", "ports", 80)],
    }
    for name, changes in typos.items():
        (document,) = documents(folder / "base" / name)
        for part, key, value in changes:
            wrong = copy.deepcopy(document)
            wrong[part][key] = value
            refused = len(list(refusals(wrong, versions)))
            if refused != len(versions):
                problems.append(f"{name} with {part}.{key} = {value!r} is refused by {refused} of {len(versions)} versions")


def main():
    folders = [Path(word) for word in sys.argv[1:]]
    if not folders:
        sys.exit(__doc__)
    # The schemas of a version are some megabytes, read anew for each document.
    utils.schema_contents = functools.lru_cache(maxsize=None)(utils.schema_contents)
    versions = newest()
    try_the_validation(folders[0], versions)
    seen = {}
    count = 0
    for folder in folders:
        structure(folder)
        files = [file for file in (folder / "base").glob("*.yaml") if file.name != "kustomization.yaml"]
        for file in sorted(files) + sorted(folder.glob("built-*.yaml")):
            for document in documents(file):
                count += 1
                text = yaml.safe_dump(document)
                if text not in seen:
                    seen[text] = list(refusals(document, versions))
                problems.extend(f"{file}: {document['kind']}: {refusal}" for refusal in seen[text])
    for problem in problems:
        print(problem)
    print(f"{count} documents of {len(folders)} cells held to Kubernetes {', '.join(versions)}: {len(problems)} problems")
    sys.exit(1 if problems or not count else 0)


main()
