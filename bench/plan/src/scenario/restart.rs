//! `[restart]`: that the kubelet acts on what it sees.

use std::time::Duration;

use super::error::ScenarioError;
use super::load::LONGEST;
use super::matrix::Matrix;
use super::probe;
use super::reader::{Keys, Section};
use crate::cell::{Path, ProbeSetup};
use crate::kubelet::{BACK_OFF, BACK_OFF_CAP, GRACE, Restart};
use crate::wording::time;

const RESTART: Keys = Keys {
    now: &["policy", "back-off", "back-off-cap", "grace", "startup-probe", "readiness-probe"],
    later: &[],
    elsewhere: &[
        ("startupProbe", "startup-probe"),
        ("readinessProbe", "readiness-probe"),
        ("backoff", "back-off"),
        ("cap", "back-off-cap"),
        ("terminationGracePeriodSeconds", "grace"),
    ],
};
const POLICIES: &[&str] = &["kubelet"];

/// The shortest back-off: a start of a process takes some milliseconds itself.
const SHORTEST: Duration = Duration::from_millis(10);

/// Reads `[restart]`; `None` where it is not there.
pub(super) fn read(
    root: &Section<'_>,
    path: Path,
    liveness: &ProbeSetup,
    matrix: &Matrix,
) -> Result<Option<Restart>, ScenarioError> {
    let Some(value) = root.value("restart") else {
        return match matrix.axes.iter().find(|axis| axis.knob.starts_with("restart.")) {
            Some(axis) => Err(root
                .error(format!("`{}` goes with [restart]", axis.knob))
                .hint("write [restart] policy = \"kubelet\"")),
            None => Ok(None),
        };
    };
    let section = value.table(RESTART)?;
    let policy = section.required("policy").map_err(|error| error.hint("write policy = \"kubelet\""))?;
    let _the_only_one: String = policy.word(POLICIES, &[])?;
    let back_off = section.duration("back-off", SHORTEST..=LONGEST, BACK_OFF)?;
    let back_off_cap = section.duration("back-off-cap", SHORTEST..=LONGEST, BACK_OFF_CAP.max(back_off))?;
    if back_off > back_off_cap {
        return Err(section
            .required("back-off-cap")?
            .error(format!(
                "the first pause of {} is longer than the longest of {}",
                time(back_off),
                time(back_off_cap)
            ))
            .hint("raise `restart.back-off-cap`, or lower `restart.back-off`"));
    }
    let grace = section.duration("grace", Duration::ZERO..=LONGEST, GRACE)?;
    let beside = |key| section.value(key).map(|value| probe::beside(&value, path, liveness)).transpose();
    let (startup, readiness) = (beside("startup-probe")?, beside("readiness-probe")?);
    let once = |setup: &ProbeSetup| setup.success_threshold == 1;
    if startup.as_ref().is_some_and(|setup| !once(setup)) || !once(liveness) {
        return Err(section
            .error("success-threshold must be 1 for liveness and startup, as the kubelet has it")
            .hint("only `restart.readiness-probe` may ask for more"));
    }
    Ok(Some(Restart { back_off, back_off_cap, grace, startup, readiness }))
}
