//! One process under observation, from outside, through its folder in `/proc`.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use brimful_evidence::proc::{self, Limits};
use brimful_evidence::record::{Member, ProcessEvidence, Role, Source};
use brimful_evidence::series::Series;
use brimful_evidence::snapshot::link::Link;
use brimful_target::limits::nofile_of;
use brimful_target_plan::Nofile;
use rustix::fs::{Dir, Mode, OFlags, fstat, openat};
use thiserror::Error;

use super::budget::Budget;
use super::file::{FileError, ProcFile, is_gone};
use super::meter::{Meter, merge, nanoseconds};
use crate::descriptors;

/// Counting descriptors one by one takes as long as there are many: at most one per cent of a core, half of it for the target's processes, whose
/// number is what is judged, and half for all others.
const COUNTING_SHARE: u64 = 100;

#[derive(Debug, Error)]
enum ProcessError {
    #[error("process {pid}")]
    File { pid: u32, source: FileError },
    #[error("process {pid}: cannot read {}", path.display())]
    Folder { pid: u32, path: PathBuf, source: io::Error },
    #[error("process {pid} has ended")]
    Ended { pid: u32 },
}

impl ProcessError {
    fn descriptors(pid: u32, path: &Path, errno: rustix::io::Errno) -> Self {
        Self::Folder { pid, path: path.join("fd"), source: errno.into() }
    }

    fn is_gone(&self) -> bool {
        match self {
            Self::File { source, .. } => source.is_gone(),
            Self::Folder { source, .. } => is_gone(source),
            Self::Ended { .. } => true,
        }
    }
}

/// A process and all that was seen of it. Its folder is opened once, so that it can never become another process.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) evidence: ProcessEvidence,
    path: PathBuf,
    files: Option<Files>,
    descriptors: Meter,
    limits: Meter,
    memory: Meter,
    cpu: Meter,
    schedstat: Meter,
    inotify: Meter,
    counting: Budget,
    /// When the last round was that found it there, and the one that found it gone.
    seen_ns: u64,
    gone_ns: Option<u64>,
    /// What those before it had used, at the ends of their series.
    earlier_cpu_ns: u64,
    earlier_wait_ns: u64,
}

#[derive(Debug)]
struct Files {
    folder: OwnedFd,
    descriptors: OwnedFd,
    stat: ProcFile,
    /// For kernels that were built without it (`CONFIG_SCHED_INFO`).
    schedstat: Option<ProcFile>,
    statm: ProcFile,
}

/// What a round of readings is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    /// Nanoseconds since the start of the cell.
    pub(super) at_ns: u64,
    /// Whether everything is read, or the target's descriptors only.
    pub(super) whole: bool,
    /// How many processes of the target there are.
    pub(super) targets: u64,
    /// How many others.
    pub(super) others: u64,
    pub(super) units: Units,
}

impl Round {
    /// Among how many parts the budget of counting is shared, for a process in this role.
    fn parts(&self, role: Role) -> u64 {
        2 * if role == Role::Target { self.targets } else { self.others }
    }
}

/// What turns the kernel's units into ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Units {
    pub(super) page_bytes: u64,
    pub(super) tick_ns: u64,
}

impl Units {
    pub(super) fn of_this_machine() -> Self {
        Self {
            page_bytes: rustix::param::page_size() as u64,
            tick_ns: 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1),
        }
    }
}

