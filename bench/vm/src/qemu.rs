//! QEMU: its command line, and the process, which dies with brimful.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use brimful_live::interrupt::{Interrupt, LOOK};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use super::{Accelerator, BOUND, GUEST, Size};

/// The program, in Debian's package `qemu-system-x86`.
pub(super) const PROGRAM: &str = "qemu-system-x86_64";

/// One processor by translation has a clock that counts its instructions, two nanoseconds each, and that skips what it sleeps. A guest that is many times
/// slower than its host then does not notice, however busy the host is: no load comes late in its own time. QEMU has this for one processor only.
const COUNTED: &str = "shift=1,sleep=off";

/// How long a machine of KVM may take to its first word. One that works needs some tenths of a second; where the host's own hypervisor does not let
/// it, nothing ever comes.
const KVM_PATIENCE: Duration = Duration::from_secs(5);

/// What a kernel says first, on whatever console.
const FIRST_WORDS: &[u8] = b"Linux version";

/// The arguments for a guest. `console` is where its first serial port is written; the second one is QEMU's standard output.
pub(super) fn arguments(
    accelerator: Accelerator,
    size: Size,
    kernel: &Path,
    root: &Path,
    console: &Path,
) -> Vec<String> {
    let mut words = match accelerator {
        Accelerator::Kvm => machine("kvm", "host", size),
        Accelerator::Tcg if size.cpus > 1 => machine("tcg,thread=multi", "max", size),
        Accelerator::Tcg => machine("tcg,thread=single", "max", size),
    };
    if accelerator == Accelerator::Tcg && size.cpus == 1 {
        words.extend(["-icount", COUNTED].map(str::to_owned));
    }
    let command_line = format!(
        "console=ttyS0 panic=-1 loglevel=6 LD_LIBRARY_PATH=/{} {}={} rdinit=/{} -- {GUEST}",
        super::binary::LIBRARIES,
        brimful_live::guest::VIRTUAL,
        accelerator.virtual_name(),
        super::binary::BINARY,
    );
    let console = format!("file,id=console,path={}", comma(console));
    for (flag, value) in [
        ("-kernel", kernel.display().to_string()),
        ("-initrd", root.display().to_string()),
        ("-append", command_line),
        ("-chardev", console),
        ("-serial", "chardev:console".to_owned()),
        ("-chardev", "stdio,id=report,signal=off".to_owned()),
        ("-serial", "chardev:report".to_owned()),
    ] {
        words.extend([flag.to_owned(), value]);
    }
    words
}

/// A machine without disks, devices, display or network: only what is named after it is there.
fn machine(accelerator: &str, cpu: &str, size: Size) -> Vec<String> {
    let (memory, cpus) = (format!("{}M", size.memory_mib), size.cpus.to_string());
    let words = [
        "-nodefaults",
        "-no-user-config",
        "-no-reboot",
        "-display",
        "none",
        "-nic",
        "none",
        "-machine",
        "pc",
        "-accel",
        accelerator,
        "-cpu",
        cpu,
        "-m",
        &memory,
        "-smp",
        &cpus,
    ];
    words.map(str::to_owned).to_vec()
}

