//! Holds the source to ARCHITECTURE.md: the arrows of its floor table, its list of pure modules, the size of a file.
//!
//! The two tables are read from the document itself, so that changing a rule means changing what people read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, ensure};

#[path = "architecture/scan.rs"]
mod scan;

use scan::{NamedPath, Scan};

/// Lines a file may have before its tests.
const MOST_LINES: usize = 500;

/// Crates by the row of the table, with the package and the name in source.
const CRATES: [(&str, &str, &str); 2] =
    [("target-server", "brimful-target", "brimful_target"), ("loadgen", "brimful-loadgen", "brimful_loadgen")];

/// Crates that are hands on the machine: a pure module has no use for any item of theirs.
const HANDS: [&str; 14] = [
    "caps",
    "hyper",
    "hyper_util",
    "indicatif",
    "libc",
    "mio",
    "netlink_sys",
    "nix",
    "rlimit",
    "rtnetlink",
    "rustix",
    "socket2",
    "tempfile",
    "tokio",
];

/// Paths that reach a clock, a file, the environment, a process or a socket, with all that is below them.
const REACHES: [&str; 15] = [
    "std::env",
    "std::fs",
    "std::io::stderr",
    "std::io::stdin",
    "std::io::stdout",
    "std::os",
    "std::path::Path::exists",
    "std::process",
    "std::thread",
    "brimful_target::clock",
    "brimful_target::limits::nofile",
    "brimful_target::limits::raise_nofile",
    "brimful_target::limits::set_nofile",
    "crate::clock",
    "std::*",
];

/// Modules of std of which only these items are plain data.
const DATA_OF: [(&str, &[&str]); 2] = [
    ("net", &["AddrParseError", "IpAddr", "Ipv4Addr", "Ipv6Addr", "SocketAddr", "SocketAddrV4", "SocketAddrV6"]),
    ("time", &["Duration", "TryFromFloatSecsError"]),
];

/// A copy of the project's text: what is checked, real or made up. Paths are relative to the root, with `/`.
type Tree = BTreeMap<String, String>;

/// One row of the floor table.
#[derive(Debug)]
struct Part {
    floor: u32,
    may_name: BTreeSet<String>,
}

/// What ARCHITECTURE.md promises.
#[derive(Debug)]
struct Promise {
    parts: BTreeMap<String, Part>,
    /// Folder of the crate and module path, such as (`loadgen`, `probe::ticker`).
    pure: Vec<(String, String)>,
}

impl Promise {
    fn read(document: &str) -> anyhow::Result<Self> {
        let rows = table(document, "## The floors")?;
        let mut floors = BTreeMap::new();
        for row in &rows {
            let [floor, part, ..] = row.as_slice() else {
                anyhow::bail!("a row of the floor table is too short: {row:?}")
            };
            let floor: u32 = floor.parse().with_context(|| format!("floor `{floor}` is no number"))?;
            ensure!(floors.insert(unquoted(part), floor).is_none(), "{part} has two rows");
        }
        let mut parts = BTreeMap::new();
        for row in &rows {
            let part = unquoted(&row[1]);
            let floor = floors[&part];
            let allowed = row.get(2).with_context(|| format!("no `may name` for {part}"))?;
            let mut may_name = BTreeSet::new();
            for word in allowed.split(',').map(str::trim).filter(|word| *word != "nothing") {
                if word == "every floor below" {
                    may_name.extend(floors.iter().filter(|other| *other.1 < floor).map(|other| other.0.clone()));
                    continue;
                }
                let name = unquoted(word);
                let other = floors.get(&name).with_context(|| format!("{part} may name {name}, which has no row"))?;
                ensure!(*other <= floor, "{part} may name {name}, which is above it");
                may_name.insert(name);
            }
            parts.insert(part, Part { floor, may_name });
        }
        for (name, part) in &parts {
            for other in part.may_name.iter().filter(|other| parts[*other].floor == part.floor) {
                ensure!(!parts[other].may_name.contains(name), "{name} and {other} may name each other");
            }
        }
        let mut pure = Vec::new();
        for row in table(document, "## The pure modules")? {
            let [folder, modules, ..] = row.as_slice() else { anyhow::bail!("a row of the pure modules is too short") };
            pure.extend(modules.split(',').map(|module| (unquoted(folder), unquoted(module))));
        }
        Ok(Self { parts, pure })
    }
}

