#!/usr/bin/env python3
"""Writes an image of brimful without an engine, checks one, and unpacks one for runc.

usage: oci.py write BINARY LAYOUT --version V [--archive FILE]
       oci.py check LAYOUT
       oci.py bundle LAYOUT BUNDLE [--nofile N] [--sysctl NAME=VALUE]… [--data DIR] -- ARGUMENT…

An image layout is a folder of blobs named by their digest (OCI image-spec, `image-layout.md`). The same binary and version give the
same bytes: no clock is read, nothing is compressed, every owner and every order is written down here. Only Python's own library.
"""

import argparse
import hashlib
import io
import json
import os
import sys
import tarfile
from pathlib import Path

# Whoever has no name: above the users of a distribution, and what other images without a shell run as.
USER = 65532
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
INDEX = "application/vnd.oci.image.index.v1+json"
# `e_machine` of an ELF header, and what Go and so OCI call it.
MACHINES = {62: "amd64", 183: "arm64"}


def refuse(what):
    sys.exit(f"error: {what}")


# --------------------------------------------------------------------------------------------------------------- write


def architecture(binary):
    if binary[:4] != b"\x7fELF":
        refuse("the binary is no ELF file")
    machine = int.from_bytes(binary[18:20], "little")
    return MACHINES.get(machine) or refuse(f"no name for the ELF machine {machine}")


