//! What can be wrong with a command as target: what it is, a file's further lines, and parts of what is said, joined by `|`.

pub(super) const COMMAND: &[(&str, &str, &str)] = &[
    ("a command as one text", "[target]\nkind = \"command\"\nargv = \"x y\"", "must be a list of texts"),
    ("a command of nothing", "[target]\nkind = \"command\"\nargv = []", "takes 1 to 64 texts"),
    ("a command's key without its kind", "[target]\nargv = [\"x\"]", "unknown key `target.argv`|kind = \"command\""),
    (
        "a setting of the built-in server for a command",
        "[target]\nkind = \"command\"\nargv = [\"x\"]\naccept = \"drain\"",
        "unknown key `target.accept`",
    ),
    (
        "a knob of the built-in server for a command",
        "target.kind = \"command\"\ntarget.argv = [\"x\"]\nmatrix.target.accept = [\"drain\"]",
        "a setting of brimful's own server|target.arg.NAME",
    ),
    ("a command's knob for the built-in server", "matrix.target.arg.x = [1]", "it goes with kind = \"command\""),
    (
        "a placeholder without a value",
        "[target]\nkind = \"command\"\nargv = [\"x\", \"{{conns}}\"]",
        "`{{conns}}` in `target.argv` has no value|`dir`|axis `target.arg.NAME`",
    ),
    (
        "a setting that reaches nothing",
        "[target]\nkind = \"command\"\nargv = [\"x\"]\narg = { conns = 5 }",
        "`target.arg.conns` reaches nothing|{{conns}}",
    ),
    (
        "a backlog that reaches nothing",
        "target.kind = \"command\"\ntarget.argv = [\"x\"]\nmatrix.target.backlog = [5]",
        "`target.backlog` reaches nothing",
    ),
    (
        "a setting that brimful gives",
        "[target]\nkind = \"command\"\nargv = [\"x\"]\narg = { port = 5 }",
        "given by brimful itself",
    ),
    (
        "a file outside the folder",
        "[target]\nkind = \"command\"\nargv = [\"x\"]\nfiles = { \"../x\" = \"\" }",
        "`../x` is no name of a file",
    ),
    (
        "readiness that nobody can wait for",
        "[target]\nkind = \"command\"\nargv = [\"x\"]\nready = \"soon\"",
        "`target.ready` says nothing|tcp:8080",
    ),
    (
        "a signal with its prefix",
        "[target]\nkind = \"command\"\nargv = [\"x\"]\nstop-signal = \"SIGQUIT\"",
        "goes without SIG|write \"QUIT\"",
    ),
    (
        "a command in no sandbox",
        "topology.sandbox = \"host\"\ntarget.kind = \"command\"\ntarget.argv = [\"x\"]",
        "a namespace of process ids",
    ),
];
