//! Small texts of `/proc`: one process's account, and a few of the namespace and the host. Given text, never a path.

use thiserror::Error;

/// Why a text of `/proc` was not understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{file}: no {field} in {text:?}")]
pub struct ProcError {
    /// Which kind of file, `stat`.
    pub file: &'static str,
    /// What was looked for, `utime`.
    pub field: &'static str,
    /// The text, cut to 80 characters.
    pub text: String,
}

/// What brimful wants from `/proc/PID/stat` (`fs/proc/array.c`, `do_task_stat`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// `R`, `S`, `D`; `Z` for one that has ended and waits for its parent, `X` for one that is gone.
    pub state: char,
    /// Processor time in user mode, all threads, in clock ticks (`sysconf(_SC_CLK_TCK)`, 100 a second nearly everywhere).
    pub utime_ticks: u64,
    /// Processor time in the kernel, all threads, in clock ticks.
    pub stime_ticks: u64,
}

impl Stat {
    /// Whether the process has ended: its descriptors and its memory are gone.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

/// What `/proc/PID/schedstat` says of the main thread (`fs/proc/base.c`, `proc_pid_schedstat`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedstat {
    /// Time on a processor, in nanoseconds.
    pub run_ns: u64,
    /// Time ready to run but waiting for a processor, in nanoseconds.
    pub wait_ns: u64,
}

/// A pair of limits; [`u64::MAX`] is "unlimited".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The one in force.
    pub soft: u64,
    /// How far the process may raise it.
    pub hard: u64,
}

/// `/proc/sys/fs/file-nr` (`fs/file_table.c`, `proc_nr_files`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileNr {
    /// Open files on the host.
    pub allocated: u64,
    /// `fs.file-max`.
    pub max: u64,
}

/// Reads `/proc/PID/stat`. The name of the program, in parentheses, may itself hold spaces and parentheses.
///
/// # Errors
///
/// [`ProcError`] naming the field that is missing or not a number.
pub fn stat(text: &str) -> Result<Stat, ProcError> {
    let missing = |field| ProcError::new("stat", field, text);
    let (_, after) = text.rsplit_once(')').ok_or_else(|| missing("comm"))?;
    let mut fields = after.split_ascii_whitespace();
    let state = fields.next().and_then(|field| field.chars().next()).ok_or_else(|| missing("state"))?;
    // proc(5) counts from 1: state is 3, utime 14, stime 15.
    let utime_ticks = number(fields.nth(10)).ok_or_else(|| missing("utime"))?;
    let stime_ticks = number(fields.next()).ok_or_else(|| missing("stime"))?;
    Ok(Stat { state, utime_ticks, stime_ticks })
}

/// Reads `/proc/PID/schedstat`.
///
/// # Errors
///
/// [`ProcError`] naming the field that is missing or not a number.
pub fn schedstat(text: &str) -> Result<Schedstat, ProcError> {
    let mut fields = text.split_ascii_whitespace();
    let run_ns = number(fields.next()).ok_or_else(|| ProcError::new("schedstat", "run time", text))?;
    let wait_ns = number(fields.next()).ok_or_else(|| ProcError::new("schedstat", "wait time", text))?;
    Ok(Schedstat { run_ns, wait_ns })
}

/// Resident memory from `/proc/PID/statm`, in pages.
///
/// # Errors
///
/// [`ProcError`] when there is no second number.
pub fn statm_resident_pages(text: &str) -> Result<u64, ProcError> {
    number(text.split_ascii_whitespace().nth(1)).ok_or_else(|| ProcError::new("statm", "resident pages", text))
}

/// `RLIMIT_NOFILE` from `/proc/PID/limits` (`fs/proc/base.c`, `proc_pid_limits`).
///
/// # Errors
///
/// [`ProcError`] when the row or one of its numbers is missing.
pub fn limits_nofile(text: &str) -> Result<Limits, ProcError> {
    let missing = || ProcError::new("limits", "Max open files", text);
    let row = text.lines().find_map(|line| line.strip_prefix("Max open files")).ok_or_else(missing)?;
    let mut fields = row.split_ascii_whitespace();
    let mut limit = || match fields.next() {
        Some("unlimited") => Some(u64::MAX),
        field => number(field),
    };
    Ok(Limits { soft: limit().ok_or_else(missing)?, hard: limit().ok_or_else(missing)? })
}

/// Reads `/proc/sys/fs/file-nr`.
///
/// # Errors
///
/// [`ProcError`] naming the field that is missing or not a number.
pub fn file_nr(text: &str) -> Result<FileNr, ProcError> {
    let mut fields = text.split_ascii_whitespace();
    let allocated = number(fields.next()).ok_or_else(|| ProcError::new("file-nr", "allocated", text))?;
    let max = number(fields.nth(1)).ok_or_else(|| ProcError::new("file-nr", "max", text))?;
    Ok(FileNr { allocated, max })
}

