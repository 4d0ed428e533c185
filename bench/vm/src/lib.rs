//! A run on another kernel: brimful as the only program of a virtual machine that QEMU boots and that lasts as long as the run.
//!
//! The guest's root is an archive made here: the running binary, the scenarios and the kernel's modules. The guest has no disk and no
//! network; what it says and what it measured come back over a serial port, as an archive of the same form.
//! Nothing of it outlives brimful: QEMU is killed with it, and its files are in a folder that is removed.

mod binary;
mod cpio;
mod frame;
mod guest;
mod modules;
mod qemu;
mod unpack;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use self::cpio::{Entry, What};
use self::frame::{Frame, Frames};
use self::qemu::Qemu;
use brimful_live::interrupt::{Interrupt, LOOK, StopSignal};

pub use self::cpio::CpioError;
pub use self::frame::FrameError;

/// The first argument of the guest's first process, which no user types.
pub const GUEST: &str = "__vm-guest";

/// The first argument of the process that becomes QEMU, which no user types.
pub const BOUND: &str = "__vm-bound";

/// The file in a run's folder that keeps what the guest's kernel said.
const CONSOLE: &str = "console.log";

/// The guest's second serial port.
const PORT: &str = "/dev/ttyS1";

/// Where the guest finds what it is to do, its modules and its scenarios.
const ORDER: &str = "vm/order.json";
const MODULES: &str = "vm/modules";
const SCENARIOS: &str = "vm/scenarios";

/// How long QEMU may take to end after the guest has said its last word.
const OFF_PATIENCE: Duration = Duration::from_secs(10);

/// The most that a run's archive may have, in bytes.
const ARCHIVE_MOST: usize = 1 << 30;

/// How many of the console's last lines an error shows.
const CONSOLE_LINES: usize = 8;

/// How the guest's processors are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// Every instruction is translated: works everywhere, and is many times slower.
    Tcg,
    /// By the processor itself.
    Kvm,
}

impl Accelerator {
    /// What stands in a record as `host.virtual`.
    #[must_use]
    pub fn virtual_name(self) -> &'static str {
        match self {
            Self::Tcg => "qemu-tcg",
            Self::Kvm => "qemu-kvm",
        }
    }
}

/// What the guest has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// Processors.
    pub cpus: u32,
}

/// A run in a virtual machine.
#[derive(Clone, Debug)]
pub struct VmRun<'a> {
    /// A kernel that QEMU can boot.
    pub kernel: &'a Path,
    /// The folder with its modules; none for a kernel that has all it needs built in.
    pub modules: Option<&'a Path>,
    /// How its processors are made.
    pub accelerator: Accelerator,
    /// What it has.
    pub size: Size,
    /// Scenario files to bring along: the name in the guest, from [`scenario_place`], and the text.
    pub scenarios: Vec<(String, String)>,
    /// What to call brimful with in the guest.
    pub arguments: Vec<String>,
    /// The user and group to be in the guest; `None` for root.
    pub user: Option<u32>,
    /// The folder that those arguments name as `--out`, and where it is written here.
    pub out: &'a Path,
    /// The longest it may take, boot included.
    pub time_limit: Duration,
}

/// What the guest is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    arguments: Vec<String>,
    /// Names of files in [`MODULES`], in the order in which they are loaded.
    modules: Vec<String>,
    out: String,
    user: Option<u32>,
    nofile_soft: u64,
}

