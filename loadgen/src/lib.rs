//! The load and the probe: what clients and a kubelet do to a server.
//!
//! It knows the wire and the clock that all processes share, and it judges nothing. What needs neither (plans, pace, addresses,
//! latencies, outcomes, the kubelet's thresholds) is `brimful-loadgen-plan`; `hold` and `probe` are the hands.

pub mod hold;
pub mod probe;