/// The parent of a process from `/proc/PID/status` (`fs/proc/array.c`, `task_state`); 0 for one without.
///
/// # Errors
///
/// [`ProcError`] when the row is missing or holds no number.
pub fn status_parent(text: &str) -> Result<u32, ProcError> {
    let row = text.lines().find_map(|line| line.strip_prefix("PPid:"));
    row.and_then(|row| row.trim().parse().ok()).ok_or_else(|| ProcError::new("status", "PPid", text))
}

/// Calls `each` with protocol, name and value of every number in `/proc/net/sockstat` or `sockstat6`
/// (`net/ipv4/proc.c`, `sockstat_seq_show`): `TCP`, `tw`, `12`.
///
/// # Errors
///
/// [`ProcError`] for a line without a colon, a name without a value or a value that is no number.
pub fn sockstat(text: &str, mut each: impl FnMut(&str, &str, u64)) -> Result<(), ProcError> {
    for line in text.lines() {
        let (protocol, rest) = line.split_once(':').ok_or_else(|| ProcError::new("sockstat", "protocol", line))?;
        let mut fields = rest.split_ascii_whitespace();
        while let Some(name) = fields.next() {
            // Negative for an instant, when it is summed over processors while it changes; no reading then.
            match fields.next() {
                Some(value) if value.starts_with('-') => {}
                value => each(protocol, name, number(value).ok_or_else(|| ProcError::new("sockstat", "value", line))?),
            }
        }
    }
    Ok(())
}

