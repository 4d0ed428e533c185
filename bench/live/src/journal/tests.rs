//! Changes of a made-up host, by the code that changes real ones, with a life that can end before any byte of any write.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex};

use brimful_evidence::journal::{Change, Line, Owner, VERSION};
use proptest::prelude::*;
use tempfile::TempDir;

use super::undo::{self, Ended, Outcome, Undo};
use super::{Book, JournalError, Places};
use crate::sysctl::fold;

/// How much a process may still write. Every write to the machine asks it first.
#[derive(Clone, Debug, Default)]
pub(super) struct Life(Arc<Mutex<Left>>);

#[derive(Debug, Default)]
enum Left {
    #[default]
    Immortal,
    /// So many bytes, each change of a setting and each cut counting as one; then nothing ever again.
    Mortal(usize),
    /// So many bytes of the journal, then each append fails half-way, as on a full disk.
    Full(usize),
}

impl Life {
    fn mortal(bytes: usize) -> Self {
        Self(Arc::new(Mutex::new(Left::Mortal(bytes))))
    }

    fn full_after(bytes: usize) -> Self {
        Self(Arc::new(Mutex::new(Left::Full(bytes))))
    }

    /// Asks for a write that is whole or not done at all.
    pub(super) fn spend(&self, bytes: usize) -> io::Result<()> {
        match &mut *self.0.lock().unwrap() {
            Left::Mortal(left) if *left < bytes => {
                *left = 0;
                Err(io::Error::other("killed"))
            }
            Left::Mortal(left) => {
                *left -= bytes;
                Ok(())
            }
            Left::Immortal | Left::Full(_) => Ok(()),
        }
    }

    /// Asks for a write of bytes that may break off; then what comes before the break is written here.
    pub(super) fn spend_on<'b>(&self, bytes: &'b [u8], file: &mut File) -> io::Result<&'b [u8]> {
        let (Left::Mortal(left) | Left::Full(left)) = &mut *self.0.lock().unwrap() else { return Ok(bytes) };
        if *left >= bytes.len() {
            *left -= bytes.len();
            return Ok(bytes);
        }
        file.write_all(&bytes[..*left])?;
        *left = 0;
        Err(io::Error::from(io::ErrorKind::StorageFull))
    }
}

/// A host with a few settings.
struct Host {
    folder: TempDir,
    places: Places,
}

