//! Holds the manifests to the table of floors in ARCHITECTURE.md, the pure crates to dependencies without hands, and files to a size.
//!
//! The table is read from the document itself, so that changing a rule means changing what people read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Lines a file may have before its tests.
const MOST_LINES: usize = 500;

/// What a pure crate may not depend on, at any distance: each of them reaches a file, a socket, a clock or a process.
const HANDS: [&str; 20] = [
    "async-io",
    "crossterm",
    "hyper",
    "hyper-util",
    "libc",
    "mio",
    "netlink-packet-core",
    "netlink-packet-route",
    "netlink-sys",
    "nix",
    "rlimit",
    "rtnetlink",
    "rustix",
    "rustls",
    "signal-hook",
    "socket2",
    "tempfile",
    "terminal_size",
    "tokio",
    "windows-sys",
];

/// Systems that the pure crates are to be built for: what they depend on there is looked at by its own.
const SYSTEMS: [&str; 4] =
    ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-musl", "aarch64-apple-darwin", "x86_64-pc-windows-msvc"];

/// What every test may use, whatever its crate's floor.
const FOR_TESTS: &str = "brimful-testing";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn metadata(arguments: &[&str]) -> Result<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(arguments)
        .current_dir(root())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// A row of the table of floors.
#[derive(Debug)]
struct Floor {
    pure: bool,
    may_name: BTreeSet<String>,
}

fn floors() -> Result<BTreeMap<String, Floor>> {
    let document = std::fs::read_to_string(root().join("ARCHITECTURE.md"))?;
    let (_, below) = document.split_once("\n## The floors\n").context("no heading `The floors`")?;
    let lines = below.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let unquoted = |cell: &str| cell.trim().trim_matches('`').to_owned();
    let mut floors = BTreeMap::new();
    for line in lines.skip(2) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        let [name, pure, may_name, _] = cells.as_slice() else { anyhow::bail!("not a row of four: {line}") };
        let may_name = may_name.split(',').map(unquoted).filter(|name| name != "nothing").collect();
        let row = Floor { pure: pure.trim() == "pure", may_name };
        ensure!(floors.insert(unquoted(name), row).is_none(), "{name} has two rows");
    }
    ensure!(floors.len() > 10, "the table of floors is not there");
    Ok(floors)
}

/// Everything that a crate may name: what its row lists, and what those may.
fn reach(floors: &BTreeMap<String, Floor>, name: &str) -> Result<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    let mut next: Vec<String> =
        floors.get(name).with_context(|| format!("{name} has no row"))?.may_name.iter().cloned().collect();
    while let Some(one) = next.pop() {
        ensure!(one != name, "{name} may name itself, through what it may name");
        let row = floors.get(&one).with_context(|| format!("{one} has no row"))?;
        if all.insert(one) {
            next.extend(row.may_name.iter().cloned());
        }
    }
    Ok(all)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn no_crate_names_one_above_it() -> Result<()> {
    let floors = floors()?;
    let metadata = metadata(&["--no-deps"])?;
    let names: BTreeSet<&str> = list(&metadata, "packages").iter().map(|package| text(package, "name")).collect();
    let rows: BTreeSet<&str> = floors.keys().map(String::as_str).collect();
    ensure!(names == rows, "crates and rows differ: {:?}", names.symmetric_difference(&rows).collect::<Vec<_>>());
    let mut wrong = Vec::new();
    for package in list(&metadata, "packages") {
        let name = text(package, "name");
        let allowed = reach(&floors, name)?;
        for dependency in list(package, "dependencies") {
            let (other, kind) = (text(dependency, "name"), text(dependency, "kind"));
            let for_tests = kind == "dev" && (other == FOR_TESTS || other == name);
            if names.contains(other) && !for_tests && !allowed.contains(other) {
                wrong.push(format!("{name} names {other} ({kind})"));
            }
        }
    }
    ensure!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

#[test]
fn a_pure_crate_depends_on_nothing_with_hands_on_any_system() -> Result<()> {
    let floors = floors()?;
    let pure: Vec<&String> = floors.iter().filter(|(_, row)| row.pure).map(|(name, _)| name).collect();
    ensure!(pure.len() >= 6, "only {pure:?} are pure");
    for system in SYSTEMS {
        let metadata = metadata(&["--filter-platform", system])?;
        let name_of: BTreeMap<&str, &str> =
            list(&metadata, "packages").iter().map(|package| (text(package, "id"), text(package, "name"))).collect();
        // By id, the ids of what it depends on outside of its tests and of its build.
        let mut normal: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for node in list(&metadata["resolve"], "nodes") {
            let is_normal =
                |dependency: &&Value| list(dependency, "dep_kinds").iter().any(|kind| kind["kind"].is_null());
            let ids = list(node, "deps").iter().filter(is_normal).map(|dependency| text(dependency, "pkg")).collect();
            normal.insert(text(node, "id"), ids);
        }
        for name in &pure {
            let (start, _) =
                name_of.iter().find(|(_, other)| other == name).with_context(|| format!("no package {name}"))?;
            let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
            let mut next = vec![(*start, *start)];
            while let Some((id, from)) = next.pop() {
                if seen.insert(id, from).is_none() {
                    let further = normal.get(id).with_context(|| format!("{id} is not resolved"))?;
                    next.extend(further.iter().map(|dependency| (*dependency, id)));
                }
            }
            let hands: Vec<String> = seen
                .iter()
                .filter(|(id, _)| HANDS.contains(&name_of[*id]))
                .map(|(id, from)| format!("{} (through {})", name_of[id], name_of[from]))
                .collect();
            ensure!(hands.is_empty(), "{name} depends on {hands:?} on {system}");
        }
    }
    Ok(())
}

/// Every source file of the workspace, with its path from the root.
fn sources() -> Result<Vec<(PathBuf, String)>> {
    fn below(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                below(&path, found)?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    for folder in ["target-server", "loadgen", "bench"] {
        below(&root().join(folder), &mut found)?;
    }
    ensure!(found.len() > 300, "only {} files", found.len());
    found.into_iter().map(|path| Ok((path.clone(), std::fs::read_to_string(path)?))).collect()
}

#[test]
fn no_crate_hands_on_another_one() -> Result<()> {
    let hands_on = |line: &&str| line.trim_start().starts_with("pub use brimful");
    for (path, text) in sources()? {
        let found: Vec<&str> = text.lines().filter(hands_on).collect();
        ensure!(found.is_empty(), "{}: {found:?}", path.display());
    }
    Ok(())
}

#[test]
fn no_file_is_longer_than_one_sitting() -> Result<()> {
    for (path, text) in sources()? {
        let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
        ensure!(lines <= MOST_LINES, "{}: {lines} lines before its tests", path.display());
    }
    Ok(())
}
