//! The first process of a command's namespace: it starts the command, reaps what nobody else waits for, reads what is written, and
//! speaks with brimful. When it ends, the kernel ends everything else here.

use std::io::{self, PipeReader, Read as _};
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::chown;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;
use std::{fs, thread};

use brimful_plan::command::StopSignal;
use brimful_target::clock::monotonic_ns;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};

use super::super::super::message::{CommandAccount, Failed, Said, Tell};
use super::super::super::process::{WORKER, in_words};
use super::super::orders::{Orders, say};
use super::account::Account;
use super::start::whom;
use super::{Handed, START, in_memory, inherited};

/// From one attempt to connect to the next, while the command is not ready.
const TRY_EVERY: Duration = Duration::from_millis(10);
/// How long one attempt may take: on loopback a listener answers at once.
const TRY_FOR: Duration = Duration::from_millis(250);
/// How long a command may take to end in good order before its account is closed without that.
const GRACE: Duration = Duration::from_secs(3);
/// How long is waited for the last of what a command wrote, once it has ended.
const LAST_PIECES: Duration = Duration::from_millis(200);
/// How much is read at once, in bytes.
const PIECE: usize = 16 * 1024;

/// What happens around the command.
enum Event {
    /// It wrote something.
    Wrote(u64, Vec<u8>),
    /// Nothing of it can write any more.
    Silent,
    /// A process that nobody else waited for has ended.
    Ended(Pid, ExitStatus),
    /// brimful said something.
    Told(Tell),
    /// brimful is gone.
    Over,
}

/// Runs the command until brimful lets go, or it ends by itself. Known of brimful are its process id, and the number of the inherited order.
pub(in super::super) fn run((brimful, number): (&str, &str), orders: Orders) -> Result<(), Failed> {
    let handed: Handed = inherited(number)?;
    give_away(&handed)?;
    let began_ns = monotonic_ns();
    let (mouth, ear) = channel();
    let main = start(brimful, &handed, &mouth)?;
    let told = mouth.clone();
    spawn("orders", move || listen(orders, &told))?;
    spawn("reaper", move || reap(&mouth))?;
    Keeper { handed, main, began_ns, t0_ns: None, account: Account::default(), ear }.keep()
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failed> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map_err(super::super::os("start a thread"))?;
    Ok(())
}

/// The command's folder becomes that of its user.
fn give_away(handed: &Handed) -> Result<(), Failed> {
    let Some(name) = &handed.order.user else { return Ok(()) };
    if handed.user_namespace {
        return Err(Failed {
            what: format!("cannot become `{name}`: brimful's user namespace has one user only"),
            hint: Some("run brimful as root, or take `target.user` out".to_owned()),
            machine: true,
        });
    }
    let user = whom(name)?;
    let give = |path: &Path| chown(path, Some(user.uid), Some(user.gid));
    let all = || -> io::Result<()> {
        give(&handed.order.folder)?;
        fs::read_dir(&handed.order.folder)?.try_for_each(|entry| give(&entry?.path()))
    };
    all().map_err(super::super::os("give the command's folder to its user"))
}

/// Starts the process that becomes the command, and the thread that reads what it writes.
fn start(brimful: &str, handed: &Handed, mouth: &Sender<Event>) -> Result<Pid, Failed> {
    let text = in_memory(handed).map_err(super::super::os("keep the order"))?;
    let (read, write) = io::pipe().map_err(super::super::os("make a pipe"))?;
    let both = write.try_clone().map_err(super::super::os("share a pipe"))?;
    let child = Command::new("/proc/self/exe")
        .arg0("brimful")
        .args([WORKER, START, brimful, &text.as_raw_fd().to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::from(write))
        .stderr(Stdio::from(both))
        .spawn()
        .map_err(super::super::os("start the command"))?;
    let mouth = mouth.clone();
    spawn("log", move || hear(read, &mouth))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| Failed { what: "the command has no process id".to_owned(), hint: None, machine: false })
}