/// Calls `each` with device, name and value for what each device of `/proc/net/dev` received and sent and then dropped:
/// `eth0`, `rx_dropped`, `12` (`net/core/net-procfs.c`, `dev_seq_printf_stats`). The first also counts the packets lost at a
/// full per-processor backlog (`net/core/dev.c`, `enqueue_to_backlog`).
///
/// # Errors
///
/// [`ProcError`] for a row without a device or with too few numbers.
pub fn net_dev(text: &str, mut each: impl FnMut(&str, &'static str, u64)) -> Result<(), ProcError> {
    // Two lines of headings; then bytes, packets, errs, drop, fifo, frame, compressed, multicast and the same for sent.
    for line in text.lines().skip(2) {
        let (device, rest) = line.rsplit_once(':').ok_or_else(|| ProcError::new("net/dev", "device", line))?;
        let mut fields = rest.split_ascii_whitespace();
        let received = number(fields.nth(3)).ok_or_else(|| ProcError::new("net/dev", "received drops", line))?;
        let sent = number(fields.nth(7)).ok_or_else(|| ProcError::new("net/dev", "sent drops", line))?;
        each(device.trim(), "rx_dropped", received);
        each(device.trim(), "tx_dropped", sent);
    }
    Ok(())
}

/// A file that is one number: `/proc/sys/net/netfilter/nf_conntrack_count`.
///
/// # Errors
///
/// [`ProcError`] for anything else.
pub fn one_number(text: &str) -> Result<u64, ProcError> {
    let mut fields = text.split_ascii_whitespace();
    match (number(fields.next()), fields.next()) {
        (Some(value), None) => Ok(value),
        _ => Err(ProcError::new("sysctl", "single number", text)),
    }
}

impl ProcError {
    pub(super) fn new(file: &'static str, field: &'static str, text: &str) -> Self {
        Self { file, field, text: text.chars().take(80).collect() }
    }
}

fn number(field: Option<&str>) -> Option<u64> {
    field?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_captured_on_6_18_are_read() {
        let captured = stat(include_str!("../tests/fixtures/proc/stat-6.18.txt"));
        assert_eq!(captured, Ok(Stat { state: 'R', utime_ticks: 0, stime_ticks: 0 }), "comm is `a) S (b 1`");
        let limits = limits_nofile(include_str!("../tests/fixtures/proc/limits-6.18.txt"));
        assert_eq!(limits, Ok(Limits { soft: 20_000, hard: 20_000 }));
        assert!(schedstat(include_str!("../tests/fixtures/proc/schedstat-6.18.txt")).unwrap().run_ns > 0);
        assert!(statm_resident_pages(include_str!("../tests/fixtures/proc/statm-6.18.txt")).unwrap() > 0);
    }

    #[test]
    fn the_name_of_a_program_cannot_confuse_stat() {
        let tail = "S 1 2 3 0 -1 4194304 5 6 7 8 41 42 9 10 20";
        for comm in ["cat", "a b", "x) R 1 1", "((", "))", "tokio:\n worker", ""] {
            let read = stat(&format!("77 ({comm}) {tail}"));
            assert_eq!(read, Ok(Stat { state: 'S', utime_ticks: 41, stime_ticks: 42 }), "{comm:?}");
        }
    }

    #[test]
    fn an_ended_process_is_told_from_a_living_one() {
        for (state, ended) in [('R', false), ('S', false), ('D', false), ('T', false), ('Z', true), ('X', true)] {
            assert_eq!(Stat { state, utime_ticks: 0, stime_ticks: 0 }.has_ended(), ended, "{state}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let table = [
            (stat("1 (a").map(|_| ()), "comm"),
            (stat("1 (a) ").map(|_| ()), "state"),
            (stat("1 (a) R 1 2").map(|_| ()), "utime"),
            (stat("1 (a) R 1 2 3 0 -1 4194304 5 6 7 8 41").map(|_| ()), "stime"),
            (schedstat("").map(|_| ()), "run time"),
            (schedstat("12").map(|_| ()), "wait time"),
            (statm_resident_pages("12").map(|_| ()), "resident pages"),
            (limits_nofile("Limit Soft\n").map(|_| ()), "Max open files"),
            (limits_nofile("Max open files   12\n").map(|_| ()), "Max open files"),
            (file_nr("x").map(|_| ()), "allocated"),
            (file_nr("1\t0").map(|_| ()), "max"),
            (sockstat("TCP inuse 1", |_, _, _| {}), "protocol"),
            (sockstat("TCP: inuse", |_, _, _| {}), "value"),
        ];
        for (result, field) in table {
            assert_eq!(result.unwrap_err().field, field);
        }
    }

    #[test]
    fn a_process_knows_its_parent() {
        assert_eq!(status_parent("Name:\tcat\nPid:\t7\nPPid:\t3\n"), Ok(3));
        assert_eq!(status_parent("PPid:\tx\n").unwrap_err().field, "PPid");
    }

    #[test]
    fn limits_may_be_unlimited() {
        let row = "Max open files            unlimited            unlimited            files\n";
        assert_eq!(limits_nofile(row), Ok(Limits { soft: u64::MAX, hard: u64::MAX }));
    }

    #[test]
    fn file_nr_is_three_numbers_of_which_the_middle_one_is_history() {
        assert_eq!(file_nr("557\t0\t2466170\n"), Ok(FileNr { allocated: 557, max: 2_466_170 }));
    }

    #[test]
    fn sockstat_names_every_number() {
        let mut seen = Vec::new();
        let text = include_str!("../tests/fixtures/proc/sockstat-6.18.txt");
        sockstat(text, |protocol, name, _| seen.push(format!("{protocol}.{name}"))).unwrap();
        for name in ["sockets.used", "TCP.inuse", "TCP.orphan", "TCP.tw", "TCP.alloc", "TCP.mem", "UDP.mem"] {
            assert!(seen.iter().any(|n| n == name), "{name} in {seen:?}");
        }
        let mut read = Vec::new();
        sockstat("TCP: inuse 3 orphan -1 tw 9\n", |_, name, value| read.push((name.to_owned(), value))).unwrap();
        assert_eq!(read, [("inuse".to_owned(), 3), ("tw".to_owned(), 9)]);
    }

    #[test]
    fn devices_are_read_with_both_their_drops() {
        let text = include_str!("../tests/fixtures/proc/net-dev-6.18.txt");
        let mut seen = Vec::new();
        net_dev(text, |device, name, value| seen.push(format!("{device}.{name}={value}"))).unwrap();
        assert_eq!(seen, ["lo.rx_dropped=0", "lo.tx_dropped=0", "brimful-s.rx_dropped=3", "brimful-s.tx_dropped=0"]);
        for (row, field) in [("nothing", "device"), ("lo: 1 2 3", "received drops"), ("lo: 1 2 3 4 5", "sent drops")] {
            assert_eq!(net_dev(&format!("a\nb\n{row}\n"), |_, _, _| {}).unwrap_err().field, field);
        }
    }

    #[test]
    fn a_file_of_one_number_has_one() {
        assert_eq!(one_number("262144\n"), Ok(262_144));
        for text in ["", "1 2", "many", "-1"] {
            assert!(one_number(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_them_panic(text in "(?s)([0-9a-zA-Z() :-]{0,60}|.{0,120})") {
            let answers = [
                stat(&text).is_ok(),
                schedstat(&text).is_ok(),
                statm_resident_pages(&text).is_ok(),
                limits_nofile(&text).is_ok(),
                file_nr(&text).is_ok(),
                sockstat(&text, |_, _, _| {}).is_ok(),
                net_dev(&text, |_, _, _| {}).is_ok(),
                one_number(&text).is_ok(),
            ];
            prop_assert_eq!(answers.len(), 8);
        }

        #[test]
        fn schedstat_is_read_back(run in any::<u64>(), wait in any::<u64>(), slices in any::<u64>()) {
            let read = schedstat(&format!("{run} {wait} {slices}\n"));
            prop_assert_eq!(read, Ok(Schedstat { run_ns: run, wait_ns: wait }));
        }
    }
}
