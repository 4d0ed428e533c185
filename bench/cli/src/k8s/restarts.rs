//! `brimful k8s restarts`: what a kubelet did, beside what brimful's probe foretold.

use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use brimful_evidence::kube::{self, BYTES_MOST, KubeError, Seen};
use brimful_judge::report::SCHEMA_VERSION;
use brimful_k8s::restarts::{Foretold, text};
use brimful_loadgen_plan::probe::{Action, ProbePlan, Sample, Summary};
use brimful_runner::store;
use clap::Args;

use crate::error::{Error, ExitStatus};
use crate::put;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl get events | brimful k8s restarts -
  brimful k8s restarts pods.json events.txt --report brimful-out/origin-20261123T120000Z
  brimful k8s restarts out/0-nofile-64/account/{pods.json,events.txt} --probe out/0-nofile-64/account/probe-*.log

Nothing is asked of a cluster.")]
pub(crate) struct RestartsOptions {
    /// What `kubectl get pods -o json`, `kubectl describe pod` or `kubectl get events` printed; - for standard input
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// A run whose cells say when a restart was foretold
    #[arg(long, value_name = "RUN")]
    pub(super) report: Option<PathBuf>,
    /// The log of a `brimful probe --format json`
    #[arg(long, value_name = "LOG")]
    pub(super) probe: Option<PathBuf>,
    /// The failureThreshold for that log
    #[arg(long, default_value_t = 3, requires = "probe", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) failure_threshold: u32,
}

pub(super) fn restarts(options: &RestartsOptions) -> Result<ExitStatus, Error> {
    let mut seen = Seen::default();
    for path in &options.files {
        seen.merge(read(path)?);
    }
    let mut foretold = Vec::new();
    if let Some(run) = &options.report {
        let file = if run.is_dir() { run.join("report.json") } else { run.clone() };
        let report = store::read_report(&file, SCHEMA_VERSION)?;
        foretold.extend(
            report
                .cells
                .into_iter()
                .map(|cell| Foretold { by: format!("cell {}", cell.id), restart_at_s: cell.probe.would_restart_at_s }),
        );
    }
    if let Some(path) = &options.probe {
        foretold.push(of_log(path, options.failure_threshold)?);
    }
    put(&text(&seen, &foretold));
    Ok(ExitStatus::Done)
}

fn unread(path: &Path, source: std::io::Error) -> Error {
    Error::File { doing: "read", path: path.to_path_buf(), source }
}

fn open(path: &Path) -> Result<Box<dyn Read>, Error> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin().lock()));
    }
    File::open(path).map(|file| Box::new(file) as Box<dyn Read>).map_err(|source| unread(path, source))
}

fn read(path: &Path) -> Result<Seen, Error> {
    kube::read(open(path)?).map_err(|error| match error {
        KubeError::Io(source) => unread(path, source),
        KubeError::TooLong | KubeError::Json(_) | KubeError::Unknown => Error::Usage {
            what: format!("`{}` is not what kubectl prints of restarts: {error}", path.display()),
            hint: "give what `kubectl get pods -o json`, `kubectl describe pod` or `kubectl get events` printed"
                .to_owned(),
        },
    })
}

/// What the probe's own samples foretell; whatever else stands in the log is passed over.
fn of_log(path: &Path, failure_threshold: u32) -> Result<Foretold, Error> {
    let mut log = String::new();
    open(path)?.take(BYTES_MOST).read_to_string(&mut log).map_err(|source| unread(path, source))?;
    let samples: Vec<Sample> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    if samples.is_empty() {
        return Err(Error::Usage {
            what: format!("`{}` has no line of a probe", path.display()),
            hint: "give what `brimful probe --format json` printed".to_owned(),
        });
    }
    // Of the plan, only the threshold has a say in it.
    let plan = ProbePlan {
        action: Action::TcpSocket,
        address: SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
        period: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        initial_delay: Duration::ZERO,
        failure_threshold,
        success_threshold: 1,
    };
    let restart_at_s = Summary::of(&samples, &plan).would_restart_at_s;
    Ok(Foretold { by: format!("{} ({} probes)", path.display(), samples.len()), restart_at_s })
}
