//! What three probes of one container come to: who is asked, when the container is killed, when it is in service.

use serde::{Deserialize, Serialize};

/// Which probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Whether it shall go on living; the one that every scenario has.
    Liveness,
    /// Whether it has come up.
    Startup,
    /// Whether it shall be sent work.
    Readiness,
}

/// How many results in a row change a probe's mind, each at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// `failureThreshold`.
    pub failure: u32,
    /// `successThreshold`; 1 for liveness and startup.
    pub success: u32,
}

/// What a result leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Nothing,
    /// The startup probe has passed: liveness and readiness are asked from now on, startup no more.
    Up,
    /// The container is in service, or out of it.
    Ready(bool),
    /// The container is to be killed; nobody asks anything until there is a new one.
    Kill(Check),
}

/// The probes of a container.
#[derive(Clone, Debug)]
pub struct Checks {
    liveness: Thresholds,
    startup: Option<Thresholds>,
    readiness: Option<Thresholds>,
    rows: [Row; 3],
    up: bool,
    ready: bool,
    /// Between the decision to kill and the next container.
    on_hold: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    passed: bool,
    length: u32,
}

impl Checks {
    /// Before the first container.
    #[must_use]
    pub fn new(liveness: Thresholds, startup: Option<Thresholds>, readiness: Option<Thresholds>) -> Self {
        Self { liveness, startup, readiness, rows: [Row::default(); 3], up: false, ready: false, on_hold: true }
    }

    /// A container runs: it is asked from now on by [`Checks::asks`].
    pub fn begin(&mut self) {
        self.up = self.startup.is_none();
        self.ready = false;
        self.on_hold = false;
    }

    /// The container is gone without anybody's decision, or is being stopped for another reason.
    pub fn end(&mut self) {
        self.on_hold = true;
        self.ready = false;
    }

    /// Whether a probe is asked now.
    #[must_use]
    pub fn asks(&self, check: Check) -> bool {
        let there = match check {
            Check::Liveness => self.up,
            Check::Startup => self.startup.is_some() && !self.up,
            Check::Readiness => self.readiness.is_some() && self.up,
        };
        there && !self.on_hold
    }

    /// A probe came to a result that counts. One of a probe that is not asked is not looked at.
    pub fn result(&mut self, check: Check, passed: bool) -> Decision {
        if !self.asks(check) {
            return Decision::Nothing;
        }
        let thresholds = match check {
            Check::Liveness => Some(self.liveness),
            Check::Startup => self.startup,
            Check::Readiness => self.readiness,
        };
        let (Some(row), Some(thresholds)) = (self.rows.get_mut(check as usize), thresholds) else {
            return Decision::Nothing;
        };
        row.length = if row.passed == passed { row.length.saturating_add(1) } else { 1 };
        row.passed = passed;
        if row.length < if passed { thresholds.success } else { thresholds.failure } {
            return Decision::Nothing;
        }
        match (check, passed) {
            (Check::Liveness, true) => Decision::Nothing,
            (Check::Startup, true) => {
                self.up = true;
                row.length = 0;
                Decision::Up
            }
            (Check::Readiness, now) if now == self.ready => Decision::Nothing,
            (Check::Readiness, now) => {
                self.ready = now;
                Decision::Ready(now)
            }
            (Check::Liveness | Check::Startup, false) => {
                row.length = 0;
                self.end();
                Decision::Kill(check)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIVENESS: Thresholds = Thresholds { failure: 3, success: 1 };

    /// Results as `L` liveness, `S` startup, `R` readiness, capital for passed; what each leads to.
    fn run(checks: &mut Checks, results: &str) -> Vec<Decision> {
        let of = |c: char| match c.to_ascii_uppercase() {
            'L' => Check::Liveness,
            'S' => Check::Startup,
            _ => Check::Readiness,
        };
        results.chars().map(|c| checks.result(of(c), c.is_ascii_uppercase())).collect()
    }

    fn begun(startup: Option<u32>, readiness: Option<(u32, u32)>) -> Checks {
        let startup = startup.map(|failure| Thresholds { failure, success: 1 });
        let readiness = readiness.map(|(failure, success)| Thresholds { failure, success });
        let mut checks = Checks::new(LIVENESS, startup, readiness);
        assert!(!checks.asks(Check::Liveness), "before there is a container nobody is asked");
        checks.begin();
        checks
    }

    #[test]
    fn three_failures_in_a_row_kill_and_then_nobody_asks() {
        let mut checks = begun(None, None);
        let told = run(&mut checks, "llLlll");
        assert_eq!(told[5], Decision::Kill(Check::Liveness));
        assert!(told[..5].iter().all(|d| *d == Decision::Nothing));
        assert_eq!(run(&mut checks, "lll"), [Decision::Nothing; 3]);
        checks.begin();
        assert_eq!(run(&mut checks, "ll"), [Decision::Nothing; 2], "the row does not go on in the next container");
        assert_eq!(run(&mut checks, "l"), [Decision::Kill(Check::Liveness)]);
    }

    #[test]
    fn liveness_waits_for_startup_and_startup_ends_with_it() {
        let mut checks = begun(Some(5), None);
        assert_eq!(run(&mut checks, "lllss"), [Decision::Nothing; 5]);
        assert_eq!(run(&mut checks, "S"), [Decision::Up]);
        assert!(checks.asks(Check::Liveness) && !checks.asks(Check::Startup));
        assert_eq!(run(&mut checks, "sssss"), [Decision::Nothing; 5]);
        assert_eq!(run(&mut checks, "lll")[2], Decision::Kill(Check::Liveness));
        checks.begin();
        assert!(checks.asks(Check::Startup) && !checks.asks(Check::Liveness));
        assert_eq!(run(&mut checks, "sssss")[4], Decision::Kill(Check::Startup));
    }

    #[test]
    fn readiness_never_kills() {
        let mut checks = begun(None, Some((2, 2)));
        assert_eq!(
            run(&mut checks, "RRrrrrrrRR"),
            [
                Decision::Nothing,
                Decision::Ready(true),
                Decision::Nothing,
                Decision::Ready(false),
                Decision::Nothing,
                Decision::Nothing,
                Decision::Nothing,
                Decision::Nothing,
                Decision::Nothing,
                Decision::Ready(true),
            ]
        );
    }

    proptest! {
        #[test]
        fn only_a_whole_row_kills_and_readiness_changes_nothing_of_it(results in "[LlRr]{0,60}") {
            let (mut with, mut without) = (begun(None, Some((1, 1))), begun(None, None));
            let kills = |told: Vec<Decision>| told.into_iter().filter(|d| matches!(d, Decision::Kill(_))).count();
            let liveness: String = results.chars().filter(|c| c.eq_ignore_ascii_case(&'l')).collect();
            let killed = kills(run(&mut with, &results));
            prop_assert_eq!(killed, kills(run(&mut without, &liveness)));
            prop_assert_eq!(killed, usize::from(liveness.contains("lll")));
        }
    }
}