/// The cells of the first table under a heading, without its two head lines.
fn table(document: &str, heading: &str) -> anyhow::Result<Vec<Vec<String>>> {
    let below =
        document.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.starts_with("## "));
    let lines = below.skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let rows: Vec<Vec<String>> = lines.skip(2).map(cells).collect();
    ensure!(!rows.is_empty(), "ARCHITECTURE.md has no table under `{heading}`");
    Ok(rows)
}

fn unquoted(cell: &str) -> String {
    cell.trim().trim_matches('`').trim_end_matches('/').to_owned()
}

/// Everything in a tree that ARCHITECTURE.md does not allow, one line each.
fn violations(tree: &Tree) -> anyhow::Result<Vec<String>> {
    let promise = Promise::read(tree.get("ARCHITECTURE.md").context("ARCHITECTURE.md is missing")?)?;
    let scans: BTreeMap<&str, Scan> = tree
        .iter()
        .filter(|file| file.0.ends_with(".rs"))
        .map(|(path, text)| (path.as_str(), scan::scan(text)))
        .collect();
    let for_tests: BTreeSet<String> = scans.iter().flat_map(|(path, scan)| test_files(path, scan)).collect();
    let mut found: Vec<String> = absent_parts(tree, &promise).into_iter().collect();
    found.extend(unlisted_parts(&scans, &promise));
    for (folder, package, _) in CRATES.into_iter().chain([("bench", "brimful", "brimful")]) {
        found.extend(manifest_arrows(tree, folder, package, &promise)?);
    }
    for (path, scan) in &scans {
        if scan.lines_before_tests > MOST_LINES {
            found.push(format!("{path}: {} lines before its tests, at most {MOST_LINES}", scan.lines_before_tests));
        }
        found.extend(arrows(path, scan, &promise));
        if is_pure(path, &promise) && !for_tests.contains(*path) {
            found.extend(impurities(path, scan));
        }
        if !path.ends_with("/sys.rs") {
            let named = scan.paths.iter().filter(|named| named.segments == ["unsafe"]);
            found.extend(named.map(|named| format!("{path}:{}: unsafe code outside a sys.rs", named.line)));
        }
    }
    Ok(found)
}

/// The folder and module path of a source file: (`bench`, [`plan`, `cell`]); empty for a crate's root.
fn module_of(path: &str) -> Option<(&str, Vec<&str>)> {
    let (folder, file) = path.split_once("/src/")?;
    let mut modules: Vec<&str> = file.strip_suffix(".rs")?.split('/').collect();
    if matches!(modules.last(), Some(&"mod" | &"lib")) {
        modules.pop();
    }
    Some((folder, modules))
}

/// Where a module in a file of its own may be, from the root of its crate's sources.
fn files_of(folder: &str, module: &str) -> [String; 2] {
    let path = module.replace("::", "/");
    [format!("{folder}/src/{path}.rs"), format!("{folder}/src/{path}/mod.rs")]
}

/// Files that a file declares for its tests only.
fn test_files(path: &str, scan: &Scan) -> Vec<String> {
    let Some((folder, modules)) = module_of(path) else { return Vec::new() };
    let child = |name: &String| [modules.clone(), vec![name.as_str()]].concat().join("::");
    scan.test_modules.iter().flat_map(|name| files_of(folder, &child(name))).collect()
}