fn hear(mut pipe: PipeReader, mouth: &Sender<Event>) {
    let mut buffer = vec![0; PIECE];
    loop {
        match pipe.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                let piece = buffer.get(..length).unwrap_or_default().to_vec();
                if mouth.send(Event::Wrote(monotonic_ns(), piece)).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    mouth.send(Event::Silent).ok();
}

fn listen(mut orders: Orders, mouth: &Sender<Event>) {
    while let Some(tell) = orders.next() {
        if mouth.send(Event::Told(tell)).is_err() {
            return;
        }
    }
    mouth.send(Event::Over).ok();
}

/// Waits for every child there ever is: the command, and what it left behind when its own parent ended.
fn reap(mouth: &Sender<Event>) {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) => {
                let ended = Event::Ended(pid, ExitStatus::from_raw(status.as_raw()));
                if mouth.send(ended).is_err() {
                    return;
                }
            }
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

struct Keeper {
    handed: Handed,
    /// The process that was started, by its number in this namespace.
    main: Pid,
    began_ns: u64,
    t0_ns: Option<u64>,
    account: Account,
    ear: Receiver<Event>,
}

/// Why waiting is over.
enum Woken {
    Ended(ExitStatus),
    /// It shall end, and may take so long for it.
    Stop(Duration),
    Over,
    /// The time given is up.
    Late,
}

impl Keeper {
    fn keep(mut self) -> Result<(), Failed> {
        if !self.wait_until_ready()? {
            return Ok(());
        }
        say(&Said::CommandReady { after_ns: monotonic_ns().saturating_sub(self.began_ns) });
        match self.next(None) {
            Woken::Ended(status) => {
                self.close(Some(in_words(status)), false);
                Ok(())
            }
            Woken::Stop(grace) => {
                self.stop(grace);
                Ok(())
            }
            Woken::Over | Woken::Late => Ok(()),
        }
    }

    /// Waits until a connection is taken. `false` when brimful is gone, or wants no more of it.
    fn wait_until_ready(&mut self) -> Result<bool, Failed> {
        let (ready, patience) = (self.handed.order.ready, self.handed.order.start_timeout);
        let deadline = self.began_ns.saturating_add(nanoseconds(patience));
        loop {
            match self.next(Some(TRY_EVERY)) {
                Woken::Late => {}
                Woken::Ended(status) => {
                    self.last_pieces();
                    return Err(self.not_ready(format!("it ended with {} before it was ready", in_words(status))));
                }
                Woken::Stop(_) | Woken::Over => return Ok(false),
            }
            if TcpStream::connect_timeout(&ready, TRY_FOR).is_ok() {
                return Ok(true);
            }
            if monotonic_ns() > deadline {
                let within = patience.as_secs_f64();
                return Err(self.not_ready(format!("nothing took a connection at {ready} within {within} s")));
            }
        }
    }

    fn not_ready(&self, what: String) -> Failed {
        let words = self.account.last_words();
        let said = if words.is_empty() { "; it said nothing".to_owned() } else { format!("; it said: {words}") };
        let name = self.handed.order.argv.first().map_or("", String::as_str);
        let hint = "it must stay in the foreground and listen where [target] says; `ready` and `start-timeout` say what is waited for";
        Failed { what: format!("`{name}`: {what}{said}"), hint: Some(hint.to_owned()), machine: false }
    }

    /// Asks it to end, waits for that, gives account.
    fn stop(mut self, grace: Duration) {
        // One that has ended meanwhile is heard of below.
        kill_process(self.main, signal(self.handed.order.stop_signal)).ok();
        let how = match self.next(Some(grace)) {
            Woken::Ended(status) => Some(in_words(status)),
            Woken::Stop(_) | Woken::Late => None,
            // Nobody waits for the account any more, and what is left here is not waited for.
            Woken::Over => return,
        };
        self.close(how, true);
    }

    /// Gives account, and lets brimful decide when this ends.
    fn close(mut self, how: Option<String>, asked: bool) {
        self.last_pieces();
        let t0_ns = self.t0_ns.unwrap_or(self.began_ns);
        let (words, log) = self.account.close(t0_ns, monotonic_ns());
        say(&Said::CommandDone(Box::new(CommandAccount { how, asked, words, log })));
        while asked && !matches!(self.ear.recv(), Ok(Event::Over) | Err(_)) {}
    }

    /// What is still in the pipe once the command has ended; what it left behind may hold it open and write on, so not for long.
    fn last_pieces(&mut self) {
        let deadline = monotonic_ns().saturating_add(nanoseconds(LAST_PIECES));
        let left = || Duration::from_nanos(deadline.saturating_sub(monotonic_ns()));
        while let Ok(event) = self.ear.recv_timeout(left()) {
            match event {
                Event::Wrote(at_ns, piece) => self.account.take(at_ns, &piece),
                Event::Silent | Event::Over => return,
                Event::Ended(..) | Event::Told(_) => {}
            }
        }
    }

    /// Takes what happens until something of it matters, or the time is up.
    fn next(&mut self, patience: Option<Duration>) -> Woken {
        let deadline = patience.map(|patience| monotonic_ns().saturating_add(nanoseconds(patience)));
        loop {
            let event = match deadline {
                None => self.ear.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(deadline) => self.ear.recv_timeout(Duration::from_nanos(deadline.saturating_sub(monotonic_ns()))),
            };
            match event {
                Ok(Event::Wrote(at_ns, piece)) => self.account.take(at_ns, &piece),
                Ok(Event::Ended(pid, status)) if pid == self.main => return Woken::Ended(status),
                Ok(Event::Told(Tell::Start { t0_ns })) => self.t0_ns = Some(t0_ns),
                Ok(Event::Told(Tell::Stop)) => return Woken::Stop(GRACE),
                Ok(Event::Told(Tell::Leave { grace })) => return Woken::Stop(grace),
                Ok(Event::Silent | Event::Ended(..) | Event::Told(_)) => {}
                Ok(Event::Over) | Err(RecvTimeoutError::Disconnected) => return Woken::Over,
                Err(RecvTimeoutError::Timeout) => return Woken::Late,
            }
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn signal(of: StopSignal) -> Signal {
    match of {
        StopSignal::Term => Signal::TERM,
        StopSignal::Quit => Signal::QUIT,
        StopSignal::Int => Signal::INT,
        StopSignal::Usr1 => Signal::USR1,
        StopSignal::Usr2 => Signal::USR2,
        StopSignal::Hup => Signal::HUP,
    }
}
