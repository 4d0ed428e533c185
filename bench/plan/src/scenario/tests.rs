//! Good files and bad ones. A bad one is a row: what is wrong in words, the text, and a part of what is said about it.

use std::time::Duration;

use brimful_loadgen_plan::probe::Action;
use brimful_target_plan::{Accept, AtMax, OnEmfile};
use proptest::prelude::*;

use super::expectations::CAUSES;
use super::*;
use crate::cell::{KnobValue, RampUntil};
use crate::expect::{CauseName, CellOutcome, Why};

mod command;
mod load;
mod probe;
mod time;

const LOAD: &str = "[load]\nconnections = 12_000\nramp = \"3s\"\nhold = \"60s\"\n";

/// A file with a question and a load, and whatever is under test.
fn file(more: &str) -> String {
    if more.contains("[load]") || more.starts_with("load.") {
        format!("question = \"?\"\n{more}\n")
    } else {
        format!("question = \"?\"\n{more}\n{LOAD}")
    }
}

fn parse(more: &str) -> Scenario {
    Scenario::parse("scenarios/t.toml", &file(more)).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn what_is_not_said_is_as_in_kubernetes_and_linux() {
    let scenario = parse("");
    assert_eq!(scenario.name, "t");
    let plan = &scenario.target.plan;
    assert_eq!((plan.listen.to_string().as_str(), plan.backlog), ("127.0.0.1:23380", 4_096));
    assert_eq!((plan.on_emfile, plan.raise_nofile, scenario.target.shards), (OnEmfile::Spin, false, 1));
    let probe = &scenario.probe;
    assert_eq!(probe.action, Action::http_get("/healthz"));
    assert_eq!((probe.period, probe.timeout), (Duration::from_secs(10), Duration::from_secs(1)));
    assert_eq!((probe.failure_threshold, probe.success_threshold), (3, 1));
    assert_eq!((scenario.axes.len(), scenario.expect.len()), (0, 0));
}

#[test]
fn a_ramp_may_end_at_the_first_lost_liveness() {
    let load = "[load]\nconnections = 9\nramp = \"1s\"\nhold = \"1s\"";
    assert_eq!(parse(load).load.ramp_until, None);
    assert_eq!(parse(&format!("{load}\nramp-until = \"unhealthy\"")).load.ramp_until, Some(RampUntil::Unhealthy));
}

#[test]
fn axes_stand_in_the_order_of_the_file_and_values_in_one_spelling() {
    let scenario = parse(
        "[matrix.target]\nbacklog = [511]\n[matrix.ulimit]\nnofile = [\"1024:1024\", \"1_024:20000\"]\n\
         [matrix.sysctl]\n\"net/core/somaxconn\" = [\"128\", 4_096]\nnet.ipv4.ip_local_port_range = [\"1024  60999\"]\n",
    );
    let knobs: Vec<&str> = scenario.axes.iter().map(|axis| axis.knob.as_str()).collect();
    assert_eq!(
        knobs,
        ["target.backlog", "ulimit.nofile", "sysctl.net.core.somaxconn", "sysctl.net.ipv4.ip_local_port_range"]
    );
    assert_eq!(scenario.axes[1].values, [KnobValue::Number(1_024), KnobValue::Word("1024:20000".into())]);
    assert_eq!(scenario.axes[2].values, [KnobValue::Number(128), KnobValue::Number(4_096)]);
    assert_eq!(scenario.axes[3].values, [KnobValue::Word("1024 60999".into())]);
}

#[test]
fn expectations_name_knobs_in_full() {
    let scenario = parse(
        "[probe]\nperiod = \"1s\"\n[matrix.sysctl]\n\"net.core.somaxconn\" = [128, 4_096]\n[expect]\ncells = [\n\
         { when = { sysctl.\"net.core.somaxconn\" = 128 }, outcome = [\"failing\", \"degraded\"], cause = \"accept-queue\",\
           why = \"somaxconn-clamp\", must-not-claim = [\"fd-limit\"] },\n{ outcome = \"healthy\" },\n]",
    );
    let first = &scenario.expect[0];
    assert_eq!(first.when, [("sysctl.net.core.somaxconn".to_owned(), KnobValue::Number(128))]);
    assert_eq!(first.outcome, [CellOutcome::Failing, CellOutcome::Degraded]);
    assert_eq!((first.cause, first.why), (Some(CauseName::AcceptQueue), Some(Why::SomaxconnClamp)));
    assert_eq!(first.must_not_claim, [CauseName::FdLimit]);
    assert_eq!(scenario.expect[1].when, []);
}

#[test]
fn the_server_answers_the_path_that_is_asked() {
    let scenario = parse("[probe]\nhttp-get = \"/live?full=1\"");
    assert_eq!(scenario.target.plan.health_path, "/live");
    assert_eq!(parse("[probe]\ntcp-socket = true").probe.action, Action::TcpSocket);
}

#[test]
fn every_fault_and_setting_is_read() {
    let scenario = parse(
        "needs = [\"root\"]\ntopology.path = \"veth\"\n[target]\naccept = \"one-per-wakeup\"\naccept-rate = 50\n\
         block = { first = \"1s\", length = \"6s\" }\nmax-connections = 1_000\nat-max = \"ignore\"\nleak-one-in = 4\n\
         answer-delay = \"1200ms\"\ndefer-accept = \"5s\"\nreuseport = 4\nreuseport-stuck = 1\ncpu = 5\n[probe]\nnofile = 8\n\
         port = 9_099\n[[fault]]\nkind = \"synack-loss\"\npercent = 30\n[[fault]]\nkind = \"ack-hold\"",
    );
    assert_eq!(scenario.needs, [Need::Root]);
    let in_vm = "question = \"?\"\ntopology.sandbox = \"vm\"\n[matrix.sysctl]\n\"fs/file-max\" = [1_000]\n\
                 [load]\nconnections = 1\nramp = \"1s\"\nhold = \"9s\"\n";
    let in_vm = Scenario::parse("v.toml", in_vm).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((in_vm.needs.as_slice(), in_vm.axes[0].knob.as_str()), (&[Need::Vm][..], "sysctl.fs.file-max"));
    assert_eq!(scenario.faults, [Fault::SynAckLoss { percent: 30 }, Fault::AckHold]);
    let plan = &scenario.target.plan;
    assert_eq!((plan.accept, plan.accept_rate), (Accept::OnePerWakeup, Some(50)));
    assert_eq!(plan.block.map(|block| (block.every, block.length)), Some((None, Duration::from_secs(6))));
    assert_eq!((plan.max_connections, plan.at_max, plan.leak_one_in), (Some(1_000), AtMax::Ignore, 4));
    assert_eq!(plan.answer_delay, Duration::from_millis(1_200));
    assert_eq!(plan.defer_accept, Some(Duration::from_secs(5)));
    assert_eq!((plan.reuseport, plan.reuseport_stuck, scenario.target.cpu_percent), (4, 1, Some(5)));
    assert_eq!((scenario.probe.nofile, scenario.probe.port), (Some(8), Some(9_099)));
    assert_eq!(parse("[[fault]]\nkind = \"syn-drop\"").faults, [Fault::SynDrop { percent: 100 }]);
}

#[test]
fn every_cause_can_be_expected() {
    for name in CAUSES {
        let scenario = parse(&format!("probe.period = \"1s\"\nexpect.cells = [{{ cause = \"{name}\" }}]"));
        assert_eq!(scenario.expect[0].cause.map(|cause| cause.to_string()).as_deref(), Some(*name));
    }
}

const AXIS: &str = "[matrix.ulimit]\nnofile = [1_024, 4_096]\n";

/// What is wrong, what to add to a good file, and parts of message, valid keys or hint, joined by `|`.
const BAD: &[(&str, &str, &str)] = &[
    ("no TOML", "[target", "this is not TOML: unclosed table"),
    ("a key twice", "about = \"a\"\nabout = \"b\"", "duplicate key"),
    ("a misspelt key of the file", "qestion = \"?\"", "unknown key `qestion`|did you mean `question`?"),
    ("a misspelt table", "[tarjet]", "unknown key `tarjet`|did you mean `target`?"),
    ("a misspelt key of the topology", "topology.pth = \"veth\"", "unknown key `topology.pth`|`path`"),
    ("a misspelt key of the target", "target.backlock = 5", "unknown key `target.backlock`|did you mean `backlog`?"),
    (
        "a misspelt key of the pause",
        "target.accept-pause = { lenght = \"1s\" }",
        "`target.accept-pause.lenght`|`length`",
    ),
    (
        "a misspelt key of the load",
        "[load]\nconnectons = 5",
        "unknown key `load.connectons`|did you mean `connections`?",
    ),
    ("a misspelt key of the probe", "probe.periode = \"1s\"", "unknown key `probe.periode`|did you mean `period`?"),
    ("a pod spec's key", "probe.periodSeconds = 1", "unknown key `probe.periodSeconds`|it is called `period` here"),
    ("a misspelt key of the matrix", "[matrix.sysctls]", "unknown key `matrix.sysctls`|it is called `sysctl` here"),
    ("a misspelt knob", "matrix.ulimit.nofiles = [1]", "`ulimit.nofiles` is no knob|did you mean `ulimit.nofile`?"),
    ("a target setting that is no knob", "matrix.target.listen = [\"a\"]", "`target.listen` is no knob"),
    (
        "a misspelt key of an expectation",
        "expect.cells = [{ outcom = \"healthy\" }]",
        "unknown key|did you mean `outcome`?",
    ),
    ("a command target", "[target]\nkind = \"command\"", "`target.argv` is missing|argv = [\"nginx\""),
    (
        "a port range that is none",
        "topology.path = \"veth\"\n[[fault]]\nkind = \"ports-taken\"\nports = \"32767-30000\"",
        "`32767-30000` is no range of ports|ports = \"30000-32767\"",
    ),
    (
        "ports of another fault",
        "topology.path = \"veth\"\n[[fault]]\nkind = \"ack-hold\"\nports = \"1-2\"",
        "`ports` does not go with `ack-hold`|ports-taken",
    ),
    (
        "a host-wide knob",
        "[matrix.sysctl]\n\"fs.file-max\" = [1_000]",
        "`sysctl.fs.file-max` is host-wide|sandbox = \"vm\"",
    ),
    ("a gRPC probe of a number", "probe.grpc = 5", "`probe.grpc` must be"),
    (
        "half-open load over loopback",
        "[load]\nconnections = 5\nramp = \"1s\"\nhold = \"1s\"\nbehaviour = \"half-open\"",
        "loopback has no neighbours|write path = \"veth\"",
    ),
    (
        "half-open load over loopback in an axis",
        "matrix.load.behaviour = [\"idle\", \"half-open\"]",
        "loopback has no neighbours",
    ),
    (
        "half-open load from the kernel's ports",
        "topology.path = \"veth\"\n[load]\nconnections = 5\nramp = \"1s\"\nhold = \"1s\"\nbehaviour = \"half-open\"\nsource = \"kernel\"",
        "the kernel cannot choose its sources|source = \"auto\"",
    ),
    (
        "an unknown behaviour",
        "[load]\nconnections = 5\nramp = \"1s\"\nhold = \"1s\"\nbehaviour = \"halfopen\"",
        "did you mean `half-open`?",
    ),
    (
        "churn without end",
        "[load]\nconnections = 5\nramp = \"1s\"\nhold = \"1s\"\nbehaviour = \"churn\"",
        "needs `load.lifetime`|lifetime = \"200ms\"",
    ),
    ("churn without end in an axis", "matrix.load.behaviour = [\"churn\"]", "needs `load.lifetime`"),
    (
        "a lifetime of what is held",
        "[load]\nconnections = 5\nramp = \"1s\"\nhold = \"1s\"\nlifetime = \"1s\"",
        "`load.lifetime` goes with behaviour = \"churn\"",
    ),
    (
        "a life of no length",
        "[load]\nconnections = 5\nramp = \"1s\"\nhold = \"1s\"\nbehaviour = \"churn\"\nlifetime = \"0s\"",
        "between 1ms and 1day",
    ),
    ("a fault that is no table", "fault = \"syn-drop\"", "`fault` must be a list of tables|[[fault]]"),
    ("a fault without kind", "[[fault]]\npercent = 5", "`fault.kind` is missing"),
    ("an unknown fault", "[[fault]]\nkind = \"syn-drops\"", "did you mean `syn-drop`?"),
    (
        "a misspelt key of a fault",
        "[[fault]]\nkind = \"syn-drop\"\npercnt = 5",
        "unknown key `fault.percnt`|did you mean `percent`?",
    ),
    ("a share of nothing", "[[fault]]\nkind = \"syn-drop\"\npercent = 0", "between 1 and 100"),
    ("more than all", "[[fault]]\nkind = \"syn-drop\"\npercent = 101", "between 1 and 100"),
    (
        "a share of a full table",
        "[[fault]]\nkind = \"conntrack-full\"\npercent = 5",
        "`percent` does not go with `conntrack-full`",
    ),
    (
        "a fault twice",
        "[[fault]]\nkind = \"syn-drop\"\n[[fault]]\nkind = \"syn-drop\"\npercent = 5",
        "the path has the fault `syn-drop` twice",
    ),
    (
        "a way back cut on loopback",
        "[[fault]]\nkind = \"no-route-back\"",
        "`no-route-back` needs client and server in two namespaces|path = \"veth\"",
    ),
    (
        "answers lost on loopback",
        "[[fault]]\nkind = \"synack-loss\"",
        "`synack-loss` needs client and server in two namespaces",
    ),
    ("ACKs held on loopback", "[[fault]]\nkind = \"ack-hold\"", "`ack-hold` needs client and server in two namespaces"),
    ("an unknown privilege", "needs = [\"rot\"]", "`needs` cannot be \"rot\"|did you mean `root`?"),
    ("a privilege that is no list", "needs = \"root\"", "`needs` must be a list in brackets"),
    ("no accepts at all", "target.accept-rate = 0", "between 1 and 1,000,000"),
    ("no accepts at all in an axis", "matrix.target.accept-rate = [0]", "`target.accept-rate`: 0 is out of range"),
    ("nobody allowed", "target.max-connections = 0", "between 1 and 4,000,000"),
    ("what to do at no cap", "target.at-max = \"close\"", "`target.at-max` goes with `target.max-connections`"),
    ("an unknown word at the cap", "target = { max-connections = 5, at-max = \"closed\" }", "did you mean `close`?"),
    (
        "a block without end",
        "target.block = { every = \"1s\", length = \"1s\" }",
        "`target.block.length` must be shorter than `every`",
    ),
    ("a misspelt key of the block", "target.block = { lenght = \"1s\" }", "unknown key `target.block.lenght`"),
    ("half a second of deferral", "target.defer-accept = \"1500ms\"", "`target.defer-accept` must be whole seconds"),
    (
        "half a second of deferral in an axis",
        "matrix.target.defer-accept = [\"1500ms\"]",
        "it takes whole seconds between 0s and 1h",
    ),
    ("a delay without unit in an axis", "matrix.target.answer-delay = [1]", "write a duration with its unit"),
    (
        "a delay twice in two spellings",
        "matrix.target.answer-delay = [\"1s\", \"1000ms\"]",
        "`target.answer-delay` has the value `1s` twice",
    ),
    (
        "every socket stuck",
        "target = { reuseport = 2, reuseport-stuck = 2 }",
        "2 of 2 sockets cannot be stuck|accept = \"dead\"",
    ),
    ("a socket stuck that is alone", "target.reuseport-stuck = 1", "1 of 1 sockets cannot be stuck"),
    (
        "every socket stuck in an axis",
        "target.reuseport = 2\nmatrix.target.reuseport-stuck = [0, 2]",
        "2 of 2 sockets cannot be stuck",
    ),
    ("no processor time", "target.cpu = 0", "between 1 and 6,400"),
    ("an earlier name of a key", "target.connection-cap = 5", "it is called `max-connections` here"),
    ("a probe without any descriptor", "probe.nofile = 0", "`probe.nofile` is out of range"),
    ("a probe of no port", "probe.port = 65_536", "between 1 and 65,535"),
    ("no load", "load.ramp = \"1s\"", "`load.connections` is missing"),
    ("an empty question", "", "`question` is empty"),
    ("a duration without unit", "probe.period = 10", "`probe.period` needs a unit|write \"10s\""),
    ("a duration without unit in quotes", "probe.period = \"10\"", "`probe.period` needs a unit|write \"10s\""),
    ("a duration with a fraction", "probe.period = 1.5", "`probe.period` needs a unit"),
    ("a duration in words", "probe.period = \"soon\"", "`probe.period` is no duration"),
    ("a period of zero", "probe.period = \"0s\"", "`probe.period` is out of range, it must be between 1ms and 1day"),
    (
        "a threshold of zero",
        "probe.failure-threshold = 0",
        "`probe.failure-threshold` is out of range|between 1 and 1,000",
    ),
    ("a probe after the end", "probe.initial-delay = \"2m\"", "no probe would be sent: a cell ends after 1m 3s"),
    ("two kinds of probe", "[probe]\nhttp-get = \"/\"\ntcp-socket = true", "a probe has one way of asking"),
    ("no kind of probe", "probe.tcp-socket = false", "`probe.tcp-socket` can only be true"),
    ("a path without slash", "probe.http-get = \"healthz\"", "must be a path that starts with a slash"),
    ("a path with a line break", "probe.http-get = \"/\\r\\nX: y\"", "plain ASCII path"),
    ("a negative count", "target.backlog = -1", "`target.backlog` cannot be negative"),
    ("a backlog above an int", "target.backlog = 2_147_483_648", "must be between 0 and 2,147,483,647"),
    ("a count beyond all", "target.backlog = 99999999999999999999999", "`target.backlog` is out of range"),
    ("a count in quotes", "target.backlog = \"1_28\"", "must be a whole number, not a text|write 128 without quotes"),
    (
        "too many connections",
        "[load]\nconnections = 4_000_001\nramp = \"1s\"\nhold = \"1s\"",
        "between 0 and 4,000,000",
    ),
    ("a day too long", "[load]\nconnections = 1\nramp = \"25h\"\nhold = \"1s\"", "between 0s and 1day"),
    ("no time at all", "[load]\nconnections = 1\nramp = \"0s\"\nhold = \"0s\"", "are both zero"),
    (
        "a ramp until nobody knows",
        "[load]\nconnections = 1\nramp = \"1s\"\nhold = \"1s\"\nramp-until = \"unhealty\"",
        "`load.ramp-until` cannot be \"unhealty\"|did you mean `unhealthy`?",
    ),
    (
        "no ramp to end",
        "[load]\nconnections = 1\nramp = \"0s\"\nhold = \"1s\"\nramp-until = \"unhealthy\"",
        "`load.ramp-until` needs a ramp to end|write ramp = \"20s\"",
    ),
    (
        "a rise of what comes and goes",
        "[load]\nconnections = 1\nramp = \"1s\"\nhold = \"1s\"\nramp-until = \"unhealthy\"\nlifetime = \"9ms\"\n\
         [matrix.load]\nbehaviour = [\"idle\", \"churn\"]",
        "`load.ramp-until` goes with a load that stays|brimful knee",
    ),
    ("no shards", "target.shards = 0", "`target.shards` is out of range, it must be between 1 and 64"),
    ("an unknown word", "target.on-emfile = \"spinn\"", "`target.on-emfile` cannot be \"spinn\"|did you mean `spin`?"),
    (
        "a pause without end",
        "target.accept-pause = { every = \"1s\", length = \"1s\" }",
        "must be shorter than `every`",
    ),
    ("a pause of no length", "target.accept-pause = { every = \"1s\" }", "`target.accept-pause.length` is missing"),
    ("a name for an address", "target.listen = \"localhost:80\"", "no address with a port|names are not looked up"),
    ("an address without port", "target.listen = \"127.0.0.1:0\"", "`target.listen` needs a port"),
    ("a foreign address", "target.listen = \"192.0.2.1:80\"", "192.0.2.1 cannot be reached over loopback"),
    (
        "a loopback listener over veth",
        "topology.path = \"veth\"\ntarget.listen = \"[::1]:80\"",
        "::1 cannot be reached over veth",
    ),
    (
        "shards beyond the last port",
        "target = { shards = 3, listen = \"127.0.0.1:65534\" }",
        "3 shards need the ports from 65534",
    ),
    (
        "a health listener on a shard's port",
        "target = { shards = 3, health-listen = \"127.0.0.1:23382\" }",
        "port 23382 is one that `target.listen` takes",
    ),
    ("an empty axis", "matrix.ulimit.nofile = []", "`matrix.ulimit.nofile` has no values"),
    ("an axis that is no list", "matrix.ulimit.nofile = 5", "must be a list of values|[128]"),
    ("a value twice", "matrix.target.backlog = [5, 6, 5]", "`target.backlog` has the value `5` twice"),
    ("a cell twice in two spellings", "matrix.ulimit.nofile = [1024, \"1024:1024\"]", "has the value `1024` twice"),
    (
        "a knob twice in two spellings",
        "matrix.sysctl = { \"net.core.somaxconn\" = [1], \"net/core/somaxconn\" = [2] }",
        "`sysctl.net.core.somaxconn` is in the matrix twice",
    ),
    ("soft above hard", "matrix.ulimit.nofile = [\"2048:1024\"]", "the soft limit 2,048 is above the hard limit 1,024"),
    ("a limit of nothing", "matrix.ulimit.nofile = [0]", "a descriptor limit of 0 is out of range"),
    ("a limit in words", "matrix.ulimit.nofile = [\"unlimited\"]", "`unlimited` is no descriptor limit"),
    ("a nested list", "matrix.ulimit.nofile = [[5]]", "must be a whole number, a text or a switch, not a list"),
    ("an unknown word in an axis", "matrix.target.accept = [\"drian\"]", "did you mean `drain`?"),
    ("a switch as a number", "matrix.target.raise-nofile = [1]", "it takes true or false"),
    (
        "a port range of one",
        "matrix.sysctl.\"net.ipv4.ip_local_port_range\" = [1024]",
        "it takes 2 whole numbers in one text",
    ),
    ("a way out of /proc/sys", "matrix.sysctl.\"net/../kernel/pid_max\" = [5]", "`..` cannot be a part of its name"),
    ("another way out", "matrix.sysctl.\"net.core./..\" = [5]", "cannot be a part of its name"),
    ("an absolute path", "matrix.sysctl.\"/etc/passwd\" = [5]", "cannot be a part of its name"),
    ("a host-wide sysctl", "matrix.sysctl.\"fs.file-max\" = [5]", "`sysctl.fs.file-max` is host-wide"),
    ("a host-wide sysctl of net", "matrix.sysctl.\"net.ipv4.tcp_mem\" = [\"1 2 3\"]", "would change the whole machine"),
    (
        "more cells than anyone would wait for",
        "matrix.target = { backlog = [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17] }\nmatrix.sysctl = { \
         \"net.ipv4.tcp_retries1\" = [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16], \"net.ipv4.tcp_retries2\" = \
         [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16] }",
        "the matrix has 4,352 cells (17 × 16 × 16), at most 4,096 are taken",
    ),
    ("a clamp on no axis", "matrix.clamp = [\"ulimit.nofile\"]", "`ulimit.nofile` is no axis of this matrix"),
    (
        "a clamp on what has no limit",
        "matrix = { clamp = [\"target.backlog\"], target.backlog = [1] }",
        "has no limit of the machine to be lowered to",
    ),
    ("an exclude without when", "AXIS[[matrix.exclude]]", "`matrix.exclude.when` is missing"),
    ("an empty exclude", "AXIS[[matrix.exclude]]\nwhen = {}", "an empty `when` would exclude every cell"),
    (
        "an exclude on a knob that does not vary",
        "AXIS[[matrix.exclude]]\nwhen = { target.backlog = 5 }",
        "`target.backlog` is no axis of this matrix|`ulimit.nofile`",
    ),
    (
        "an exclude on a value that is not there",
        "AXIS[[matrix.exclude]]\nwhen = { ulimit.nofile = 512 }",
        "`ulimit.nofile` never is `512` in this matrix: it takes `1024`, `4096`",
    ),
    (
        "nothing left",
        "matrix = { ulimit.nofile = [64], exclude = [{ when = { ulimit.nofile = 64 } }] }",
        "leaves no cell",
    ),
    ("an expectation on a knob that does not vary", "expect.cells = [{ when = { target.backlog = 5 } }]", "is no axis"),
    (
        "an expectation on a value that is not there",
        "AXIS[expect]\ncells = [{ when = { ulimit.nofile = 5_000 }, outcome = \"healthy\" }]",
        "`ulimit.nofile` never is `5000` in this matrix",
    ),
    (
        "an expectation about an excluded cell",
        "AXIS[[matrix.exclude]]\nwhen = { ulimit.nofile = 1024 }\n[expect]\ncells = [{ when = { ulimit.nofile = 1024 }, \
         outcome = \"healthy\" }]",
        "no cell fits this `when`",
    ),
    (
        "an unknown cause",
        "expect.cells = [{ cause = \"fd-limits\" }]",
        "cannot be \"fd-limits\"|did you mean `fd-limit`?",
    ),
    ("an unknown outcome", "expect.cells = [{ outcome = \"dead\" }]", "`expect.cells.outcome` cannot be \"dead\""),
    ("a healthy cell with a cause", "expect.cells = [{ outcome = \"healthy\", cause = \"fd-limit\" }]", "has no cause"),
    (
        "a why without its cause",
        "expect.cells = [{ why = \"app-backlog\" }]",
        "`why` goes with cause = \"accept-queue\"",
    ),
    (
        "a cause both expected and forbidden",
        "expect.cells = [{ cause = \"fd-limit\", must-not-claim = [\"fd-limit\"] }]",
        "must not be forbidden as well",
    ),
    ("an expectation of nothing", "expect.cells = [{}]", "this line expects nothing"),
    ("no expectations", "expect.cells = []", "`expect.cells` is empty"),
    (
        "a failure for which there is no time",
        "probe = { period = \"40s\" }\nexpect.cells = [{ outcome = \"failing\" }]",
        "it lasts 1m 3s, and failure 3 of 3 would begin after 1m 20s",
    ),
    ("a question as a number", "", "`question` must be a text in quotes, not a whole number"),
];

#[test]
fn every_bad_file_is_told_what_is_wrong() {
    let mut unsaid = Vec::new();
    for (what, more, said) in BAD.iter().chain(load::LOAD).chain(command::COMMAND).chain(time::TIME) {
        let text = match *what {
            "an empty question" => format!("question = \" \"\n{LOAD}"),
            "a question as a number" => format!("question = 5\n{LOAD}"),
            _ => file(&more.replace("AXIS", AXIS)),
        };
        let Err(error) = Scenario::parse("t.toml", &text) else { panic!("{what}: was taken\n{text}") };
        let told = format!("{error}\nhint: {}", error.hint.clone().unwrap_or_default());
        for part in said.split('|').filter(|part| !told.contains(part)) {
            unsaid.push(format!("{what}: `{part}` is not said in\n{told}"));
        }
        assert!(error.at.line <= text.lines().count() && error.at.column >= 1, "{what}: {told}");
        assert!(!error.message.ends_with('.'), "{what}: {told}");
    }
    assert!(unsaid.is_empty(), "{}", unsaid.join("\n\n"));
}

#[test]
fn errors_read_well() {
    let mut told = String::new();
    for what in [
        "a misspelt key of the load",
        "a duration without unit",
        "a command target",
        "more cells than anyone would wait for",
        "an exclude on a value that is not there",
        "a host-wide sysctl",
        "no TOML",
    ] {
        let (_, more, _) = BAD.iter().find(|(name, ..)| *name == what).unwrap();
        let error = Scenario::parse("t.toml", &file(&more.replace("AXIS", AXIS))).unwrap_err();
        told.push_str(&format!("{what}\n\n{error}\nhint: {}\n\n\n", error.hint.as_deref().unwrap_or("-")));
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_file_of_any_size_is_not_read() {
    let text = format!("question = \"?\"\n# {}\n{LOAD}", "x".repeat(MAX_FILE));
    assert!(Scenario::parse("t.toml", &text).unwrap_err().message.contains("too large"));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,120}", cut in 0usize..2_000) {
        drop(Scenario::parse("t.toml", &text));
        let origin = crate::catalogue::list()[0].text;
        let cut = origin.floor_char_boundary(cut);
        drop(Scenario::parse("t.toml", &format!("{}{text}{}", &origin[..cut], &origin[cut..])));
    }
}