/// Names, and the values that stand at first.
const SETTINGS: [(&str, &str); 4] = [
    ("fs.file-max", "9223372036854775807"),
    ("net.ipv4.tcp_mem", "188319\t251094\t376638"),
    ("net.core.netdev_max_backlog", "1000"),
    ("net.ipv4.neigh.default.gc_thresh3", "1024"),
];

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let places = Places { journals: folder.path().join("run/brimful"), sysctls: folder.path().join("sys") };
        let this = Self { folder, places };
        this.boots("boot-1");
        for (name, value) in SETTINGS {
            this.set(name, value);
        }
        this
    }

    fn boots(&self, id: &str) {
        let folder = self.places.sysctls.join("kernel/random");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("boot_id"), format!("{id}\n")).unwrap();
    }

    /// Anybody's write.
    fn set(&self, name: &str, value: &str) {
        let path = self.places.sysctls.join(name.replace('.', "/"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{value}\n")).unwrap();
    }

    fn value(&self, name: &str) -> String {
        fold(&fs::read_to_string(self.places.sysctls.join(name.replace('.', "/"))).unwrap())
    }

    fn is_as_it_was(&self) -> bool {
        SETTINGS.iter().all(|(name, value)| self.value(name) == fold(value))
    }

    fn book(&self) -> Result<Book, JournalError> {
        Book::begin(self.places.clone(), "out/x")
    }

    fn undo(&self, how: Undo) -> Vec<Ended> {
        undo::of(&self.places, how, &Life::default()).unwrap().journals
    }

    fn journals(&self) -> usize {
        self.places.found().unwrap().len()
    }

    /// Puts a journal there that nobody of this process wrote.
    fn left(&self, text: &[u8]) {
        fs::create_dir_all(&self.places.journals).unwrap();
        fs::write(self.places.journals.join("77.journal"), text).unwrap();
    }
}

fn line(number: u32, name: &str, before: &str, wrote: &str) -> Line {
    let (path, at) = (format!("/proc/sys/{name}"), "2026-11-23T18:00:00Z".to_owned());
    Line::Change(Change { number, name: name.into(), path, before: before.into(), wrote: wrote.into(), at })
}

fn owner(boot: &str) -> Line {
    let (run, since) = ("out/x".to_owned(), "2026-11-23T18:00:00Z".to_owned());
    Line::Owner(Owner { version: VERSION, pid: 77, boot: boot.to_owned(), run, since })
}

fn text(lines: &[Line]) -> Vec<u8> {
    lines.iter().flat_map(|line| line.print().unwrap()).collect()
}

const DO: Undo = Undo { dry: false, force: false };
const LOOK: Undo = Undo { dry: true, force: false };
const FORCE: Undo = Undo { dry: false, force: true };

#[test]
fn a_change_is_written_down_before_and_undone_after() {
    let host = Host::new();
    let book = host.book().unwrap();
    let reading = book.change("net.ipv4.tcp_mem", "1 2 3").unwrap();
    assert_eq!((reading.asked.as_str(), reading.given.as_str()), ("1 2 3", "1 2 3"));
    book.change("fs.file-max", "5000").unwrap();
    assert_eq!(host.value("fs.file-max"), "5000");
    let journal = fs::read_to_string(&host.places.found().unwrap()[0]).unwrap();
    assert!(journal.contains(r#""before":"188319 251094 376638","wrote":"1 2 3""#), "{journal}");
    book.put_back().unwrap();
    assert!(host.is_as_it_was());
    let after = fs::read_to_string(&host.places.found().unwrap()[0]).unwrap();
    assert_eq!(after.lines().count(), 1, "it does not grow with the run: {after}");
    book.change("fs.file-max", "6000").unwrap();
    drop(book);
    assert!(host.is_as_it_was() && host.journals() == 0);
}

#[test]
fn what_stands_already_is_no_change() {
    let host = Host::new();
    let book = host.book().unwrap();
    assert_eq!(book.change("net.core.netdev_max_backlog", "1000").unwrap().given, "1000");
    assert_eq!(fs::read_to_string(&host.places.found().unwrap()[0]).unwrap().lines().count(), 1);
}

#[test]
fn an_error_on_the_way_and_a_panic_put_everything_back() {
    let host = Host::new();
    let panics = std::panic::catch_unwind(|| {
        let book = host.book().unwrap();
        book.change("fs.file-max", "5").unwrap();
        book.change("fs.file-max", "6").unwrap();
        panic!("in the middle");
    });
    assert!(panics.is_err() && host.is_as_it_was() && host.journals() == 0);
}

#[test]
fn only_settings_of_the_host_can_be_changed() {
    let host = Host::new();
    host.set("net.core.somaxconn", "4096");
    let book = host.book().unwrap();
    for name in ["net.core.somaxconn", "kernel.random.boot_id", "fs.nr_open", "fs/../kernel/random/boot_id", "fs"] {
        let error = book.change(name, "1").unwrap_err();
        assert!(matches!(error, JournalError::Absent { .. }), "{name}: {error}");
    }
    assert!(host.places.try_open("fs.file-max").is_ok() && host.places.try_open("fs.nr_open").is_err());
}

#[test]
fn one_at_a_time_changes_a_host() {
    let host = Host::new();
    let book = host.book().unwrap();
    book.change("fs.file-max", "5").unwrap();
    assert!(matches!(host.book(), Err(JournalError::Busy { .. })));
    // Nor is it put back under the feet of a run.
    assert!(matches!(undo::of(&host.places, DO, &Life::default()), Err(JournalError::Busy { .. })));
    assert_eq!(host.value("fs.file-max"), "5");
    drop(book);
    assert!(host.book().is_ok());
}

#[test]
fn after_a_kill_no_run_begins_until_the_host_is_restored() {
    let host = Host::new();
    host.left(&text(&[owner("boot-1"), line(1, "fs.file-max", "9223372036854775807", "5")]));
    host.set("fs.file-max", "5");
    let error = host.book().unwrap_err();
    assert!(matches!(&error, JournalError::Left { .. }) && error.hint() == "brimful restore", "{error}");
    assert_eq!(host.undo(LOOK)[0].changes[0].outcome, Outcome::WouldRestore);
    assert_eq!((host.value("fs.file-max").as_str(), host.journals()), ("5", 1), "a look changes nothing");
    let ended = host.undo(DO);
    assert!(ended[0].done && ended[0].changes[0].outcome == Outcome::Restored);
    assert!(host.is_as_it_was() && host.book().is_ok());
}

#[test]
fn what_somebody_else_changed_is_left_to_them() {
    let host = Host::new();
    let book = host.book().unwrap();
    book.change("fs.file-max", "5").unwrap();
    book.change("net.core.netdev_max_backlog", "7").unwrap();
    host.set("fs.file-max", "777");
    let error = book.put_back().unwrap_err();
    let said = error.to_string();
    assert!(said.contains("is 777 now") && said.contains("wrote 5 in place of 9223372036854775807"), "{said}");
    assert_eq!(host.value("net.core.netdev_max_backlog"), "1000", "the other one is put back all the same");
    drop(book);
    let ended = host.undo(DO);
    let left = &ended[0].changes[0];
    assert!(!ended[0].done && left.outcome == Outcome::Left, "{left:?}");
    assert!(left.why.as_ref().is_some_and(|why| why.contains("777")), "{left:?}");
    assert_eq!((host.value("fs.file-max").as_str(), host.journals()), ("777", 1));
    assert!(host.undo(FORCE)[0].done && host.is_as_it_was() && host.journals() == 0);
}

#[test]
fn nothing_of_an_earlier_boot_is_put_back() {
    let host = Host::new();
    host.left(&text(&[owner("boot-0"), line(1, "fs.file-max", "9", "9223372036854775807")]));
    let ended = host.undo(DO);
    assert!(ended[0].done && ended[0].changes[0].outcome == Outcome::EarlierBoot);
    assert!(host.is_as_it_was() && host.journals() == 0);
}

/// In words, the journal, what stands of fs.file-max before; what stands after, and whether all is done.
type Row = (&'static str, Vec<u8>, &'static str, &'static str, bool);

#[test]
fn broken_journals_are_undone_as_far_as_they_can_be() {
    let change = line(1, "fs.file-max", "9", "5");
    let (whole, one) = (text(&[owner("boot-1"), change.clone()]), text(std::slice::from_ref(&change)));
    let cut = |by: usize| whole[..whole.len() - by].to_vec();
    let table: [Row; 8] = [
        ("empty: killed before its first line", Vec::new(), "9", "9", true),
        ("torn in the owner", whole[..10].to_vec(), "9", "9", true),
        ("torn before the change was made", cut(7), "9", "9", true),
        ("whole but for its line break", cut(1), "9", "9", true),
        ("torn while it said what it had undone", [whole.clone(), b"{\"undo".to_vec()].concat(), "9", "9", true),
        ("torn, and not undone", [whole.clone(), b"{\"change\":{\"nu".to_vec()].concat(), "5", "9", true),
        ("a hole", [whole.clone(), b"{}\n".to_vec()].concat(), "5", "9", false),
        ("no owner", one, "5", "5", false),
    ];
    for (name, text, before, after, done) in table {
        let host = Host::new();
        host.set("fs.file-max", before);
        host.left(&text);
        let ended = host.undo(DO);
        let got = (host.value("fs.file-max"), ended[0].done, host.journals() == 0);
        assert_eq!(got, (after.to_owned(), done, done), "{name}: {ended:?}");
        assert!(host.undo(FORCE).iter().all(|ended| ended.done) && host.journals() == 0, "{name}");
    }
}

#[test]
fn on_a_full_disk_nothing_is_changed() {
    // The owner's line has fewer than 200 bytes, and so has each change.
    for bytes in 0..600 {
        let host = Host::new();
        let book = match Book::of(host.places.clone(), "out/x", Life::full_after(bytes)) {
            Ok(book) => book,
            Err(error) => {
                assert!(matches!(error, JournalError::File { .. }), "{error}");
                assert!(host.undo(DO).iter().all(|ended| ended.done), "{bytes}");
                continue;
            }
        };
        for (name, value) in [("fs.file-max", "5"), ("net.ipv4.tcp_mem", "1 2 3")] {
            match book.change(name, value) {
                Ok(_) => assert_eq!(host.value(name), value),
                Err(error) => {
                    assert!(matches!(error, JournalError::File { doing: "write", .. }), "{error}");
                    assert_ne!(host.value(name), value, "{bytes}: changed and not written down");
                }
            }
        }
        drop(book);
        assert!(host.is_as_it_was(), "{bytes}");
        host.undo(DO);
        assert_eq!(host.journals(), 0, "{bytes}");
    }
}

#[test]
fn a_value_that_the_kernel_refuses_leaves_what_was_before() {
    let host = Host::new();
    // Opens for writing, and takes no byte.
    let path = host.places.sysctls.join("fs/file-max");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let book = host.book().unwrap();
    assert!(matches!(book.change("fs.file-max", "5"), Err(JournalError::Sysctl(_))));
    book.put_back().unwrap();
    drop(book);
    assert_eq!(host.journals(), 0);
}

/// What a run does.
#[derive(Clone, Debug)]
enum Deed {
    Change(usize, u64),
    PutBack,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let change = (0..SETTINGS.len(), 1_u64..50).prop_map(|(which, value)| Deed::Change(which, value));
    prop::collection::vec(prop_oneof![4 => change, 1 => Just(Deed::PutBack)], 1..12)
}

fn do_all(host: &Host, deeds: &[Deed], life: &Life) {
    let Ok(book) = Book::of(host.places.clone(), "out/x", life.clone()) else { return };
    for deed in deeds {
        match deed {
            Deed::Change(which, value) => {
                let name = SETTINGS[*which].0;
                let value = if name.ends_with("mem") { format!("{value} 2 3") } else { value.to_string() };
                book.change(name, &value).ok();
            }
            Deed::PutBack => {
                book.put_back().ok();
            }
        }
    }
}

fn only_torn(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|entries| entries.flatten().all(|entry| entry.file_name() == "lock"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Killed at any byte of any write, and killed again while it is restored: the host is what it was in the end.
    #[test]
    fn any_changes_killed_anywhere_are_restored(deeds in deeds(), first in 0_usize..3_000, second in 0_usize..600) {
        let host = Host::new();
        do_all(&host, &deeds, &Life::mortal(first));
        undo::of(&host.places, DO, &Life::mortal(second)).ok();
        let ended = host.undo(DO);
        prop_assert!(ended.iter().all(|ended| ended.done && ended.holes.is_empty()), "{:?}", ended);
        prop_assert!(host.is_as_it_was(), "{:?}", ended);
        prop_assert!(only_torn(&host.places.journals));
        prop_assert!(host.folder.path().exists());
    }
}
