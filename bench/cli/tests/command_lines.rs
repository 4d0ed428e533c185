//! Command lines that cannot be meant: refused with status 2 or 3 and a hint, before anything is started or written.

use assert_cmd::Command;

/// Arguments after `brimful`, and parts of what is said, joined by `|`.
const BAD: &[(&str, &str)] = &[
    ("run smoke --blocks 0", "--blocks <N>|1..=1000"),
    ("run smoke --blocks 1001", "1..=1000"),
    ("run smoke --blocks some", "invalid value 'some'"),
    ("run smoke --seed 0", "--seed <N>"),
    ("run smoke --seed 9007199254740992", "--seed <N>"),
    ("run smoke --jobs 0", "--jobs <N>"),
    ("run smoke --jobs 65", "1..=64"),
    ("run smoke --quick --blocks 2", "cannot be used with"),
    ("run smoke --arm base:", "`base` is the only arm|hint: write for example --arm"),
    ("run smoke --arm base --arm head:", "`base` is no arm|no colon|hint:"),
    ("run smoke --arm a: --arm a:", "two arms are called `a`"),
    ("run smoke --arm a: --arm b:target.backlog", "gives a knob no value"),
    ("run smoke --arm a: --arm b:target.backlock=5", "`target.backlock` is no knob|did you mean `target.backlog`?"),
    ("run smoke --arm a: --arm b:target.backlog=much", "will not do: it takes a whole number"),
    ("run smoke --arm a: --arm b:ulimit.nofile=64", "arm `b` sets `ulimit.nofile`, which the matrix varies"),
    ("run smoke --arm a: --arm b:load.behaviour=half-open", "loopback has no neighbours|path = \"veth\""),
    ("run smoke --arm a: --arm b:load.behaviour=churn", "needs `load.lifetime`"),
    ("run smoke --arm a: --arm b: --only arm=c,*", "no cell fits|arm=a,nofile=64"),
    ("check smoke --blocks 0", "--blocks <N>"),
    ("load 127.0.0.1:1 --share 4/4", "is no share|0/4 for the first"),
    ("load 127.0.0.1:1 --behaviour half-open", "invalid value 'half-open'|idle, heartbeat, churn"),
    ("load 127.0.0.1:1 --behaviour churn", "`--lifetime`|hint: add --lifetime"),
    ("load 127.0.0.1:1 --behaviour slow-reader", "`--read-rate`|hint: add --read-rate"),
    ("load 127.0.0.1:1 --behaviour idle --reconnect linear", "do not come back|hint: add --behaviour reconnect"),
    (
        "load 127.0.0.1:1 --behaviour reconnect --reconnect-base 2s --reconnect-cap 1s",
        "is below `--reconnect-base`|hint:",
    ),
    ("load 127.0.0.1:1 --fleet 8/8 --gatherer 127.0.0.1:2", "is no member|0/8 for the first"),
    ("load 127.0.0.1:1 --fleet 0 --gatherer 127.0.0.1:2", "is no member"),
    ("load 127.0.0.1:1 --fleet 0/8", "needs to know who gathers|hint: give the address"),
    ("load 127.0.0.1:1 --fleet 0/8 --share 0/8", "cannot be used with"),
    ("load 127.0.0.1:1 --gatherer 127.0.0.1:2", "--fleet <INDEX/MEMBERS>"),
    ("load 127.0.0.1:1 --fleet 4 --gatherer 127.0.0.1:2", "JOB_COMPLETION_INDEX is ``|hint: write --fleet 0/4"),
    ("load 127.0.0.1:1 --connections 3 --fleet 0/4 --gatherer 127.0.0.1:2", "some would have none|hint:"),
    ("load 127.0.0.1:1 --connections 2000 --fleet 0/1001 --gatherer 127.0.0.1:2", "1000 are the most|hint:"),
    ("k8s restarts", "required"),
    ("k8s restarts no-such-file", "cannot read `no-such-file`"),
    ("k8s restarts /dev/null", "is not what kubectl prints|hint:"),
    ("serve --consent-for 1h", "--consent"),
    ("serve --consent --consent-until 1999-01-01T00:00:00Z", "has ended before it began|hint:"),
    ("serve --consent --consent-for 9000years", "beyond the year 9999|hint:"),
    ("k8s render synq-cookies", "half-open load is made in a sandbox only|hint:"),
    ("k8s render smoke --pods 0", "between 1 and 1,000|hint:"),
    ("k8s render smoke --namespace A", "`A` is no name of a namespace|hint:"),
    ("k8s render smoke --cell none", "no cell fits|nofile=64"),
    ("k8s render nothing", "no built-in scenario `nothing`"),
    ("run smoke --journal somewhere", "--allow-host-changes"),
    ("restore --journal", "a value is required"),
    ("doctor --pid 0", "--pid <PID>"),
    ("doctor --pid 4194304", "there is no process 4194304|hint:"),
    ("doctor --pid 1 --port 80", "cannot be used with"),
    ("doctor --port 65536", "--port <PORT>"),
    ("doctor --container no-such-container", "no process has `no-such-container`|hint:"),
    ("doctor --window 1ms", "between 100ms and 10m"),
    ("doctor --replay no-such-file", "cannot read `no-such-file`"),
    ("doctor --replay ticket --watch", "cannot be used with"),
    ("merge one --out two", "2 values required by '<DIR> <DIR>...'"),
    ("merge", "required"),
    ("merge no-such-folder no-such-other --out /nonexistent/out", "cannot read"),
];

#[test]
fn what_cannot_be_meant_is_refused_with_a_hint() {
    let folder = tempfile::tempdir().expect("a folder");
    for (line, says) in BAD {
        let mut command = Command::new(env!("CARGO_BIN_EXE_brimful"));
        let output = command.args(line.split(' ')).current_dir(folder.path()).output().expect("brimful runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{line}: {said}");
        assert!(said.starts_with("error: "), "{line}: {said}");
        let told = says.split('|').all(|part| said.contains(part));
        assert!(told, "{line}: `{says}` is not said in\n{said}");
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("the folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_arm_of_the_command_line_is_held_against_this_machine() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brimful"));
    let line = "run null --arm a: --arm b:sysctl.fs.file-max=5";
    let output = command.args(line.split(' ')).output().expect("brimful runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("host-wide"), "{said}");
}

#[test]
fn check_tells_the_time_of_so_many_blocks() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brimful"));
    let output = command.args(["check", "null", "--blocks", "15"]).output().expect("brimful runs");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    // Where no sandbox can be made, that is what is said instead.
    assert!(shown.contains("1 cell, 15 blocks: about") || output.status.code() == Some(3), "{shown}");
}
