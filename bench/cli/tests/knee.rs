//! `brimful knee`, mistyped: the documented exit status, what is wrong, what to type, and nothing written.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::path::Path;

use assert_cmd::Command;

const SCENARIO: &str = r#"question = "is it good?"
[load]
connections = 10
ramp = "100ms"
hold = "300ms"
[probe]
period = "100ms"
timeout = "100ms"
[matrix.load]
connections = [10, 20]
[matrix.ulimit]
nofile = [64, 128]
"#;

/// Runs it in a folder that holds the scenario as `two.toml`, and returns status and standard error.
fn knee(folder: &Path, words: &[&str]) -> (Option<i32>, String) {
    fs::write(folder.join("two.toml"), SCENARIO).unwrap();
    let output = Command::cargo_bin("brimful").unwrap().current_dir(folder).arg("knee").args(words).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn what_is_mistyped_is_refused_before_anything_runs() {
    let table: [(&str, &[&str], &[&str]); 11] = [
        ("no scenario", &[], &["<SCENARIOS>", "Usage"]),
        ("an unknown scenario", &["orgin"], &["`orgin`", "hint: did you mean `origin`?"]),
        ("a file that is not there", &["none.toml"], &["cannot read `none.toml`"]),
        ("no tolerance at all", &["origin", "--within", "0%"], &["--within", "between 0.01% and 50%"]),
        ("a tolerance without its sign", &["origin", "--within", "1"], &["--within", "such as 1%"]),
        ("no load at all", &["origin", "--max", "0"], &["--max", "1..=4000000"]),
        ("more than a scenario can ask for", &["origin", "--max", "4000001"], &["--max"]),
        ("a form that is none", &["origin", "--format", "html"], &["--format", "text, json, md"]),
        ("no such cell", &["two.toml", "--only", "nofile=65"], &["no cell fits `nofile=65`", "hint: the cells are"]),
        (
            "an axis of what is searched",
            &["two.toml"],
            &["`load.connections` is an axis", "hint: choose one of its values with --only '*connections=N*'"],
        ),
        ("a misspelt option", &["origin", "--witin", "1%"], &["--witin", "--within"]),
    ];
    for (name, words, says) in table {
        let folder = tempfile::tempdir().unwrap();
        let (status, said) = knee(folder.path(), words);
        assert_eq!(status, Some(2), "{name}: {said}");
        for expected in says {
            assert!(said.contains(expected), "{name}: `{expected}` is not in\n{said}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{name}: something was written");
    }
}

#[test]
fn a_folder_with_something_in_it_is_not_written_into() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine"), "precious").unwrap();
    let (status, said) = knee(folder.path(), &["two.toml", "--only", "*connections=10,*", "--out", "."]);
    // Where no namespace can be made it is refused for that before.
    assert!(status == Some(2) && said.contains("is not empty") || status == Some(3), "{status:?}: {said}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn help_says_what_it_does_and_how_it_ends() {
    let output = Command::cargo_bin("brimful").unwrap().args(["knee", "--help"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8_lossy(&output.stdout);
    for expected in ["Healthy means that no probe failed", "Exit status", "--within", "[default: 1%]", "knee.json"] {
        assert!(help.contains(expected), "`{expected}` is not in\n{help}");
    }
}
