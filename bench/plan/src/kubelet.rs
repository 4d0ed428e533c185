//! The kubelet's part of a restart loop: which probe decides what, and how long it backs off. Pure; instants come in as numbers.
//!
//! Sources: `pkg/kubelet/prober/worker.go` (thresholds, holding), `pkg/kubelet/kuberuntime/kuberuntime_manager.go`
//! (`computePodActions`, `doBackOff`), `k8s.io/client-go/util/flowcontrol/backoff.go`. What is left out: the kubelet comes
//! round to a pod whose back-off is over only with its next synchronisation, which may be seconds later.

mod back_off;
mod checks;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use back_off::BackOff;
pub use checks::{Check, Checks, Decision, Thresholds};

use super::cell::ProbeSetup;

/// The first pause before a restart that is not at once (`containerBackOff`, `pkg/kubelet/kubelet.go`).
pub const BACK_OFF: Duration = Duration::from_secs(10);
/// The longest (`MaxContainerBackOff`).
pub const BACK_OFF_CAP: Duration = Duration::from_secs(300);
/// How long a container may take to end by itself (`terminationGracePeriodSeconds`).
pub const GRACE: Duration = Duration::from_secs(30);

/// `[restart]`: that the kubelet acts, and by which numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// The pause before the second restart; the first comes at once, each later one after twice as long.
    pub back_off: Duration,
    /// The longest pause. A container that ran for more than twice as long begins afresh.
    pub back_off_cap: Duration,
    /// From the word to stop to `SIGKILL`.
    pub grace: Duration,
    /// The startup probe: until it has passed, nobody asks for liveness or readiness.
    pub startup: Option<ProbeSetup>,
    /// The readiness probe: it takes the container out of service, and never restarts it.
    pub readiness: Option<ProbeSetup>,
}
