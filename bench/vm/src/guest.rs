//! The first process of the guest: it makes the least of a system, runs brimful in it, sends the run back and switches the machine off.
//!
//! It judges nothing and repairs nothing: what fails is said over the port, and the machine goes off all the same.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use brimful_live::link;
use brimful_target::limits::set_nofile;
use brimful_target_plan::Nofile;
use rustix::mount::{MountFlags, mount};
use rustix::system::{RebootCommand, finit_module, reboot, uname};
use rustix::termios::{OptionalActions, tcdrain, tcgetattr, tcsetattr};

use super::cpio::{self, Entry, What};
use super::frame::{CONTENT_MOST, Frame};
use super::{MODULES, ORDER, Order, PORT};

/// What is mounted, in this order: kind and place. Some kernels have no tracefs, and nothing that a verdict needs is in it.
const MOUNTS: [(&str, &str); 6] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tracefs", "/sys/kernel/tracing"),
    ("cgroup2", "/sys/fs/cgroup"),
    ("tmpfs", "/tmp"),
];

/// The exit status for a guest that could not be made: this machine refuses.
const REFUSES: u8 = 3;

/// Folders below a run's folder are no deeper than this.
const DEPTH_MOST: usize = 8;

/// Does all of it. Returns only where it is not the first process, because then it is nobody's guest.
pub(super) fn main() -> u8 {
    if std::process::id() != 1 {
        return 2;
    }
    let refused: Vec<String> = MOUNTS.iter().filter_map(|(kind, place)| mounted(kind, place).err()).collect();
    match Port::open() {
        Ok(port) => {
            let release = uname().release().to_string_lossy().into_owned();
            port.say(&Frame::Up(release.into_bytes()));
            refused.iter().for_each(|line| port.note(line));
            let status = run(&port).unwrap_or_else(|error| {
                port.note(&format!("error: {error}"));
                REFUSES
            });
            port.say(&Frame::End(status));
            port.drain();
        }
        // Goes to the console, which is kept.
        Err(error) => {
            writeln!(io::stderr(), "brimful: no report can be sent: {error}").ok();
        }
    }
    rustix::fs::sync();
    reboot(RebootCommand::PowerOff).ok();
    // The first process must not end: the kernel would panic, which ends the machine too.
    REFUSES
}

fn mounted(kind: &str, place: &str) -> Result<(), String> {
    let made = fs::create_dir_all(place)
        .and_then(|()| mount(kind, place, kind, MountFlags::empty(), None::<&std::ffi::CStr>).map_err(io::Error::from));
    made.map_err(|error| format!("the guest has no {kind}: {error}"))
}

fn run(port: &Port) -> io::Result<u8> {
    let order: Order = serde_json::from_slice(&fs::read(Path::new("/").join(ORDER))?)?;
    for module in &order.modules {
        let file = File::open(Path::new("/").join(MODULES).join(module))?;
        if let Err(error) = finit_module(file, c"", 0) {
            port.note(&format!("the guest could not load {module}: {error}"));
        }
    }
    // Cells that slow a target down need the controller in the groups below the first.
    fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+cpu").ok();
    // Without another the kernel gives the first process 4,096 (`INR_OPEN_MAX`).
    let hard = fs::read_to_string("/proc/sys/fs/nr_open")?.trim().parse().map_err(io::Error::other)?;
    set_nofile(Nofile { soft: order.nofile_soft.min(hard), hard })?;
    link::loopback().map_err(io::Error::other)?;
    let out = Path::new("/").join(&order.out);
    if let Some(user) = order.user {
        // Its own folder to write into: the rest is root's.
        fs::create_dir_all(&out)?;
        chown(&out, Some(user), Some(user))?;
    }
    let status = child(&order, port)?;
    let mut entries = Vec::new();
    // A run that was refused has none.
    if out.is_dir() {
        gather(&out, "", DEPTH_MOST, &mut entries)?;
    }
    let archive = cpio::print(&entries).map_err(io::Error::other)?;
    for part in archive.chunks(CONTENT_MOST) {
        port.say(&Frame::Archive(part.to_vec()));
    }
    Ok(status)
}

/// `brimful run`, whose two outputs go over the port as they come.
fn child(order: &Order, port: &Port) -> io::Result<u8> {
    let mut command = Command::new("/proc/self/exe");
    if let Some(user) = order.user {
        command.uid(user).gid(user);
    }
    let mut child = command
        .arg0("brimful")
        .args(&order.arguments)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let forward = |from: Option<Box<dyn Read + Send>>, frame: fn(Vec<u8>) -> Frame| {
            from.map(|from| scope.spawn(move || forward(from, port, frame)))
        };
        forward(out.map(|out| Box::new(out) as Box<dyn Read + Send>), Frame::Out);
        forward(err.map(|err| Box::new(err) as Box<dyn Read + Send>), Frame::Err);
    });
    let status = child.wait()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

fn forward(mut from: impl Read, port: &Port, frame: fn(Vec<u8>) -> Frame) {
    let mut buffer = vec![0; 4_096];
    while let Ok(count) = from.read(&mut buffer) {
        let Some(part) = buffer.get(..count).filter(|part| !part.is_empty()) else { return };
        port.say(&frame(part.to_vec()));
    }
}

/// Every file below a folder, by its name from there.
fn gather(folder: &Path, prefix: &str, depth: usize, entries: &mut Vec<Entry>) -> io::Result<()> {
    let mut files: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    for file in files {
        let name = format!("{prefix}{}", file.file_name().to_string_lossy());
        if file.file_type()?.is_dir() {
            entries.push(Entry { name: name.clone(), permissions: 0o755, what: What::Folder });
            if depth > 0 {
                gather(&file.path(), &format!("{name}/"), depth - 1, entries)?;
            }
        } else {
            entries.push(Entry { name, permissions: 0o644, what: What::File(fs::read(file.path())?) });
        }
    }
    Ok(())
}

/// The serial port over which the host hears; whole frames, whoever says them.
struct Port(Mutex<File>);

impl Port {
    fn open() -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(PORT)?;
        // Or the line discipline would put a carriage return before every line's end.
        let mut termios = tcgetattr(&file)?;
        termios.make_raw();
        tcsetattr(&file, OptionalActions::Now, &termios)?;
        Ok(Self(Mutex::new(file)))
    }

    fn say(&self, frame: &Frame) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody to tell when the port is gone: the host notices that the end is missing.
        file.write_all(&frame.print()).ok();
    }

    fn note(&self, line: &str) {
        self.say(&Frame::Err(format!("{line}\n").into_bytes()));
    }

    fn drain(&self) {
        let file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tcdrain(&*file).ok();
    }
}
