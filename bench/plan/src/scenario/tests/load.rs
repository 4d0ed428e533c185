//! Mistakes in what a behaviour of the load goes by: name, text, what the message says and, behind a bar, the hint.

pub(super) const LOAD: &[(&str, &str, &str)] = &[
    (
        "a heartbeat faster than the timers",
        "[load]\nconnections = 5\nramp = \"1s\"\nhold = \"1s\"\nbehaviour = \"heartbeat\"\nheartbeat-interval = \"1ms\"",
        "between 10ms and 1day",
    ),
    (
        "a share above all",
        "[load]\nconnections = 5\nramp = \"1s\"\nhold = \"1s\"\nbehaviour = \"heartbeat\"\nheartbeat-share = 101",
        "between 1 and 100",
    ),
    (
        "an interval of what is idle",
        "[load]\nconnections = 5\nramp = \"1s\"\nhold = \"1s\"\nheartbeat-interval = \"5s\"",
        "`load.heartbeat-interval` goes with behaviour = \"heartbeat\"",
    ),
    (
        "a slow reader without a rate",
        "[load]\nconnections = 5\nramp = \"1s\"\nhold = \"1s\"\nbehaviour = \"slow-reader\"",
        "needs `load.read-rate`|read-rate = 1_000",
    ),
    (
        "a rate of what does not read",
        "[load]\nconnections = 5\nramp = \"1s\"\nhold = \"1s\"\nbehaviour = \"heartbeat\"\nread-rate = 5",
        "`load.read-rate` goes with behaviour = \"slow-reader\"",
    ),
    (
        "a policy of churn",
        "[load]\nconnections = 5\nramp = \"1s\"\nhold = \"1s\"\nbehaviour = \"churn\"\nlifetime = \"1s\"\nreconnect = \"linear\"",
        "goes with behaviour = \"reconnect\" or behaviour = \"heartbeat\"",
    ),
    (
        "an unknown policy",
        "[load]\nconnections = 5\nramp = \"1s\"\nhold = \"1s\"\nbehaviour = \"reconnect\"\nreconnect = \"expnential\"",
        "did you mean `exponential`?",
    ),
    (
        "nothing that comes back",
        "[load]\nconnections = 5\nramp = \"1s\"\nhold = \"1s\"\nbehaviour = \"reconnect\"\nreconnect = \"none\"",
        "nothing comes back|reconnect = \"jittered\"",
    ),
    (
        "a pause above the longest",
        "[load]\nconnections = 5\nramp = \"1s\"\nhold = \"1s\"\nbehaviour = \"reconnect\"\nreconnect-base = \"2s\"\nreconnect-cap = \"1s\"",
        "first pause of 2s is longer than the longest of 1s",
    ),
    (
        "a share of no storm",
        "[load]\nconnections = 5\nramp = \"1s\"\nhold = \"1s\"\nbehaviour = \"reconnect\"\nstorm-share = 50",
        "`load.storm-share` goes with `load.storm-at`",
    ),
    (
        "a storm after the end",
        "[load]\nconnections = 5\nramp = \"1s\"\nhold = \"1s\"\nbehaviour = \"reconnect\"\nstorm-at = \"2s\"",
        "a storm at 2s is not before the end of the cell, after 2s",
    ),
    (
        "another name for an interval",
        "[load]\nconnections = 5\nramp = \"1s\"\nhold = \"1s\"\ninterval = \"2s\"",
        "it is called `heartbeat-interval` here",
    ),
];
