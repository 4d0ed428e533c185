//! The one table of knobs: everything a scenario can vary, where it holds, when it takes effect, what it cures.
//!
//! It says nothing about values in force: those are read at run time.

mod nofile;
mod sysctl;
mod table;
mod values;

use serde::{Deserialize, Serialize};

use super::cell::KnobValue;
use super::expect::CauseName;
use super::refusal::Refusal;
use crate::wording;

pub use nofile::{parse_nofile, print_nofile};
pub use sysctl::{SysctlNameError, canonical_sysctl, sysctl_path};
pub use values::{Values, parse_time};

/// Bounds and words that scenario files share with the table.
pub(super) mod limits {
    pub(crate) use super::nofile::MOST as NOFILE_MOST;
    pub(crate) use super::table::{
        ACCEPT, ACCEPT_RATE_MOST, AT_MAX, BACKLOG_MOST, BEHAVIOUR, CONNECTIONS_MOST, CPU_MOST, DEFER_MOST, DELAY_MOST,
        EXTRA_FD_KIND, EXTRA_FDS_MOST, HEARTBEAT_LEAST, LEAK_MOST, ON_EMFILE, PAUSE_LEAST, READ_RATE_MOST, RECONNECT,
        REUSEPORT_MOST, SHARE, SOURCE,
    };
}

/// How far a knob reaches, and so who may set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// One network namespace: the sandbox sets it.
    NetworkNamespace,
    /// One process: the worker sets it at birth.
    Process,
    /// The program under test, mostly one listener of it.
    Program,
    /// The load.
    Load,
    /// The whole machine: never set by a sandbox.
    HostWide,
}

/// When a new value is first felt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum TakesEffect {
    /// At once: it is read each time it matters.
    Live,
    /// When the socket is bound or `listen(2)` is called again; sockets that listen already keep the old value.
    NextListen,
    /// For connections made from then on.
    NextConnection,
    /// Only for a process started with it.
    ProcessStart,
}

/// What Kubernetes lets a pod do with it (`pkg/kubelet/sysctl/safe_sysctls.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kubernetes {
    /// Any pod may set it in `securityContext.sysctls`.
    Safe,
    /// A pod may set it where the kubelet has it in `--allowed-unsafe-sysctls`.
    Unsafe,
    /// Only whoever owns the node can set it.
    NodeOnly,
    /// It is no sysctl or ulimit, so the question does not come up; `set_in` says where it is set.
    NotApplicable,
}

/// One knob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Knob {
    /// The full dotted name; a `*` stands for one component, such as a device's name.
    pub name: &'static str,
    /// How far it reaches.
    pub scope: Scope,
    /// When a new value is felt.
    pub takes_effect: TakesEffect,
    /// The values it can have.
    pub values: Values,
    /// What the kernel makes of the value, in words; empty where it takes it as it is.
    pub clamp: &'static str,
    /// What Kubernetes says to it.
    pub kubernetes: Kubernetes,
    /// The causes it can cure or bring about.
    pub answers: &'static [CauseName],
    /// Where to set it for good.
    pub set_in: &'static str,
    /// What it is where nobody has set it, as it is printed; empty where that is the machine's or the program's own affair.
    pub usual: &'static str,
}

impl Knob {
    /// Whether this is the value that it has where nobody has set it; of a descriptor limit only the soft one is looked at.
    #[must_use]
    pub fn is_usual(&self, value: &KnobValue) -> bool {
        let text = value.to_string();
        let text = match self.values {
            Values::Nofile => text.split(':').next().unwrap_or_default(),
            _ => text.as_str(),
        };
        !self.usual.is_empty() && text == self.usual
    }
}

/// A knob that a scenario may vary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// A row of the table.
    Known(&'static Knob),
    /// A sysctl below `net.` that the table does not have: whether it is the namespace's own is found out by trying.
    Unlisted {
        /// The full dotted name, with the `sysctl.` prefix.
        name: String,
    },
}

impl Admitted {
    /// The values it can have; any for a sysctl that is not in the table.
    #[must_use]
    pub fn values(&self) -> Values {
        match self {
            Self::Known(knob) => knob.values,
            Self::Unlisted { .. } => Values::Any,
        }
    }
}

/// Every knob, in the order of the guide: descriptors, program, load, sysctls of the namespace, sysctls of the host.
pub fn all() -> impl Iterator<Item = &'static Knob> {
    table::KNOBS.iter()
}

/// The row of a knob, by its full dotted name (`sysctl.net.core.somaxconn`, `ulimit.nofile`). Exact rows come before those with a `*`.
#[must_use]
pub fn lookup(name: &str) -> Option<&'static Knob> {
    table::KNOBS
        .iter()
        .find(|knob| knob.name == name)
        .or_else(|| table::KNOBS.iter().find(|knob| fits(knob.name, name)))
}

