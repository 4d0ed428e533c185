//! The checker checked: made-up trees that break one rule each, and must be caught at it.

use super::{Promise, Tree, violations};

const DOCUMENT: &str = "# Made up

## The floors

| floor | part | may name | what it is for |
|---|---|---|---|
| 5 | `main` | `cli`, every floor below | |
| 5 | `cli` | every floor below | |
| 4 | `live` | every floor below | |
| 4 | `judge` | every floor below | |
| 2 | `plan` | every floor below | |
| 1 | `loadgen/` | every floor below | |
| 0 | `target-server/` | nothing | |

## The pure modules

| crate | modules |
|---|---|
| `bench` | `plan`, `judge` |
| `loadgen` | `pace`, `probe::ticker` |

## The end
";

/// A tree that breaks nothing.
fn sound() -> Tree {
    let files = [
        ("ARCHITECTURE.md", DOCUMENT),
        ("target-server/Cargo.toml", "[dependencies]\nserde = '1'\n"),
        ("loadgen/Cargo.toml", "[dependencies]\nbrimful-target.workspace = true\n"),
        ("bench/Cargo.toml", "[dependencies]\nbrimful-target.workspace = true\nbrimful-loadgen.workspace = true\n"),
        ("target-server/src/lib.rs", "pub mod serve;\n"),
        ("target-server/src/serve.rs", "use tokio::net::TcpListener;\n"),
        ("loadgen/src/lib.rs", "pub mod pace;\npub mod probe;\n"),
        ("loadgen/src/pace.rs", "use std::time::Duration;\nuse brimful_target_plan::TargetPlan;\n"),
        ("loadgen/src/probe/mod.rs", "mod ticker;\nuse std::net::TcpStream;\n"),
        ("loadgen/src/probe/ticker.rs", "//! Owns no std::time::Instant.\nconst NOTE: &str = \"std::fs\";\n"),
        ("bench/src/lib.rs", "pub mod plan;\npub mod live;\npub mod judge;\npub mod cli;\n"),
        ("bench/src/main.rs", "use brimful::cli;\nfn main() { brimful::live::worker() }\n"),
        ("bench/src/cli.rs", "use crate::{judge, live::{self, run}, plan::cell::Cell};\n"),
        ("bench/src/live/mod.rs", "use std::fs;\nuse crate::plan::cell::Cell;\nuse super::plan;\n"),
        ("bench/src/plan/mod.rs", "mod cell;\nuse std::net::{IpAddr, SocketAddr};\nuse std::io::Read;\n"),
        (
            "bench/src/plan/cell.rs",
            "use super::Thing;\n#[cfg(test)]\nmod tests {\n    use super::*;\n    use std::fs;\n}\n",
        ),
        ("bench/src/judge/mod.rs", "use brimful_loadgen_plan::latency;\n#[cfg(test)]\nmod samples;\n"),
        ("bench/src/judge/samples.rs", "use std::fs;\n"),
    ];
    files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect()
}

/// What is found in a tree; one line that is no breach where it cannot be read at all.
fn found_in(tree: &Tree) -> Vec<String> {
    violations(tree).unwrap_or_else(|error| vec![format!("unreadable: {error:#}")])
}

/// What is found when one file of the sound tree is replaced or added.
fn found_with(path: &str, text: &str) -> Vec<String> {
    let mut tree = sound();
    tree.insert(path.to_owned(), text.to_owned());
    found_in(&tree)
}

#[track_caller]
fn caught(path: &str, text: &str, words: &str) {
    let found = found_with(path, text);
    assert!(found.len() == 1 && found[0].contains(words), "expected one breach with `{words}`, found {found:#?}");
}

#[test]
fn a_sound_tree_is_let_pass() {
    assert_eq!(found_in(&sound()), Vec::<String>::new());
}

#[test]
fn siblings_may_not_name_each_other() {
    caught("bench/src/live/run.rs", "use crate::judge::Verdict;", "`live` names `judge`");
    caught("bench/src/judge/cause.rs", "fn f() { crate::live::sandbox() }", "`judge` names `live`");
}

#[test]
fn an_arrow_may_not_point_up() {
    caught("bench/src/plan/matrix.rs", "use crate::live;", "`plan` names `live`");
    caught("bench/src/cli.rs", "use crate::main;", "`cli` names `main`");
}

#[test]
fn an_arrow_is_seen_in_every_spelling() {
    for text in [
        "use crate::{plan::cell::Cell, judge::Verdict};",
        "use crate::{plan::{cell, knob}, judge};",
        "use super::judge;",
        "use super::{judge::Verdict};",
        "mod inner { use super::super::judge::Verdict; }",
        "#[cfg(test)] mod tests { use crate::judge::Verdict; }",
        "macro_rules! verdict { () => { $crate::judge::Verdict } }",
        "fn f<'a>(x: &'a crate::judge::Verdict) {}",
        "pub use crate :: judge as other;",
    ] {
        caught("bench/src/live/mod.rs", text, "`live` names `judge`");
    }
    caught("bench/src/live/deep/er.rs", "use super::super::super::judge;", "`live` names `judge`");
}

