//! `scripts/ci/gate`, with a made-up brimful in place of the real one: what it calls, what it tells, and with which code it ends.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/ci/gate");

/// Writes down how it was called, and ends as `RUN`, `GATE` and `AA` say.
const MADE_UP: &str = r#"#!/usr/bin/env bash
printf '%s\n' "$*" >>calls
case $1 in
    run) exit "${RUN:-0}" ;;
    aa) exit "${AA:-0}" ;;
    gate)
        # Without an answer there is nothing to add to a summary.
        case ${GATE:-0} in 0 | 4 | 5) ;; *) exit "$GATE" ;; esac
        while (($#)); do
            if [[ $1 == --summary ]]; then printf 'the gate\n' >>"$2"; fi
            shift
        done
        exit "${GATE:-0}"
        ;;
esac
"#;

/// What a call of the script came to.
struct Came {
    code: Option<i32>,
    calls: String,
    summary: String,
    outputs: String,
    said: String,
}

fn gate(options: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<Came> {
    let folder = tempfile::tempdir()?;
    let made_up = folder.path().join("brimful");
    fs::write(&made_up, MADE_UP)?;
    fs::set_permissions(&made_up, fs::Permissions::from_mode(0o755))?;
    let Output { status, stdout, stderr } = Command::new(SCRIPT)
        .args(options)
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GATE_BRIMFUL", &made_up)
        .env("GITHUB_STEP_SUMMARY", "summary")
        .env("GITHUB_OUTPUT", "outputs")
        .envs(variables.iter().copied())
        .output()?;
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    Ok(Came {
        code: status.code(),
        calls: read("calls"),
        summary: read("summary"),
        outputs: read("outputs"),
        said: String::from_utf8([stdout, stderr].concat())?,
    })
}

#[test]
fn both_arms_are_run_and_gated() -> anyhow::Result<()> {
    let options = ["--scenario", "my.toml", "--base", "target.backlog=4096", "--blocks", "10", "--junit", "j.xml"];
    let came = gate(&options, &[("GATE_HEAD", "target.backlog=128"), ("GATE_SEED", "7"), ("GATE_BLOCKS", "3")])?;
    assert_eq!(came.code, Some(0), "{}", came.said);
    assert_eq!(
        came.calls,
        "run my.toml --arm base:target.backlog=4096 --arm head:target.backlog=128 --blocks 10 --seed 7 \
         --out brimful-out/gate --plain\n\
         gate brimful-out/gate --arms base,head --summary summary --format text\n\
         report brimful-out/gate --format junit --out j.xml\n"
    );
    assert_eq!(came.summary, "the gate\n");
    assert_eq!(came.outputs, "answer=pass\nstatus=0\nout=brimful-out/gate\n");
    Ok(())
}

#[test]
fn without_knobs_the_arms_are_those_of_the_scenario() -> anyhow::Result<()> {
    let came = gate(&["--scenario", "my.toml"], &[])?;
    assert!(came.calls.starts_with("run my.toml --out brimful-out/gate --plain\n"), "{}", came.calls);
    let came = gate(&["--scenario", "my.toml", "--head", "target.backlog=128"], &[])?;
    assert!(came.calls.contains("--arm base: --arm head:target.backlog=128"), "{}", came.calls);
    Ok(())
}

#[test]
fn exit_codes_are_those_of_brimful() -> anyhow::Result<()> {
    let no_comparison = "came to no comparison";
    // What run and gate end with, whether the gate is asked, what the summary has, the code, and the answer.
    for (run, gate_code, asked, told, code, answer) in [
        ("0", "4", true, "the gate", 4, "fail"),
        ("0", "5", true, "the gate", 5, "inconclusive"),
        ("0", "2", true, no_comparison, 2, "error"),
        ("6", "5", true, "the gate", 6, "error"),
        ("7", "0", true, "the gate", 7, "error"),
        ("3", "0", false, no_comparison, 3, "error"),
        ("2", "0", false, no_comparison, 2, "error"),
        ("130", "0", false, no_comparison, 130, "error"),
    ] {
        let came = gate(&["--scenario", "my.toml"], &[("RUN", run), ("GATE", gate_code)])?;
        assert_eq!(came.code, Some(code), "run {run}, gate {gate_code}: {}", came.said);
        assert_eq!(came.calls.contains("\ngate "), asked, "run {run}: {}", came.calls);
        assert!(came.outputs.contains(&format!("answer={answer}\nstatus={code}\n")), "{}", came.outputs);
        assert!(came.summary.contains(told), "run {run}: {}", came.summary);
    }
    Ok(())
}

#[test]
fn an_answer_that_is_not_settled_may_pass_but_never_silently() -> anyhow::Result<()> {
    let variables = [("GATE", "5"), ("GATE_INCONCLUSIVE", "warn"), ("GITHUB_ACTIONS", "true")];
    let came = gate(&["--scenario", "my.toml"], &variables)?;
    assert_eq!(came.code, Some(0));
    assert!(came.said.contains("::warning title=brimful::"), "{}", came.said);
    assert!(came.outputs.contains("answer=inconclusive\nstatus=5\n"), "{}", came.outputs);
    let came = gate(&["--scenario", "my.toml"], &[("GATE", "4"), ("GATE_INCONCLUSIVE", "warn")])?;
    assert_eq!(came.code, Some(4), "only that one is forgiven");
    Ok(())
}

#[test]
fn a_version_is_compared_with_itself() -> anyhow::Result<()> {
    for (aa, word) in [("0", "pass"), ("4", "fail"), ("5", "inconclusive")] {
        let came = gate(&["--aa", "--scenario", "null", "--blocks", "12"], &[("AA", aa)])?;
        assert_eq!(came.code.map(|code| code.to_string()).as_deref(), Some(aa));
        assert_eq!(came.calls, "aa null --blocks 12\n");
        assert!(came.summary.starts_with(&format!("### A/A of `null`: {word}")), "{}", came.summary);
    }
    Ok(())
}

#[test]
fn wrong_options_are_refused_before_anything_runs() -> anyhow::Result<()> {
    let cases: [(&[&str], &str); 6] = [
        (&[], "no scenario"),
        (&["--scenario"], "--scenario needs a value"),
        (&["--scenario", "a", "--bogus"], "unknown option '--bogus'"),
        (&["--scenario", "a", "--blocks", "many"], "--blocks takes a number"),
        (&["--scenario", "a", "--inconclusive", "maybe"], "fail or warn"),
        (&["--aa", "--scenario", "a", "--head", "target.backlog=1"], "takes no --base"),
    ];
    for (options, words) in cases {
        let came = gate(options, &[])?;
        assert_eq!((came.code, came.calls.as_str()), (Some(2), ""), "{options:?}");
        assert!(came.said.contains(words) && came.said.contains("hint: "), "{options:?}: {}", came.said);
    }
    Ok(())
}

#[test]
fn a_dry_run_shows_and_does_nothing() -> anyhow::Result<()> {
    let came = gate(&["--scenario", "my.toml", "--dry-run"], &[])?;
    assert_eq!((came.code, came.calls.as_str(), came.outputs.as_str()), (Some(0), "", ""));
    assert!(came.said.contains("run my.toml --out brimful-out/gate --plain"), "{}", came.said);
    Ok(())
}

#[test]
fn every_input_of_the_action_reaches_the_script() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (action, script) = (fs::read_to_string(root.join("action.yml"))?, fs::read_to_string(SCRIPT)?);
    let handed: Vec<(&str, &str)> = action
        .lines()
        .filter_map(|line| line.trim().strip_prefix("GATE_")?.split_once(": ${{ inputs."))
        .map(|(variable, input)| (variable, input.trim_end_matches(" }}")))
        .collect();
    assert!(handed.len() > 5, "{handed:?}");
    for (variable, input) in &handed {
        assert_eq!(variable.to_lowercase(), *input);
        assert!(script.contains(&format!("${{GATE_{variable}:-}}")), "the script reads GATE_{variable}");
    }
    let declared = action.split("\noutputs:").next().unwrap_or_default();
    let inputs =
        declared.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ") && line.ends_with(':'));
    assert_eq!(
        inputs.map(|line| line.trim().trim_end_matches(':')).collect::<Vec<_>>(),
        handed.iter().map(|(_, input)| *input).collect::<Vec<_>>().as_slice()
    );
    Ok(())
}