impl Watched {
    /// A process that is gone already is watched all the same, and has no readings.
    pub(super) fn open(proc_root: &Path, role: Role, shard: u32, pid: u32, member: Option<Member>) -> Self {
        let path = proc_root.join(pid.to_string());
        let mut watched = Self {
            evidence: ProcessEvidence {
                role,
                shard,
                pid,
                member,
                descriptors: Series::default(),
                nofile_soft: Series::default(),
                nofile_hard: Series::default(),
                rss_bytes: Series::default(),
                cpu_ns: Series::default(),
                runqueue_wait_ns: Series::default(),
                inotify: (role == Role::Target).then(Series::default),
            },
            files: None,
            descriptors: Meter::new("process.descriptors"),
            limits: Meter::new("process.limits"),
            memory: Meter::new("process.memory"),
            cpu: Meter::new("process.cpu"),
            schedstat: Meter::new("process.schedstat"),
            inotify: Meter::new("process.inotify"),
            counting: Budget::one_in(COUNTING_SHARE),
            seen_ns: 0,
            gone_ns: None,
            earlier_cpu_ns: 0,
            earlier_wait_ns: 0,
            path,
        };
        match Files::open(pid, &watched.path) {
            Ok((files, schedstat)) => {
                if let Some(error) = schedstat {
                    watched.schedstat.give_up(&error);
                }
                watched.files = Some(files);
            }
            Err(error) => watched.meters().into_iter().for_each(|meter| meter.give_up(&error)),
        }
        watched
    }

    /// One round: the target's descriptors, and everything of every process when `whole`. The first reading that finds the process gone ends its series.
    pub(super) fn sample(&mut self, round: &Round, buffer: &mut Vec<u8>) {
        if !round.whole && self.evidence.role != Role::Target {
            return;
        }
        let Some(files) = self.files.take() else { return };
        let rest = if round.whole { self.read_rest(&files, round, buffer) } else { Some(()) };
        if rest.and_then(|()| self.read_descriptors(&files, round, buffer)).is_some() {
            self.files = Some(files);
            self.seen_ns = round.at_ns;
        } else {
            self.gone_ns = Some(round.at_ns);
        }
    }

    /// Asks each descriptor what it is, which takes as long as there are many. What it cost, in nanoseconds; `None` where nothing is asked of this
    /// process, because of its role or because it had more than `most` when they were counted last, or nobody is there any more.
    pub(super) fn sample_kinds(&mut self, at_ns: u64, most: u64) -> Option<u64> {
        let (files, series) = (self.files.as_ref()?, self.evidence.inotify.as_mut()?);
        if self.evidence.descriptors.last > most {
            return None;
        }
        let (pid, path) = (self.evidence.pid, &self.path);
        let begun = Instant::now();
        let count = present(&mut self.inotify, || {
            inotify_instances(files).map_err(|e| ProcessError::descriptors(pid, path, e))
        });
        if let Some(Some(count)) = count {
            series.push(at_ns, count);
        }
        Some(nanoseconds(begun.elapsed()))
    }

    /// It was ended for another to come: what it had open it has no more, from the round on that found it gone.
    pub(super) fn has_left(&mut self) {
        let gone_ns = self.gone_ns.unwrap_or(self.seen_ns);
        let inotify = self.evidence.inotify.as_mut();
        for series in [&mut self.evidence.descriptors, &mut self.evidence.rss_bytes].into_iter().chain(inotify) {
            if series.reads > 0 && series.last > 0 {
                series.push(gone_ns, 0);
            }
        }
        self.files = None;
    }

    /// Another process takes its place: what is counted goes on from where it stood.
    pub(super) fn succeeded_by(&mut self, new: Self) {
        self.has_left();
        self.earlier_cpu_ns = self.evidence.cpu_ns.last;
        self.earlier_wait_ns = self.evidence.runqueue_wait_ns.last;
        self.evidence.pid = new.evidence.pid;
        (self.path, self.files, self.gone_ns) = (new.path, new.files, None);
        self.counting.forgive();
    }

    /// Whether it is one of the processes of this part.
    pub(super) fn is(&self, role: Role, shard: u32) -> bool {
        (self.evidence.role, self.evidence.shard) == (role, shard)
    }

    /// Whether the last round found it alive.
    pub(super) fn is_alive(&self) -> bool {
        self.files.is_some()
    }

    /// The accounts of all sources are added to those of the other processes.
    pub(super) fn finish(self, sources: &mut Vec<Source>) -> ProcessEvidence {
        for meter in [self.descriptors, self.limits, self.memory, self.cpu, self.schedstat] {
            merge(sources, meter.into_source(None));
        }
        if self.evidence.inotify.is_some() {
            merge(sources, self.inotify.into_source(None));
        }
        self.evidence
    }