/// Something the guest said.
#[derive(Debug)]
pub enum Heard<'a> {
    /// Its kernel is up, after so long.
    Up {
        /// `uname -r`.
        kernel: &'a str,
        /// Since QEMU was started.
        after: Duration,
    },
    /// A part of its standard output.
    Out(&'a [u8]),
    /// A part of its standard error.
    Err(&'a [u8]),
}

/// Why a virtual machine came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// A file here cannot be read or written.
    #[error("cannot {doing} `{}`", path.display())]
    File {
        /// `read`, `write` and the like.
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The folder of modules has none.
    #[error("there is no kernel module (*.ko) below `{}`", folder.display())]
    NoModules {
        /// The folder.
        folder: PathBuf,
    },
    /// A module needs one that is not there.
    #[error("the modules folder lacks `{name}`, which others need")]
    NoModule {
        /// Its name.
        name: String,
    },
    /// Modules are packed, and brimful does not unpack.
    #[error("`{}` is packed, and only plain *.ko files can be loaded", path.display())]
    Packed {
        /// The first of them.
        path: PathBuf,
    },
    /// What goes in, or what came back, cannot be an archive.
    #[error(transparent)]
    Archive(#[from] CpioError),
    /// What came back is to be written outside the folder.
    #[error("the guest sent a file called `{name}`, which is no place in a run's folder")]
    Place {
        /// Its name.
        name: String,
    },
    /// What came over the port is not what the guest sends.
    #[error("the guest's port brought something else than its report")]
    Port(#[source] FrameError),
    /// The guest sent more than a run can be.
    #[error("the guest sent more than {} MiB", ARCHIVE_MOST >> 20)]
    TooMuch,
    /// QEMU cannot be started.
    #[error("cannot start {}", qemu::PROGRAM)]
    NoQemu,
    /// The guest ended without its last word.
    #[error("the virtual machine ended before its run did: {}", if said.is_empty() { "it said nothing" } else { said })]
    Ended {
        /// What QEMU said, or the end of the guest's console.
        said: String,
    },
    /// It took too long.
    #[error("the virtual machine was stopped after its time limit of {} s: {}", limit.as_secs(), if said.is_empty() { "it said nothing" } else { said })]
    TimeLimit {
        /// The limit.
        limit: Duration,
        /// The end of the guest's console.
        said: String,
    },
    /// A signal ended it.
    #[error("stopped by a signal")]
    Stopped(StopSignal),
}

impl VmError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoQemu => Some("on Debian and Ubuntu: apt-get install qemu-system-x86"),
            Self::NoModules { .. } | Self::NoModule { .. } => {
                Some("give the folder of the kernel's own version, as scripts/vm/kernel prints it")
            }
            Self::Packed { .. } => Some("unpack them: find DIR -name '*.ko.xz' -exec unxz {} +"),
            Self::TimeLimit { .. } => {
                Some("give more with --time-limit; the guest's console is in console.log of the run's folder")
            }
            Self::Ended { .. } | Self::Port(_) => {
                Some("the guest's console is in console.log of the run's folder; --memory gives it more")
            }
            Self::File { .. } | Self::Archive(_) | Self::Place { .. } | Self::TooMuch | Self::Stopped(_) => None,
        }
    }
}

/// The hidden roles of this module, by their first argument; `None` where it is none of them.
#[must_use]
pub fn role(word: &str, rest: &[String]) -> Option<u8> {
    match word {
        GUEST => Some(guest::main()),
        BOUND => Some(qemu::become_bound(rest)),
        _ => None,
    }
}

/// Where a scenario file of this name is in the guest.
#[must_use]
pub fn scenario_place(name: &str) -> String {
    format!("/{SCENARIOS}/{name}")
}

/// Whether KVM boots this kernel here, found out by trying.
///
/// # Errors
/// When QEMU cannot be started at all.
pub fn kvm_works(kernel: &Path, interrupt: &Interrupt) -> Result<bool, VmError> {
    there_is_qemu()?;
    qemu::kvm_works(kernel, interrupt).map_err(|_| VmError::NoQemu)
}

fn there_is_qemu() -> Result<(), VmError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(qemu::PROGRAM).is_file()) {
        Ok(())
    } else {
        Err(VmError::NoQemu)
    }
}

/// Boots the machine, and returns the exit status of `brimful run` in it. What the run wrote is then in the folder, beside the guest's console.
///
/// # Errors
/// When it cannot be booted, when it ended or was ended before its run did, when what it sent cannot be written.
pub fn run(vm: &VmRun<'_>, interrupt: &Interrupt, hear: &mut dyn FnMut(Heard<'_>)) -> Result<u8, VmError> {
    there_is_qemu()?;
    let writing = |path: &Path| {
        let path = path.to_path_buf();
        |source| VmError::File { doing: "write", path, source }
    };
    let scratch = tempfile::Builder::new().prefix("brimful-vm-").tempdir().map_err(writing(&std::env::temp_dir()))?;
    let root = scratch.path().join("root.cpio");
    fs::write(&root, cpio::print(&guest_root(vm)?)?).map_err(writing(&root))?;
    fs::create_dir_all(vm.out).map_err(writing(vm.out))?;
    let console = vm.out.join(CONSOLE);
    let errors = scratch.path().join("errors");
    let began = Instant::now();
    let words = qemu::arguments(vm.accelerator, vm.size, vm.kernel, &root, &console);
    let mut qemu =
        Qemu::start(&words, File::create(&errors).map_err(writing(&errors))?).map_err(|_| VmError::NoQemu)?;
    let mut guest = Guest { frames: Frames::default(), archive: Vec::new(), began, hear };
    let said = || last_lines(&errors, 2).or_else(|| last_lines(&console, CONSOLE_LINES)).unwrap_or_default();
    let status = loop {
        if let Some(signal) = interrupt.seen() {
            return Err(VmError::Stopped(signal));
        }
        if began.elapsed() >= vm.time_limit {
            return Err(VmError::TimeLimit { limit: vm.time_limit, said: said() });
        }
        match qemu.heard.recv_timeout(LOOK) {
            Ok(bytes) => {
                if let Some(status) = guest.take(&bytes)? {
                    break status;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(VmError::Ended { said: said() }),
        }
    };
    // One that does not switch itself off is switched off.
    qemu.ended_within(OFF_PATIENCE);
    drop(qemu);
    unpack::into(vm.out, cpio::parse(&guest.archive)?)?;
    Ok(status)
}

/// What has come from the guest.
struct Guest<'a> {
    frames: Frames,
    archive: Vec<u8>,
    began: Instant,
    hear: &'a mut dyn FnMut(Heard<'_>),
}