/// Whether `name` is `pattern` with each `*` put in place by one component.
fn fits(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.split('.'), name.split('.'));
    loop {
        match (pattern.next(), name.next()) {
            (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(want), Some(have)) if want == have => {}
            _ => return false,
        }
    }
}

/// The knob whose name is most like this one, where one is alike.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    let last = |name: &'static str| name.rsplit('.').next().unwrap_or(name);
    let names = || table::KNOBS.iter().map(|knob| knob.name).filter(|name| !name.contains('*'));
    // People know `somaxconn` better than its path, so the last component is compared first.
    let asked = name.rsplit('.').next().unwrap_or(name);
    let by_last = wording::nearest(asked, names().map(last));
    by_last.and_then(|found| names().find(|name| last(name) == found)).or_else(|| wording::nearest(name, names()))
}

/// Whether a scenario may vary the knob of this full dotted name inside a sandbox.
///
/// # Errors
/// A [`Refusal`] of class `Scenario` for a name that is no knob, a malformed sysctl name, and one that would change the whole machine.
pub fn admit(name: &str) -> Result<Admitted, Refusal> {
    let Some(sysctl) = name.strip_prefix("sysctl.") else {
        return match lookup(name) {
            Some(knob) => Ok(Admitted::Known(knob)),
            None => Err(unknown(name)),
        };
    };
    let canonical = canonical_sysctl(sysctl)
        .map_err(|error| Refusal::scenario(error.to_string(), "write it as `sysctl -a` prints it").about(name))?;
    let full = format!("sysctl.{canonical}");
    match lookup(&full) {
        Some(knob) if knob.scope == Scope::HostWide => Err(host_wide(&full, knob.clamp)),
        Some(knob) => Ok(Admitted::Known(knob)),
        None if canonical.starts_with("net.") => Ok(Admitted::Unlisted { name: full }),
        None => Err(unlisted(&full)),
    }
}

/// The knob of a name, with the name in its one spelling.
///
/// # Errors
/// As [`admit`].
pub fn settle(name: &str) -> Result<(String, Admitted), Refusal> {
    let admitted = admit(name)?;
    let name = match &admitted {
        // A row with a `*` stands for many knobs.
        Admitted::Known(knob) if !knob.name.contains('*') => knob.name.to_owned(),
        Admitted::Known(_) => name
            .strip_prefix("sysctl.")
            .and_then(|sysctl| canonical_sysctl(sysctl).ok())
            .map_or_else(|| name.to_owned(), |sysctl| format!("sysctl.{sysctl}")),
        Admitted::Unlisted { name } => name.clone(),
    };
    Ok((name, admitted))
}

/// As [`settle`], where the host is a guest of one's own: host-wide sysctls of the table are admitted too.
///
/// # Errors
/// As [`admit`], but for those.
pub fn settle_anywhere(name: &str) -> Result<(String, Admitted), Refusal> {
    let canonical = name.strip_prefix("sysctl.").and_then(|sysctl| canonical_sysctl(sysctl).ok());
    let full = canonical.map(|sysctl| format!("sysctl.{sysctl}"));
    match full.and_then(|full| Some((lookup(&full).filter(|knob| knob.scope == Scope::HostWide)?, full))) {
        Some((knob, full)) => Ok((full, Admitted::Known(knob))),
        None => settle(name),
    }
}

/// Whether a sysctl, by its dotted name without the prefix, is one for the whole host.
#[must_use]
pub fn is_host_wide(sysctl: &str) -> bool {
    lookup(&format!("sysctl.{sysctl}")).is_some_and(|knob| knob.scope == Scope::HostWide)
}

fn unknown(name: &str) -> Refusal {
    let hint = match nearest(name) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the knobs are {}, and sysctls below `sysctl.net.`", wording::quoted(plain_names())),
    };
    Refusal::scenario(format!("`{name}` is no knob"), hint).about(name)
}

/// The names that are not sysctls.
fn plain_names() -> impl Iterator<Item = &'static str> {
    table::KNOBS.iter().map(|knob| knob.name).filter(|name| !name.starts_with("sysctl."))
}

fn host_wide(name: &str, remark: &str) -> Refusal {
    let remark = if remark.is_empty() { String::new() } else { format!(" ({remark})") };
    Refusal::machine(
        format!("`{name}` is host-wide{remark}: it would change the whole machine, so a sandbox cannot vary it"),
        "take it out of the matrix; or write sandbox = \"vm\" in [topology] and run it with `brimful vm run`; or let \
         brimful change this machine and put it back: run it with --allow-host-changes (docs/host.md)",
    )
    .about(name)
}