fn absent_parts(tree: &Tree, promise: &Promise) -> BTreeSet<String> {
    let in_table = promise.parts.keys().map(|part| match CRATES.iter().find(|known| known.0 == part) {
        Some(_) => (part.clone(), [format!("{part}/src/lib.rs"), format!("{part}/src/main.rs")]),
        None => (format!("bench: {part}"), files_of("bench", part)),
    });
    let pure = promise.pure.iter().map(|(folder, module)| (format!("{folder}: {module}"), files_of(folder, module)));
    let absent = in_table.chain(pure).filter(|(_, files)| !files.iter().any(|file| tree.contains_key(file)));
    absent.map(|(name, _)| format!("ARCHITECTURE.md lists {name}, which does not exist")).collect()
}

fn unlisted_parts(scans: &BTreeMap<&str, Scan>, promise: &Promise) -> BTreeSet<String> {
    let modules = scans.keys().filter_map(|path| module_of(path));
    let parts = modules.filter(|(folder, _)| *folder == "bench").filter_map(|(_, modules)| modules.first().copied());
    let unlisted = parts.filter(|part| !promise.parts.contains_key(*part));
    unlisted.map(|part| format!("bench/src/{part} has no row in the floor table of ARCHITECTURE.md")).collect()
}

/// Arrows between the three crates, in every kind of dependency of a manifest.
fn manifest_arrows(tree: &Tree, folder: &str, package: &str, promise: &Promise) -> anyhow::Result<Vec<String>> {
    fn dependencies(table: &toml::Table, found: &mut Vec<String>) {
        for (key, value) in table {
            let Some(inner) = value.as_table() else { continue };
            if key.ends_with("dependencies") {
                for (name, wanted) in inner {
                    let renamed = wanted.get("package").and_then(toml::Value::as_str);
                    found.push(renamed.unwrap_or(name).to_owned());
                }
            } else {
                dependencies(inner, found);
            }
        }
    }
    let path = format!("{folder}/Cargo.toml");
    let manifest: toml::Table = tree.get(&path).with_context(|| format!("{path} is missing"))?.parse()?;
    let mut wanted = Vec::new();
    dependencies(&manifest, &mut wanted);
    let ours = |name: &String| *name == "brimful" || CRATES.iter().any(|known| known.1 == name);
    let refused = |name: &String| match CRATES.iter().find(|known| known.1 == name) {
        Some((to, ..)) => promise.parts.get(folder).is_some_and(|part| !part.may_name.contains(*to)),
        None => true,
    };
    let bad = wanted.into_iter().filter(|name| ours(name) && name != package && refused(name));
    Ok(bad.map(|name| format!("{path}: depends on {name}, an arrow that is not in the floor table")).collect())
}

/// Arrows in the source: between the modules of bench, and from any crate to another of ours.
fn arrows(path: &str, scan: &Scan, promise: &Promise) -> Vec<String> {
    let Some((folder, modules)) = module_of(path) else { return Vec::new() };
    // The root of bench's library is the map: it declares every part and is none.
    let from = if folder == "bench" { modules.first().copied() } else { Some(folder) };
    let Some((from, part)) = from.and_then(|from| Some((from, promise.parts.get(from)?))) else { return Vec::new() };
    let mut found = Vec::new();
    for named in &scan.paths {
        let to = match CRATES.iter().find(|known| named.segments[0] == known.2) {
            Some(known) => known.0.to_owned(),
            None if folder == "bench" => match within_bench(&modules, named) {
                Some(to) => to,
                None => continue,
            },
            None => continue,
        };
        if to == from || part.may_name.contains(&to) {
            continue;
        }
        let why = match promise.parts.get(&to) {
            Some(_) => "an arrow that is not in the floor table",
            None => "which is no part of the floor table",
        };
        found.push(format!("{path}:{}: `{from}` names `{to}` ({}), {why}", named.line, named.segments.join("::")));
    }
    found
}