    /// `None` when the process is gone.
    fn read_rest(&mut self, files: &Files, round: &Round, buffer: &mut Vec<u8>) -> Option<()> {
        let Round { at_ns, units, .. } = *round;
        let pid = self.evidence.pid;
        let file = |source| ProcessError::File { pid, source };
        let nonsense = |from: &ProcFile, source| file(from.nonsense(source));

        let stat = present(&mut self.cpu, || running(files, pid, buffer))?;
        if let Some(stat) = stat {
            let ticks = stat.utime_ticks.saturating_add(stat.stime_ticks);
            let used_ns = ticks.saturating_mul(units.tick_ns).saturating_add(self.earlier_cpu_ns);
            self.evidence.cpu_ns.push(at_ns, used_ns);
        }

        let pages = present(&mut self.memory, || {
            let text = files.statm.read(buffer).map_err(file)?;
            proc::statm_resident_pages(text).map_err(|source| nonsense(&files.statm, source))
        })?;
        if let Some(pages) = pages {
            self.evidence.rss_bytes.push(at_ns, pages.saturating_mul(units.page_bytes));
        }

        if let Some(from) = &files.schedstat {
            let waited = present(&mut self.schedstat, || {
                let text = from.read(buffer).map_err(file)?;
                proc::schedstat(text).map_err(|source| nonsense(from, source))
            })?;
            if let Some(waited) = waited {
                self.evidence.runqueue_wait_ns.push(at_ns, waited.wait_ns.saturating_add(self.earlier_wait_ns));
            }
        }

        let path = &self.path;
        let limits = present(&mut self.limits, || nofile(pid, files, path, buffer).map_err(file))?;
        if let Some(limits) = limits {
            self.evidence.nofile_soft.push(at_ns, limits.soft);
            self.evidence.nofile_hard.push(at_ns, limits.hard);
        }
        Some(())
    }

    /// `None` when the process is gone.
    fn read_descriptors(&mut self, files: &Files, round: &Round, buffer: &mut Vec<u8>) -> Option<()> {
        let (pid, path, at_ns) = (self.evidence.pid, &self.path, round.at_ns);
        if !self.counting.allows(at_ns, false) {
            return Some(());
        }
        let folder = |errno| ProcessError::descriptors(pid, path, errno);
        let begun = Instant::now();
        let count = present(&mut self.descriptors, || match told(files).map_err(folder)? {
            Some(count) => Ok((count, false)),
            // It has none, or the kernel does not tell their number: one that has ended has none either.
            None => running(files, pid, buffer).and_then(|_| Ok((count_entries(&files.folder).map_err(folder)?, true))),
        })?;
        if let Some((count, counted_one_by_one)) = count {
            self.evidence.descriptors.push(at_ns, count);
            if counted_one_by_one {
                self.counting
                    .spend(at_ns, nanoseconds(begun.elapsed()).saturating_mul(round.parts(self.evidence.role)));
            }
        }
        Some(())
    }

    fn meters(&mut self) -> [&mut Meter; 6] {
        [
            &mut self.descriptors,
            &mut self.limits,
            &mut self.memory,
            &mut self.cpu,
            &mut self.schedstat,
            &mut self.inotify,
        ]
    }
}

impl Files {
    /// The second value says why there is no `schedstat`.
    fn open(pid: u32, path: &Path) -> Result<(Self, Option<ProcessError>), ProcessError> {
        let file = |source| ProcessError::File { pid, source };
        let folder =
            |errno: rustix::io::Errno| ProcessError::Folder { pid, path: path.to_owned(), source: errno.into() };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(path, flags, Mode::empty()).map_err(folder)?;
        let (schedstat, error) = match ProcFile::open_in(&opened, path, "schedstat") {
            Ok(schedstat) => (Some(schedstat), None),
            Err(error) => (None, Some(file(error))),
        };
        let files = Self {
            descriptors: openat(&opened, "fd", flags, Mode::empty()).map_err(folder)?,
            stat: ProcFile::open_in(&opened, path, "stat").map_err(file)?,
            statm: ProcFile::open_in(&opened, path, "statm").map_err(file)?,
            schedstat,
            folder: opened,
        };
        Ok((files, error))
    }
}