def packed(entries):
    """A tar of (name, mode, owner, content) with content None for a folder; nothing in it depends on when or where."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, mode, owner, content in entries:
            entry = tarfile.TarInfo(name)
            entry.mode, entry.uid, entry.gid, entry.mtime = mode, owner, owner, 0
            if content is None:
                entry.type = tarfile.DIRTYPE
                tar.addfile(entry)
            else:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def as_json(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def write(options):
    binary = Path(options.binary).read_bytes()
    files = {}

    def blob(kind, content):
        digest = hashlib.sha256(content).hexdigest()
        files[f"blobs/sha256/{digest}"] = content
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    layer = blob(
        LAYER,
        packed(
            [
                # Where the runs go that say no --out.
                ("data", 0o755, USER, None),
                ("tmp", 0o1777, 0, None),
                ("brimful", 0o755, 0, binary),
            ]
        ),
    )
    labels = {
        "title": "brimful",
        "description": "Finds out by experiment which limit makes a health check fail under many connections",
        "licenses": "MIT OR Apache-2.0",
        "version": options.version,
    }
    platform = {"architecture": architecture(binary), "os": "linux"}
    config = blob(
        CONFIG,
        as_json(
            {
                **platform,
                "config": {
                    "User": f"{USER}:{USER}",
                    "Entrypoint": ["/brimful"],
                    "WorkingDir": "/data",
                    "Labels": {f"org.opencontainers.image.{key}": value for key, value in labels.items()},
                },
                "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
                "history": [{"created_by": "scripts/image/build"}],
            }
        ),
    )
    manifest = blob(MANIFEST, as_json({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}))
    named = {**manifest, "platform": platform, "annotations": {"org.opencontainers.image.ref.name": options.version}}
    files["index.json"] = as_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]})
    files["oci-layout"] = as_json({"imageLayoutVersion": "1.0.0"})
    # Not OCI's: where `docker load` looks. A reader of layouts passes over it.
    files["manifest.json"] = as_json(
        [
            {
                "Config": path_of(config),
                "RepoTags": [f"brimful:{options.version}"],
                "Layers": [path_of(layer)],
            }
        ]
    )
    layout = Path(options.layout)
    for name, content in files.items():
        (layout / name).parent.mkdir(parents=True, exist_ok=True)
        (layout / name).write_bytes(content)
    if options.archive:
        folders = [(name, 0o755, 0, None) for name in ("blobs", "blobs/sha256")]
        contents = [(name, 0o644, 0, files[name]) for name in sorted(files)]
        Path(options.archive).write_bytes(packed(folders + contents))
    print(manifest["digest"])


def path_of(descriptor):
    return "blobs/" + descriptor["digest"].replace(":", "/")


# --------------------------------------------------------------------------------------------------------------- check


def read(layout, descriptor, kind):
    """A blob, as its descriptor says it is."""
    if descriptor["mediaType"] != kind:
        refuse(f"{descriptor['digest']} is a {descriptor['mediaType']}, and a {kind} is wanted")
    path = layout / path_of(descriptor)
    content = path.read_bytes()
    if len(content) != descriptor["size"]:
        refuse(f"{path} has {len(content)} bytes, and its descriptor says {descriptor['size']}")
    if "sha256:" + hashlib.sha256(content).hexdigest() != descriptor["digest"]:
        refuse(f"{path} has not the digest that is its name")
    return content


def checked(layout):
    """The manifest, the configuration and the layers of a layout of one image, everything in it having been looked at."""
    layout = Path(layout)
    if json.loads((layout / "oci-layout").read_bytes()) != {"imageLayoutVersion": "1.0.0"}:
        refuse("oci-layout does not say version 1.0.0")
    index = json.loads((layout / "index.json").read_bytes())
    if index["schemaVersion"] != 2 or len(index["manifests"]) != 1:
        refuse("index.json does not name one manifest")
    named = index["manifests"][0]
    manifest = json.loads(read(layout, named, MANIFEST))
    config = json.loads(read(layout, manifest["config"], CONFIG))
    layers = [read(layout, layer, LAYER) for layer in manifest["layers"]]
    if manifest["schemaVersion"] != 2 or manifest["mediaType"] != MANIFEST:
        refuse("the manifest does not say what it is")
    # What the specification requires of a configuration: architecture, os, rootfs.
    if (config["architecture"], config["os"]) != (named["platform"]["architecture"], named["platform"]["os"]):
        refuse("index and configuration name different platforms")
    diffs = ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]
    if config["rootfs"] != {"type": "layers", "diff_ids": diffs}:
        refuse("the configuration names other layers than the manifest")
    # What this project promises.
    inside = config["config"]
    if inside["User"].split(":")[0] in ("", "0", "root"):
        refuse("the image runs as root")
    if inside["Entrypoint"] != ["/brimful"]:
        refuse(f"the image starts {inside['Entrypoint']}")
    known = {path_of(d) for d in (named, manifest["config"], *manifest["layers"])}
    found = {str(path.relative_to(layout)) for path in layout.glob("blobs/*/*")}
    if known != found:
        refuse(f"blobs that nobody names, or that are not there: {sorted(known ^ found)}")
    archive = json.loads((layout / "manifest.json").read_bytes())
    if [(image["Config"], image["Layers"]) for image in archive] != [
        (path_of(manifest["config"]), [path_of(layer) for layer in manifest["layers"]])
    ]:
        refuse("manifest.json and the manifest name different blobs")
    for layer in layers:
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            for entry in tar:
                if entry.name.startswith("/") or ".." in entry.name.split("/") or not (entry.isdir() or entry.isreg()):
                    refuse(f"{entry.name} may not be in a layer")
                if entry.isreg() and entry.mode & 0o6022:
                    refuse(f"{entry.name} may be written by others, or takes its owner's rights")
    return config, layers


def check(options):
    config, layers = checked(options.layout)
    size = sum(len(layer) for layer in layers)
    print(f"{options.layout}: {config['os']}/{config['architecture']}, user {config['config']['User']}, {size} bytes")


# -------------------------------------------------------------------------------------------------------------- bundle


def bundle(options):
    """A bundle for runc (OCI runtime-spec, `config.md` and `config-linux.md`): the image as it is, and the limits asked for."""
    config, layers = checked(options.layout)
    root = Path(options.bundle)
    for layer in layers:
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            # Every entry was looked at above; owners are kept where this is root.
            tar.extractall(root / "rootfs", numeric_owner=True)
    user, group = (int(number) for number in config["config"]["User"].split(":"))
    # Masked and read-only as every engine has it, so that a run here says something about a run there.
    mounts = [
        ("/proc", "proc", "proc", ["nosuid", "noexec", "nodev"]),
        ("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        ("/tmp", "tmpfs", "tmpfs", ["nosuid", "nodev", "mode=1777", "size=65536k"]),
    ]
    if options.data:
        mounts.append(("/data", "bind", os.path.abspath(options.data), ["bind", "rw"]))
    specification = {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": user, "gid": group},
            "args": config["config"]["Entrypoint"] + options.arguments,
            "env": ["NO_COLOR=1"],
            "cwd": config["config"]["WorkingDir"],
            "capabilities": {kind: [] for kind in ("bounding", "effective", "permitted", "inheritable", "ambient")},
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "brimful",
        "mounts": [dict(zip(("destination", "type", "source", "options"), mount)) for mount in mounts],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
            "sysctl": dict(pair.split("=", 1) for pair in options.sysctl),
            "readonlyPaths": [f"/proc/{name}" for name in ("bus", "fs", "irq", "sys", "sysrq-trigger")],
        },
    }
    if options.nofile:
        specification["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": options.nofile, "hard": options.nofile}]
    (root / "config.json").write_text(json.dumps(specification, indent=2))


# ---------------------------------------------------------------------------------------------------------------- main


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("write")
    command.add_argument("binary")
    command.add_argument("layout")
    command.add_argument("--version", required=True)
    command.add_argument("--archive")
    command.set_defaults(run=write)
    command = commands.add_parser("check")
    command.add_argument("layout")
    command.set_defaults(run=check)
    command = commands.add_parser("bundle")
    command.add_argument("layout")
    command.add_argument("bundle")
    command.add_argument("--nofile", type=int)
    command.add_argument("--sysctl", action="append", default=[])
    command.add_argument("--data")
    command.set_defaults(run=bundle)
    # What comes after `--` is brimful's, options included.
    ours = sys.argv[1:]
    end = ours.index("--") if "--" in ours else len(ours)
    options = parser.parse_args(ours[:end])
    options.arguments = ours[end + 1 :]
    options.run(options)


if __name__ == "__main__":
    main()
