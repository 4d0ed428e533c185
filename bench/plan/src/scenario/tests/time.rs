//! What is wrong with changes and restarts.

/// What is wrong in words, the text, and a part of what is said about it.
pub(super) const TIME: &[(&str, &str, &str)] = &[
    ("a change of nothing", "[[change]]\nat = \"1s\"", "this change does nothing"),
    ("a change of two things", "[[change]]\nat = \"1s\"\nrelisten = true\nrestart = true", "a change does one thing"),
    (
        "a change after the end",
        "[[change]]\nat = \"63s\"\nrestart = true",
        "is not before the end of the cell, after 1m 3s",
    ),
    ("a change without an instant", "[[change]]\nrestart = true", "`change.at` is missing"),
    ("a change that is none", "[[change]]\nat = \"1s\"\nrestart = false", "it can only be true"),
    (
        "a change of the load",
        "[[change]]\nat = \"1s\"\nset = { load.connections = 5 }",
        "`load.connections` cannot be changed",
    ),
    ("a change of a quota", "[[change]]\nat = \"1s\"\nset = { target.cpu = 5 }", "`target.cpu` cannot be changed"),
    ("a change of the host", "[[change]]\nat = \"1s\"\nset = { sysctl.\"fs.file-max\" = 5 }", "host-wide"),
    (
        "a sysctl of the unit",
        "[[change]]\nat = \"1s\"\nnext-start = { sysctl.\"net.core.somaxconn\" = 5 }",
        "is nothing that a program is started with",
    ),
    (
        "a sysctl in a shell",
        "[[change]]\nat = \"1s\"\nelsewhere = { sysctl.\"net.core.somaxconn\" = 5 }",
        "has nothing to do with a shell",
    ),
    (
        "a sysctl where nothing is written",
        "topology.sandbox = \"host\"\n[[change]]\nat = \"1s\"\nset = { sysctl.\"net.core.somaxconn\" = 5 }",
        "nothing is written where",
    ),
    (
        "a guest's own host",
        "topology.sandbox = \"vm\"\n[[change]]\nat = \"1s\"\nset = { sysctl.\"fs.file-max\" = 5 }",
        "is host-wide: it cannot be changed",
    ),
    ("a kill that is none", "[[change]]\nat = \"1s\"\nkill = false", "it can only be true"),
    ("a restart without a policy", "[restart]", "`restart.policy` is missing"),
    ("a restart by nobody", "[restart]\npolicy = \"systemd\"", "`restart.policy` cannot be \"systemd\""),
    (
        "a cap below the base",
        "[restart]\npolicy = \"kubelet\"\nback-off = \"20s\"\nback-off-cap = \"10s\"",
        "is longer than the longest of 10s",
    ),
    (
        "a startup probe that asks twice",
        "[restart]\npolicy = \"kubelet\"\n[restart.startup-probe]\nsuccess-threshold = 2",
        "success-threshold must be 1 for liveness and startup",
    ),
    (
        "a startup probe that says half of how it asks",
        "[restart]\npolicy = \"kubelet\"\n[restart.startup-probe]\nscheme = \"https\"",
        "asks as [probe] does, unless it says how itself",
    ),
    (
        "a startup probe with what does not go with how liveness asks",
        "[probe]\ngrpc = true\n[restart]\npolicy = \"kubelet\"\n[restart.startup-probe]\nscheme = \"https\"",
        "asks as [probe] does",
    ),
    ("a startup axis without a kubelet", "matrix.restart.startup-failures = [5]", "goes with [restart]"),
    ("a settling without a kubelet", "expect.cells = [{ settles = true }]", "nobody restarts the target"),
    (
        "restarts that are no range",
        "restart.policy = \"kubelet\"\nexpect.cells = [{ restarts = \"3..1\" }]",
        "`restarts` is a number or a range",
    ),
    ("an effect without a change", "expect.cells = [{ took = \"live\" }]", "and none is"),
];