/// A reading that knows the end of its process: `None` is the end, and no failure of the source; `Some(None)` is one.
fn present<T>(meter: &mut Meter, reading: impl FnOnce() -> Result<T, ProcessError>) -> Option<Option<T>> {
    let read = meter.read(|| match reading() {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_gone() => Ok(None),
        Err(error) => Err(error),
    });
    match read {
        Some((None, _)) => None,
        Some((value, _)) => Some(value),
        None => Some(None),
    }
}

/// `RLIMIT_NOFILE` as the kernel applies it. Asking is faster than reading, but needs to be the same user.
fn nofile(pid: u32, files: &Files, path: &Path, buffer: &mut Vec<u8>) -> Result<Limits, FileError> {
    if let Ok(Nofile { soft, hard }) = nofile_of(pid) {
        return Ok(Limits { soft, hard });
    }
    let from = ProcFile::open_in(&files.folder, path, "limits")?;
    proc::limits_nofile(from.read(buffer)?).map_err(|source| from.nonsense(source))
}

/// What `stat` says of a process that has not ended.
fn running(files: &Files, pid: u32, buffer: &mut Vec<u8>) -> Result<proc::Stat, ProcessError> {
    let file = |source| ProcessError::File { pid, source };
    let text = files.stat.read(buffer).map_err(file)?;
    let stat = proc::stat(text).map_err(|source| file(files.stat.nonsense(source)))?;
    if stat.has_ended() { Err(ProcessError::Ended { pid }) } else { Ok(stat) }
}

/// The number of open descriptors, where the kernel tells it: since Linux 6.2 it is the size of
/// the folder (`proc_fd_getattr`, `fs/proc/fd.c`); before, the size is always 0.
fn told(files: &Files) -> rustix::io::Result<Option<u64>> {
    let size = fstat(&files.descriptors)?.st_size;
    Ok(u64::try_from(size).ok().filter(|&size| size > 0))
}