impl Guest<'_> {
    /// Takes what came; returns the exit status when it was the last word.
    fn take(&mut self, bytes: &[u8]) -> Result<Option<u8>, VmError> {
        self.frames.push(bytes);
        while let Some(frame) = self.frames.next().map_err(VmError::Port)? {
            match frame {
                Frame::Up(text) => {
                    let kernel = String::from_utf8_lossy(&text);
                    (self.hear)(Heard::Up { kernel: &kernel, after: self.began.elapsed() });
                }
                Frame::Out(text) => (self.hear)(Heard::Out(&text)),
                Frame::Err(text) => (self.hear)(Heard::Err(&text)),
                Frame::Archive(part) if self.archive.len() + part.len() > ARCHIVE_MOST => return Err(VmError::TooMuch),
                Frame::Archive(part) => self.archive.extend(part),
                Frame::End(status) => return Ok(Some(status)),
            }
        }
        Ok(None)
    }
}

/// Everything the guest has.
fn guest_root(vm: &VmRun<'_>) -> Result<Vec<Entry>, VmError> {
    let file = |name: String, content: Vec<u8>| Entry { name, permissions: 0o644, what: What::File(content) };
    let modules = vm.modules.map(modules::in_order).transpose()?.unwrap_or_default();
    let order = Order {
        arguments: vm.arguments.clone(),
        modules: modules.iter().map(|module| module.name.clone()).collect(),
        out: vm.out.display().to_string(),
        user: vm.user,
        nofile_soft: NOFILE_SOFT,
    };
    let order = serde_json::to_vec(&order).map_err(|error| VmError::File {
        doing: "write",
        path: ORDER.into(),
        source: error.into(),
    })?;
    let mut entries = Vec::new();
    for folder in ["dev/x", "vm/modules/x", "vm/scenarios/x"] {
        entries.extend(binary::folders(folder));
    }
    // Without it the first process begins without standard error, and dies of that.
    entries.push(Entry {
        name: "dev/console".to_owned(),
        permissions: 0o600,
        what: What::Device { major: 5, minor: 1 },
    });
    entries.push(file(ORDER.to_owned(), order));
    entries.extend(modules.into_iter().map(|module| file(format!("{MODULES}/{}", module.name), module.content)));
    let scenarios = vm.scenarios.iter();
    entries.extend(scenarios.map(|(name, text)| file(format!("{SCENARIOS}/{name}"), text.clone().into_bytes())));
    entries.extend(binary::entries()?);
    Ok(entries)
}

/// The soft limit that a login gives (`INR_OPEN_CUR`, include/uapi/linux/fs.h).
const NOFILE_SOFT: u64 = 1_024;

/// The last lines of a file in one, without what a console's escapes put into it; `None` where there are none.
fn last_lines(path: &Path, count: usize) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let from = lines.len().saturating_sub(count);
    let words = lines.get(from..)?.join("; ");
    let words: String = words.chars().filter(|c| !c.is_control()).collect();
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_console_is_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console.log");
        assert_eq!(last_lines(&path, 2), None);
        fs::write(&path, "\x1b[mfirst\r\n\r\nKernel panic\r\nend\r\n").unwrap();
        assert_eq!(last_lines(&path, 2).as_deref(), Some("Kernel panic; end"));
        assert_eq!(last_lines(&path, 9).as_deref(), Some("[mfirst; Kernel panic; end"));
    }

    #[test]
    fn what_is_heard_is_taken_to_its_end() {
        let mut said = Vec::new();
        let mut hear = |heard: Heard<'_>| match heard {
            Heard::Out(text) | Heard::Err(text) => said.extend_from_slice(text),
            Heard::Up { kernel, .. } => said.extend_from_slice(kernel.as_bytes()),
        };
        let mut guest =
            Guest { frames: Frames::default(), archive: Vec::new(), began: Instant::now(), hear: &mut hear };
        let frames = [
            Frame::Up(b"6.1 ".to_vec()),
            Frame::Err(b"err ".to_vec()),
            Frame::Archive(b"arch".to_vec()),
            Frame::Out(b"out".to_vec()),
            Frame::Archive(b"ive".to_vec()),
            Frame::End(4),
        ];
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::print).collect();
        assert_eq!(guest.take(&bytes[..20]).unwrap(), None);
        assert_eq!(guest.take(&bytes[20..]).unwrap(), Some(4));
        assert_eq!(guest.archive, b"archive");
        assert_eq!(said, b"6.1 err out");
    }
}
