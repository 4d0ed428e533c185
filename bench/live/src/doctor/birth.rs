//! Where a process has its descriptor limit from, as far as files and ancestors tell. A limit is inherited at birth and can be changed
//! by the process itself or for it; nothing records who did, so this is what fits, in words that say so.

use std::fs::{self, read_to_string};
use std::path::{Path, PathBuf};

use brimful_evidence::proc::{Limits, limits_nofile, status_parent};
use brimful_evidence::snapshot::Home;

use super::Roots;

/// Where units are, in systemd's order of precedence (`systemd.unit(5)`).
const UNITS: [&str; 4] =
    ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// Generations that are walked.
const MOST_ANCESTORS: usize = 32;

/// Who set the limits of a process; `None` where nothing tells.
pub(super) fn of(roots: &Roots, pid: u32, home: &Home, has: Limits) -> Option<String> {
    let from = match home {
        Home::Unit(unit) => match configured(roots, unit) {
            Some((value, path)) => {
                let since =
                    if fits(&value, has) { "" } else { "; it has another one now, so it was changed since the start" };
                format!("LimitNOFILE={value} in {}{since}", path.display())
            }
            None => format!("{unit} sets no LimitNOFILE: systemd's default, or changed by the program itself"),
        },
        Home::Container { engine, .. } => {
            format!("the container's engine ({engine}): its unit's LimitNOFILE, its default ulimits or --ulimit")
        }
        Home::Session(_) | Home::Unknown => inherited(roots, pid, has)?,
    };
    Some(from)
}

/// `LimitNOFILE=` of a unit: drop-ins come after the unit itself, and the last one counts.
fn configured(roots: &Roots, unit: &str) -> Option<(String, PathBuf)> {
    let mut found = None;
    let mut take = |path: &Path| {
        let text = read_to_string(roots.file(path)).unwrap_or_default();
        let value = text.lines().rev().find_map(|line| line.trim().strip_prefix("LimitNOFILE="));
        if let Some(value) = value {
            found = Some((value.trim().to_owned(), path.to_owned()));
        }
    };
    if let Some(folder) = UNITS.iter().find(|folder| roots.file(&Path::new(folder).join(unit)).exists()) {
        take(&Path::new(folder).join(unit));
    }
    for folder in UNITS.iter().rev() {
        let folder = Path::new(folder).join(format!("{unit}.d"));
        let mut files: Vec<_> = fs::read_dir(roots.file(&folder)).into_iter().flatten().flatten().collect();
        files.sort_by_key(fs::DirEntry::file_name);
        files.iter().filter(|file| file.path().extension().is_some_and(|end| end == "conf")).for_each(|file| {
            take(&folder.join(file.file_name()));
        });
    }
    found
}

/// Whether a unit's value, `65536`, `1024:524288` or `infinity`, is what the process has.
fn fits(value: &str, has: Limits) -> bool {
    let (soft, hard) = value.split_once(':').unwrap_or((value, value));
    // "infinity" is as far as the kernel goes, which is fs.nr_open.
    let same = |text: &str, n: u64| text == "infinity" || text.parse() == Ok(n);
    same(soft, has.soft) && same(hard, has.hard)
}

/// The oldest ancestor from which on everybody has the same limits.
fn inherited(roots: &Roots, pid: u32, has: Limits) -> Option<String> {
    let mut oldest = None;
    let mut child = pid;
    for _ in 0..MOST_ANCESTORS {
        let folder = roots.proc.join(child.to_string());
        let parent = status_parent(&read_to_string(folder.join("status")).ok()?).ok()?;
        if parent == 0 {
            break;
        }
        let folder = roots.proc.join(parent.to_string());
        let name = read_to_string(folder.join("comm")).unwrap_or_default().trim().to_owned();
        let limits = limits_nofile(&read_to_string(folder.join("limits")).ok()?).ok()?;
        if limits != has {
            return Some(match oldest {
                None => format!(
                    "not its parent's ({} of process {parent}, {name}): set by the program itself or for it (setrlimit, prlimit, a unit, a container's runtime)",
                    limits.soft
                ),
                Some((ancestor, called)) => format!("inherited from process {ancestor} ({called}), where it was set"),
            });
        }
        oldest = Some((parent, name));
        child = parent;
    }
    oldest.map(|(ancestor, name)| format!("inherited from process {ancestor} ({name})"))
}