fn count_entries(folder: &OwnedFd) -> rustix::io::Result<u64> {
    let opened = openat(folder, "fd", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut count = 0;
    for entry in Dir::new(opened)? {
        let entry = entry?;
        count += u64::from(entry.file_name().to_bytes().first().is_some_and(u8::is_ascii_digit));
    }
    Ok(count)
}

/// How many of its descriptors are inotify instances (`anon_inode_getfd` in `fs/notify/inotify/inotify_user.c`). One that is closed meanwhile
/// is none.
fn inotify_instances(files: &Files) -> rustix::io::Result<u64> {
    let opened = openat(&files.folder, "fd", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut count = 0;
    descriptors::each(&opened, u64::MAX, |_, link| count += u64::from(link == Some(Link::Other("inotify"))))?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::{Command, Stdio};

    use super::*;

    const UNITS: Units = Units { page_bytes: 4096, tick_ns: 10_000_000 };

    fn round(at_ns: u64, whole: bool) -> Round {
        Round { at_ns, whole, targets: 1, others: 103, units: UNITS }
    }

    /// Above the largest number that a process may have (`PID_MAX_LIMIT`), so that no real one is asked.
    const NOBODY: u32 = 5_000_000;

    fn fake(root: &Path, state: char, utime: u64) {
        let path = root.join(NOBODY.to_string());
        fs::create_dir_all(path.join("fd")).unwrap();
        for name in ["0", "1", "17", "not-one"] {
            fs::write(path.join("fd").join(name), "").unwrap();
        }
        let stat = format!("{NOBODY} (a server) {state} 1 2 3 0 -1 4194304 5 6 7 8 {utime} 2 9 10 20 0 1");
        fs::write(path.join("stat"), stat).unwrap();
        fs::write(path.join("statm"), "900 50 20 1 0 30 0\n").unwrap();
        fs::write(path.join("schedstat"), "70 33 2\n").unwrap();
        fs::write(path.join("limits"), "Max open files            1024                 20000                files\n")
            .unwrap();
    }

    #[test]
    fn a_fake_tree_is_read_in_its_units() {
        let root = tempfile::tempdir().unwrap();
        fake(root.path(), 'S', 3);
        let mut buffer = Vec::new();
        let mut watched = Watched::open(root.path(), Role::Target, 2, NOBODY, None);
        watched.sample(&round(10, true), &mut buffer);
        let count = watched.evidence.descriptors.last;
        assert_eq!(watched.sample_kinds(10, count - 1), None, "it has more");
        assert!(watched.sample_kinds(10, count).is_some());
        fake(root.path(), 'R', 5);
        watched.sample(&round(20, true), &mut buffer);
        let mut sources = Vec::new();
        let seen = watched.finish(&mut sources);
        assert_eq!((seen.role, seen.shard, seen.pid), (Role::Target, 2, NOBODY));
        assert_eq!(seen.cpu_ns.points, [(10, 50_000_000), (20, 70_000_000)]);
        assert_eq!((seen.rss_bytes.last, seen.runqueue_wait_ns.last), (50 * 4096, 33));
        assert_eq!((seen.nofile_soft.last, seen.nofile_hard.last), (1024, 20_000));
        assert_eq!(sources.iter().map(|s| s.reads).collect::<Vec<_>>(), [2, 2, 2, 2, 2, 1]);
        assert_eq!(seen.inotify.map(|series| series.last), Some(0), "plain files link to nothing");
        assert!(sources.iter().all(|s| s.unavailable_because.is_none()));
    }

    #[test]
    fn descriptors_are_counted_where_the_kernel_does_not_tell_their_number() {
        let root = tempfile::tempdir().unwrap();
        fake(root.path(), 'S', 3);
        let folder = rustix::fs::open(root.path().join(NOBODY.to_string()), OFlags::PATH, Mode::empty()).unwrap();
        assert_eq!(count_entries(&folder), Ok(3), "0, 1 and 17");
    }

    #[test]
    fn a_targets_descriptors_are_counted_as_often_beside_a_hundred_others() {
        let round = round(10, true);
        assert_eq!((round.parts(Role::Target), round.parts(Role::Load)), (2, 206));
    }

    #[test]
    fn a_process_that_is_a_zombie_has_ended() {
        let root = tempfile::tempdir().unwrap();
        fake(root.path(), 'S', 3);
        let mut buffer = Vec::new();
        let mut watched = Watched::open(root.path(), Role::Target, 0, NOBODY, None);
        watched.sample(&round(10, true), &mut buffer);
        fake(root.path(), 'Z', 9);
        for at in [20, 30] {
            watched.sample(&round(at, true), &mut buffer);
        }
        let seen = watched.finish(&mut Vec::new());
        assert_eq!((seen.cpu_ns.reads, seen.rss_bytes.reads, seen.descriptors.reads), (1, 1, 1));
    }

    #[test]
    fn a_zombie_has_no_descriptors_to_tell_of_in_a_round_that_reads_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        fake(root.path(), 'S', 3);
        let mut buffer = Vec::new();
        let mut watched = Watched::open(root.path(), Role::Target, 0, NOBODY, None);
        watched.sample(&round(10, false), &mut buffer);
        fs::remove_dir_all(root.path().join(NOBODY.to_string()).join("fd")).unwrap();
        fake(root.path(), 'Z', 9);
        watched.sample(&round(20, false), &mut buffer);
        let seen = watched.finish(&mut Vec::new());
        assert_eq!((seen.cpu_ns.reads, seen.descriptors.reads), (0, 1));
    }

    #[test]
    fn the_targets_descriptors_are_read_in_every_round_and_those_of_others_with_the_rest() {
        let root = tempfile::tempdir().unwrap();
        fake(root.path(), 'S', 3);
        let reads = |role| {
            let mut watched = Watched::open(root.path(), role, 0, NOBODY, None);
            for (at, whole) in [(10, true), (20, false), (30, true)] {
                watched.sample(&round(at, whole), &mut Vec::new());
            }
            watched.finish(&mut Vec::new()).descriptors.reads
        };
        assert_eq!((reads(Role::Target), reads(Role::Load)), (3, 2));
    }

    #[test]
    fn a_source_that_is_missing_is_not_available_and_not_zero() {
        let root = tempfile::tempdir().unwrap();
        fake(root.path(), 'S', 3);
        let path = root.path().join(NOBODY.to_string());
        fs::remove_file(path.join("schedstat")).unwrap();
        fs::write(path.join("statm"), "what\n").unwrap();
        let mut watched = Watched::open(root.path(), Role::Load, 0, NOBODY, None);
        for at in 0..9 {
            watched.sample(&round(at, true), &mut Vec::new());
        }
        let mut sources = Vec::new();
        let seen = watched.finish(&mut sources);
        assert_eq!((seen.rss_bytes.reads, seen.runqueue_wait_ns.reads, seen.cpu_ns.reads), (0, 0, 9));
        let why = |name: &str| sources.iter().find(|s| s.name == name).and_then(|s| s.unavailable_because.clone());
        assert!(why("process.schedstat").is_some_and(|w| w.contains("schedstat")));
        assert!(why("process.memory").is_some_and(|w| w.contains("resident pages")));
        assert_eq!(why("process.cpu"), None);
    }

    #[test]
    fn a_process_that_never_was_has_no_readings() {
        let root = tempfile::tempdir().unwrap();
        let mut watched = Watched::open(root.path(), Role::Probe, 0, NOBODY, None);
        watched.sample(&round(1, true), &mut Vec::new());
        let mut sources = Vec::new();
        assert_eq!(watched.finish(&mut sources).cpu_ns.reads, 0);
        assert!(sources.iter().all(|s| s.unavailable_because.is_some()));
    }

    #[test]
    fn a_real_process_is_seen_and_its_end_too() {
        let child = Command::new("sleep").arg("60").stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let mut child = child.unwrap();
        let mut buffer = Vec::new();
        let mut watched = Watched::open(Path::new("/proc"), Role::Target, 0, child.id(), None);
        watched.sample(&Round { units: Units::of_this_machine(), ..round(1, true) }, &mut buffer);
        let Nofile { soft, hard } = brimful_target::limits::nofile().unwrap();
        assert_eq!((watched.evidence.nofile_soft.last, watched.evidence.nofile_hard.last), (soft, hard));
        assert!(watched.evidence.descriptors.last >= 3, "{:?}", watched.evidence.descriptors);
        assert!(watched.evidence.rss_bytes.last > 0);
        child.kill().unwrap();
        child.wait().unwrap();
        watched.sample(&Round { units: Units::of_this_machine(), ..round(2, true) }, &mut buffer);
        assert_eq!((watched.evidence.cpu_ns.reads, watched.files.is_none()), (1, true));
    }

    #[test]
    fn who_takes_anothers_place_counts_on_and_has_nothing_of_what_that_had_open() {
        let root = tempfile::tempdir().unwrap();
        fake(root.path(), 'S', 3);
        let mut buffer = Vec::new();
        let open = || Watched::open(root.path(), Role::Target, 0, NOBODY, None);
        let mut watched = open();
        for at in [10, 20] {
            watched.sample(&round(at, true), &mut buffer);
        }
        let opened = watched.evidence.descriptors.last;
        // The end of the first and the start of the second fall between two rounds.
        watched.succeeded_by(open());
        watched.sample(&round(30, true), &mut buffer);
        let seen = watched.finish(&mut Vec::new());
        assert_eq!(seen.descriptors.points, [(10, opened), (20, 0), (30, opened)], "not before it was last seen");
        assert_eq!(seen.cpu_ns.points, [(10, 50_000_000), (30, 100_000_000)]);
        assert_eq!((seen.nofile_soft.points.len(), seen.runqueue_wait_ns.last), (1, 66));
    }

    #[test]
    fn the_size_of_the_folder_is_the_count() {
        let files = Files::open(std::process::id(), Path::new("/proc/self")).unwrap().0;
        let (told, counted) = (told(&files).unwrap(), count_entries(&files.folder).unwrap());
        // Tests run side by side and open files of their own meanwhile.
        assert!(counted > 0 && told.is_none_or(|told| told.abs_diff(counted) < 2000), "{told:?} {counted}");
    }
}