#[test]
fn the_root_may_not_hide_an_arrow() {
    caught("bench/src/live/mod.rs", "use crate::Verdict;", "no part of the floor table");
    caught("bench/src/live/mod.rs", "use super::*;", "no part of the floor table");
}

#[test]
fn a_crate_may_not_name_one_above() {
    caught("target-server/src/serve.rs", "use brimful_loadgen_plan::plan;", "`target-server` names `loadgen`");
}

#[test]
fn a_manifest_may_not_depend_on_one_above() {
    for text in [
        "[dependencies]\nbrimful-loadgen.workspace = true\n",
        "[dev-dependencies]\nbrimful-loadgen = { path = '../loadgen' }\n",
        "[target.'cfg(unix)'.dependencies]\nother = { package = 'brimful-loadgen', path = '../loadgen' }\n",
        "[dependencies.brimful-loadgen]\npath = '../loadgen'\n",
    ] {
        caught("target-server/Cargo.toml", text, "depends on brimful-loadgen");
    }
    caught("loadgen/Cargo.toml", "[dependencies]\nbrimful = { path = '../bench' }\n", "depends on brimful,");
}

#[test]
fn every_module_has_a_row() {
    caught("bench/src/helpers.rs", "", "bench/src/helpers has no row");
    caught("bench/src/util/mod.rs", "", "bench/src/util has no row");
}

#[test]
fn every_row_has_a_module() {
    for (path, words) in [
        ("bench/src/cli.rs", "lists bench: cli"),
        ("loadgen/src/pace.rs", "lists loadgen: pace"),
        ("loadgen/src/lib.rs", "lists loadgen,"),
    ] {
        let mut tree = sound();
        tree.remove(path);
        let found = found_in(&tree);
        assert!(found.len() == 1 && found[0].contains(words), "expected `{words}`, found {found:#?}");
    }
}

#[test]
fn a_pure_module_reaches_for_nothing() {
    for (text, words) in [
        ("use std::fs;", "std::fs"),
        ("fn f() { std::fs::read(\"x\"); }", "std::fs::read"),
        ("use std::{env, fmt};", "std::env"),
        ("use std::process::Command;", "std::process::Command"),
        ("use std::net::TcpStream;", "std::net::TcpStream"),
        ("use std::net::{IpAddr, TcpListener};", "std::net::TcpListener"),
        ("use std::net;", "std::net"),
        ("use std::time::Instant;", "std::time::Instant"),
        ("use std::time::{Duration, SystemTime};", "std::time::SystemTime"),
        ("use std::time::*;", "std::time::*"),
        ("use tokio::sync::mpsc;", "tokio::sync::mpsc"),
        ("use rustix::io::Errno;", "rustix::io::Errno"),
        ("use socket2::Socket;", "socket2::Socket"),
        ("fn f() { jiff::Timestamp::now(); }", "jiff::Timestamp::now"),
        ("use brimful_target::clock::monotonic_ns;", "brimful_target::clock"),
    ] {
        caught("bench/src/plan/matrix.rs", text, words);
        caught("loadgen/src/probe/ticker.rs", text, words);
    }
}

#[test]
fn only_the_pure_are_held_to_purity() {
    assert_eq!(found_with("loadgen/src/hold.rs", "use std::time::Instant;"), Vec::<String>::new());
    assert_eq!(found_with("loadgen/src/pacemaker.rs", "use std::time::Instant;"), Vec::<String>::new());
}

#[test]
fn a_file_has_an_end() {
    caught("bench/src/live/long.rs", &"fn f() {}\n".repeat(501), "501 lines before its tests");
    let with_tests =
        format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", "fn f() {}\n".repeat(500), "fn g() {}\n".repeat(500));
    assert_eq!(found_with("bench/src/live/long.rs", &with_tests), Vec::<String>::new());
}

#[test]
fn unsafe_code_has_one_place() {
    caught("bench/src/live/run.rs", "fn f() { unsafe { g() } }", "unsafe code outside a sys.rs");
    assert_eq!(found_with("bench/src/live/sys.rs", "fn f() { unsafe { g() } }"), Vec::<String>::new());
}

#[test]
fn a_table_that_contradicts_itself_is_refused() {
    for (from, to, words) in [
        ("| 0 | `target-server/` | nothing | |", "| 0 | `target-server/` | `plan` | |", "above it"),
        ("| 5 | `cli` | every floor below | |", "| 5 | `cli` | `main` | |", "may name each other"),
        ("| 5 | `cli` | every floor below | |", "| 5 | `cli` | whatever | |", "has no row"),
        ("| 4 | `live` | every floor below | |", "| 4 | `judge` | every floor below | |", "two rows"),
        ("## The floors", "## The walls", "no table under"),
    ] {
        let error = Promise::read(&DOCUMENT.replace(from, to)).expect_err("a contradiction").to_string();
        assert!(error.contains(words), "expected `{words}`, found `{error}`");
    }
}