fn unlisted(name: &str) -> Refusal {
    Refusal::machine(
        format!("`{name}` is host-wide, and none of the host's settings that brimful knows"),
        "take it out of the matrix, and set it by hand for the whole run",
    )
    .about(name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::refusal::Class;

    #[test]
    fn every_name_is_there_once_and_well_formed() {
        let mut seen = HashSet::new();
        for knob in all() {
            assert!(seen.insert(knob.name), "{} is there twice", knob.name);
            assert!(!knob.set_in.is_empty(), "{} is set nowhere", knob.name);
            if let Some(sysctl) = knob.name.strip_prefix("sysctl.") {
                assert_eq!(canonical_sysctl(&sysctl.replace('*', "x")).unwrap(), sysctl.replace('*', "x"));
            }
        }
    }

    #[test]
    fn a_usual_value_is_one_that_the_knob_takes_and_knows_again() {
        for knob in all().filter(|knob| !knob.usual.is_empty()) {
            let typed = match knob.values {
                Values::Switch => KnobValue::Switch(knob.usual == "true"),
                _ => KnobValue::Word(knob.usual.to_owned()),
            };
            let value = knob.values.canonical(&typed).expect(knob.name);
            assert!(knob.is_usual(&value), "{} = {value}", knob.name);
        }
        let nofile = lookup("ulimit.nofile").unwrap();
        assert!(nofile.is_usual(&KnobValue::Word("1024:524288".into())));
        assert!(!nofile.is_usual(&KnobValue::Number(20_000)));
        assert!(!lookup("target.backlog").unwrap().is_usual(&KnobValue::Word(String::new())));
    }

    #[test]
    fn lookup_prefers_the_exact_row() {
        assert_eq!(lookup("sysctl.net.core.somaxconn").unwrap().takes_effect, TakesEffect::NextListen);
        assert_eq!(lookup("sysctl.net.ipv4.neigh.default.gc_thresh3").unwrap().scope, Scope::HostWide);
        assert_eq!(lookup("sysctl.net.ipv4.neigh.eth0.unres_qlen_bytes").unwrap().scope, Scope::NetworkNamespace);
        assert_eq!(lookup("sysctl.net.ipv4.conf.eth0/100.rp_filter").unwrap().scope, Scope::NetworkNamespace);
        assert!(lookup("sysctl.net.core").is_none());
    }

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        assert_eq!(nearest("sysctl.net.core.somaxcon"), Some("sysctl.net.core.somaxconn"));
        assert_eq!(nearest("somaxconn"), Some("sysctl.net.core.somaxconn"));
        assert_eq!(nearest("ulimit.nofiles"), Some("ulimit.nofile"));
        assert_eq!(nearest("target.backlogs"), Some("target.backlog"));
    }

    #[test]
    fn host_wide_names_are_the_machines_refusal() {
        for name in [
            "sysctl.fs.file-max",
            "sysctl.kernel.pid_max",
            "sysctl.net.core.netdev_max_backlog",
            "sysctl.net/core/netdev_max_backlog",
            "sysctl.net.ipv4.tcp_mem",
            "sysctl.net.netfilter.nf_conntrack_max",
            "sysctl.net.netfilter.nf_conntrack_count",
        ] {
            assert_eq!(admit(name).expect_err(name).class, Class::Machine, "{name}");
        }
    }

    #[test]
    fn host_wide_names_are_admitted_where_the_host_is_ones_own() {
        let (name, admitted) = settle_anywhere("sysctl.fs/file-max").unwrap();
        assert_eq!(
            (name.as_str(), admitted),
            ("sysctl.fs.file-max", Admitted::Known(lookup("sysctl.fs.file-max").unwrap()))
        );
        assert_eq!(settle_anywhere("sysctl.net.core.somaxconn"), settle("sysctl.net.core.somaxconn"));
        assert_eq!(
            settle_anywhere("sysctl.kernel.core_pattern").unwrap_err().class,
            Class::Machine,
            "not in the table"
        );
        assert!(is_host_wide("net.ipv4.neigh.default.gc_thresh3") && !is_host_wide("net.core.somaxconn"));
    }

    #[test]
    fn malformed_names_are_the_scenarios_mistake() {
        for name in ["sysctl.net/../kernel/pid_max", "target.color", "nofile"] {
            assert_eq!(admit(name).expect_err(name).class, Class::Scenario, "{name}");
        }
    }

    #[test]
    fn a_new_sysctl_of_the_namespace_is_left_to_the_kernel() {
        assert_eq!(
            admit("sysctl.net.ipv4.tcp_of_tomorrow").unwrap(),
            Admitted::Unlisted { name: "sysctl.net.ipv4.tcp_of_tomorrow".to_owned() }
        );
    }
}