/// A comma in a value of QEMU's is written twice.
fn comma(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

/// A running QEMU. Dropped, it is killed and waited for.
#[derive(Debug)]
pub(super) struct Qemu {
    child: Child,
    /// What comes from its standard output; closed when it ends.
    pub(super) heard: Receiver<Vec<u8>>,
}

impl Qemu {
    /// Starts it. The calling thread must outlive it: its life is bound to that thread's.
    ///
    /// # Errors
    /// When brimful cannot be started as what becomes QEMU.
    pub(super) fn start(arguments: &[String], errors: File) -> io::Result<Self> {
        let mut child = Command::new("/proc/self/exe")
            .arg0("brimful")
            .args([BOUND, &std::process::id().to_string(), PROGRAM])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            // Ctrl-C reaches brimful alone.
            .process_group(0)
            .spawn()?;
        let output = child.stdout.take();
        let (mouth, heard) = channel();
        if let Some(mut output) = output {
            thread::Builder::new().name("qemu".to_owned()).spawn(move || {
                let mut buffer = vec![0; 1 << 16];
                while let Ok(count) = output.read(&mut buffer) {
                    let Some(part) = buffer.get(..count).filter(|part| !part.is_empty()) else { return };
                    if mouth.send(part.to_vec()).is_err() {
                        return;
                    }
                }
            })?;
        }
        Ok(Self { child, heard })
    }

    /// How it ended, within some time; `None` when it has not.
    pub(super) fn ended_within(&mut self, time: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + time;
        loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < until => thread::sleep(LOOK),
                Ok(ended) => return ended,
                Err(_) => return None,
            }
        }
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // An error means that it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Becomes another program that dies with brimful: the signal at the parent's death outlives `execve(2)`. `arguments` are the parent's id, the program and
/// its own. Returns an exit status when it could not.
pub(super) fn become_bound(arguments: &[String]) -> u8 {
    let [parent, program, rest @ ..] = arguments else { return 2 };
    let bound = set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
    let alive = getppid().map(Pid::as_raw_nonzero).is_some_and(|pid| pid.get().to_string() == *parent);
    if !bound || !alive {
        return 1;
    }
    let error = Command::new(program).args(rest).exec();
    io::Write::write_fmt(&mut io::stderr(), format_args!("{program}: {error}\n")).ok();
    127
}

/// Whether a kernel says its first words under KVM in time. It gets no root, so that it ends by itself afterwards.
///
/// # Errors
/// When QEMU cannot be started at all.
pub(super) fn kvm_works(kernel: &Path, interrupt: &Interrupt) -> io::Result<bool> {
    if File::options().read(true).write(true).open("/dev/kvm").is_err() {
        return Ok(false);
    }
    let mut words = machine("kvm", "host", Size { memory_mib: 256, cpus: 1 });
    let kernel = kernel.display().to_string();
    words.extend(
        ["-kernel", &kernel, "-append", "console=ttyS0 earlyprintk=ttyS0 panic=-1", "-serial", "stdio"]
            .map(str::to_owned),
    );
    let qemu = Qemu::start(&words, File::options().write(true).open("/dev/null")?)?;
    let until = Instant::now() + KVM_PATIENCE;
    let mut said = Vec::new();
    while Instant::now() < until && interrupt.seen().is_none() {
        match qemu.heard.recv_timeout(LOOK) {
            Ok(part) => said.extend(part),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if said.windows(FIRST_WORDS.len()).any(|window| window == FIRST_WORDS) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(accelerator: Accelerator) -> String {
        let size = Size { memory_mib: 1_024, cpus: 2 };
        arguments(accelerator, size, Path::new("vmlinuz"), Path::new("root.cpio"), Path::new("a,b/console.log"))
            .join(" ")
    }

    #[test]
    fn the_command_line_is_what_the_accelerator_needs() {
        for (accelerator, wanted, other) in [
            (Accelerator::Tcg, ["-accel tcg,thread=multi -cpu max", "brimful.virtual=qemu-tcg"], "kvm"),
            (Accelerator::Kvm, ["-accel kvm -cpu host", "brimful.virtual=qemu-kvm"], "tcg"),
        ] {
            let line = line(accelerator);
            for wanted in wanted {
                assert!(line.contains(wanted), "{wanted}: {line}");
            }
            assert!(!line.contains(other), "{other}: {line}");
        }
    }

    #[test]
    fn the_clock_of_one_translated_processor_counts_instructions() {
        let words = |accelerator, cpus| {
            let size = Size { memory_mib: 512, cpus };
            arguments(accelerator, size, Path::new("k"), Path::new("r"), Path::new("c")).join(" ")
        };
        for (accelerator, cpus, counted) in
            [(Accelerator::Tcg, 1, true), (Accelerator::Tcg, 2, false), (Accelerator::Kvm, 1, false)]
        {
            let line = words(accelerator, cpus);
            assert_eq!(line.contains("-icount shift=1,sleep=off"), counted, "{line}");
            assert_eq!(line.contains("thread=multi"), cpus == 2, "{line}");
        }
    }

    #[test]
    fn the_guest_has_two_ports_and_no_network() {
        let line = line(Accelerator::Tcg);
        assert!(line.contains("-nodefaults") && line.contains("-nic none") && line.contains("-no-reboot"), "{line}");
        let (console, report) = (line.find("-serial chardev:console"), line.find("-serial chardev:report"));
        assert!(console.is_some() && console < report, "the first port is the console: {line}");
        assert!(line.contains("path=a,,b/console.log"), "{line}");
        assert!(line.contains("rdinit=/brimful -- __vm-guest"), "{line}");
    }
}