/// The part of bench that a path leads to, resolved from the module it stands in; `None` where it does not leave it.
fn within_bench(modules: &[&str], named: &NamedPath) -> Option<String> {
    let mut here: Vec<&str> = modules.iter().copied().chain(named.inside.iter().map(String::as_str)).collect();
    let mut rest = named.segments.iter().map(String::as_str).peekable();
    match rest.peek()? {
        &"crate" | &"brimful" if named.segments.len() > 1 => {
            rest.next();
            here.clear();
        }
        &"super" => {
            while rest.next_if_eq(&"super").is_some() {
                here.pop();
            }
        }
        _ => return None,
    }
    here.extend(rest);
    Some(here.first().copied().unwrap_or("the root of the crate").to_owned())
}

fn is_pure(path: &str, promise: &Promise) -> bool {
    let Some((folder, modules)) = module_of(path) else { return false };
    let own = modules.join("::");
    let below = |module: &str| own == module || own.strip_prefix(module).is_some_and(|rest| rest.starts_with("::"));
    promise.pure.iter().any(|(pure_folder, module)| pure_folder == folder && below(module))
}

fn impurities(path: &str, scan: &Scan) -> Vec<String> {
    let bad = scan.paths.iter().filter(|named| !named.in_tests && reaches_the_machine(&named.segments));
    let message = |named: &NamedPath| {
        format!("{path}:{}: a pure module names {}, which reaches the machine", named.line, named.segments.join("::"))
    };
    bad.map(message).collect()
}

fn reaches_the_machine(segments: &[String]) -> bool {
    let words: Vec<&str> = segments.iter().map(String::as_str).collect();
    let path = words.join("::");
    let below = |root: &str| path == root || path.strip_prefix(root).is_some_and(|rest| rest.starts_with("::"));
    match words.as_slice() {
        // A single word is as likely a variable; whatever it stands for was named in full where it was imported.
        [_] => false,
        ["std" | "core", module, item @ ..] if DATA_OF.iter().any(|data| data.0 == *module) => {
            let data = DATA_OF.iter().find(|data| data.0 == *module).map_or(&[][..], |data| data.1);
            item.first().is_none_or(|item| !data.contains(item))
        }
        // `Timestamp::now`, `Utc::now`: a clock by whatever name.
        [owner, .., "now"] if *owner != "Self" && *owner != "self" => true,
        [first, ..] => HANDS.contains(first) || REACHES.iter().any(|root| below(root)),
        [] => false,
    }
}

/// The project on disk.
fn project() -> anyhow::Result<Tree> {
    fn add(tree: &mut Tree, root: &Path, folder: &Path) -> anyhow::Result<()> {
        for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                add(tree, root, &path)?;
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
                tree.insert(name, std::fs::read_to_string(&path)?);
            }
        }
        Ok(())
    }
    // Asked at run time: a build folder that was moved or shared would otherwise lead to another copy of the project.
    let bench = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    let root = Path::new(&bench).parent().context("bench has no parent folder")?;
    let mut tree = Tree::new();
    for folder in ["target-server", "loadgen", "bench"] {
        for part in ["src", "tests", "benches"].map(|part| root.join(folder).join(part)) {
            if part.is_dir() {
                add(&mut tree, root, &part)?;
            }
        }
        let manifest = format!("{folder}/Cargo.toml");
        tree.insert(manifest.clone(), std::fs::read_to_string(root.join(manifest))?);
    }
    tree.insert("ARCHITECTURE.md".to_owned(), std::fs::read_to_string(root.join("ARCHITECTURE.md"))?);
    Ok(tree)
}

#[test]
fn the_source_keeps_to_the_floor_table() {
    let found = violations(&project().expect("the project can be read")).expect("ARCHITECTURE.md can be read");
    assert!(found.is_empty(), "{} breaches of ARCHITECTURE.md:\n{}", found.len(), found.join("\n"));
}

#[path = "architecture/made_up.rs"]
mod made_up;
