//! The journal of host changes: what stands in it, and what is to be done about a change that was found in one.
//!
//! It is JSON, one line for each thing that happened: first whose it is, then each change *before* it is made, then each change
//! that was undone. A line counts once its line break is there: whoever was killed while writing one had not yet done what it
//! says. So the last line may be torn, and that is harmless; any other line that cannot be read is a hole.

use brimful_plan::knob;
use serde::{Deserialize, Serialize};

/// The version of the form. A journal of another one is left alone.
pub const VERSION: u32 = 1;

/// The most bytes of a journal that are read. It holds what is changed at one time, some hundred bytes each.
pub const MOST_BYTES: usize = 1 << 20;

/// Whose journal it is: its first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// [`VERSION`] when it was written.
    pub version: u32,
    /// The process.
    pub pid: u32,
    /// The kernel's `random/boot_id`: no sysctl outlives a boot.
    pub boot: String,
    /// What was typed to begin it.
    pub run: String,
    /// When it began, RFC 3339.
    pub since: String,
}

/// One sysctl of the whole host, about to be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Counts from 1 within the journal.
    pub number: u32,
    /// The dotted name, without a prefix.
    pub name: String,
    /// Its file, for whoever has to mend a machine by hand.
    pub path: String,
    /// The value that stood there, white space folded.
    pub before: String,
    /// The value that is written, white space folded.
    pub wrote: String,
    /// When, RFC 3339.
    pub at: String,
}

/// A change that was undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undone {
    /// Which.
    pub number: u32,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// The first one.
    Owner(Owner),
    /// Before a change.
    Change(Change),
    /// After it was undone.
    Undone(Undone),
}

impl Line {
    /// The line with its break, as it is appended.
    ///
    /// # Errors
    /// Never for what is held here; the encoder's error is passed on.
    pub fn print(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }
}

/// A line that is whole and cannot be taken for what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hole {
    /// Counts from 1.
    pub line: usize,
    /// Why.
    pub why: String,
}

/// What a journal says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    /// Whose it is; `None` where not even that was written, or it cannot be read.
    pub owner: Option<Owner>,
    /// The changes that were not undone, in the order in which they were made.
    pub changes: Vec<Change>,
    /// Lines that cannot be read.
    pub holes: Vec<Hole>,
    /// Whether the last line broke off: its writer was killed, or the disk was full.
    pub torn: bool,
}

impl Journal {
    /// Reads a journal, whatever state it is in.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let mut this = Self::default();
        let mut lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
        // What follows the last break is a torn line, or nothing.
        this.torn = lines.pop().is_some_and(|rest| !rest.is_empty());
        for (line, text) in (1..).zip(lines) {
            if let Err(why) = serde_json::from_slice(text).map_err(|e| e.to_string()).and_then(|l| this.take(line, l)) {
                this.holes.push(Hole { line, why });
            }
        }
        this
    }

    fn take(&mut self, at: usize, line: Line) -> Result<(), String> {
        match line {
            Line::Owner(owner) if at == 1 && owner.version == VERSION => self.owner = Some(owner),
            Line::Owner(owner) if at == 1 => {
                return Err(format!("it is of version {}, and this brimful reads version {VERSION}", owner.version));
            }
            Line::Owner(_) => return Err("a second owner".to_owned()),
            Line::Change(change) => {
                if !knob::is_host_wide(&change.name) || knob::sysctl_path(&change.name).is_err() {
                    return Err(format!("`{}` is no setting of the host that brimful changes", change.name));
                }
                self.changes.push(change);
            }
            Line::Undone(undone) => {
                let at = self.changes.iter().position(|change| change.number == undone.number);
                let at = at.ok_or_else(|| format!("change {} was undone, and never made", undone.number))?;
                self.changes.remove(at);
            }
        }
        Ok(())
    }
}

/// What a change is found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The value that brimful wrote: the one before it is to be put back.
    Standing,
    /// The value from before stands already.
    Back,
    /// A third value: somebody else changed it since, and may have meant it.
    Other(String),
    /// Nobody can say which boot it was made in.
    WhichBoot,
    /// It was made before the machine was started again, and went with that.
    EarlierBoot,
    /// It cannot be read here: in a container, or without the module that it belongs to.
    Unread,
}

/// Compares a change with what stands `now`, white space folded, `None` where nothing can be read.
#[must_use]
pub fn compare(change: &Change, owner: Option<&Owner>, boot: &str, now: Option<&str>) -> Found {
    match (owner, now) {
        (Some(owner), _) if owner.boot != boot => Found::EarlierBoot,
        (_, None) => Found::Unread,
        (_, Some(now)) if now == change.before => Found::Back,
        (None, _) => Found::WhichBoot,
        (_, Some(now)) if now == change.wrote => Found::Standing,
        (_, Some(now)) => Found::Other(now.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn owner() -> Owner {
        let text = |text: &str| text.to_owned();
        Owner { version: VERSION, pid: 7, boot: text("b1"), run: text("out/x"), since: text("2026-11-23T18:00:00Z") }
    }

    fn change(number: u32, name: &str, before: &str, wrote: &str) -> Change {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        let (name, before, wrote) = (name.to_owned(), before.to_owned(), wrote.to_owned());
        Change { number, name, path, before, wrote, at: "2026-11-23T18:00:01Z".to_owned() }
    }

    fn printed(lines: &[Line]) -> Vec<u8> {
        lines.iter().flat_map(|line| line.print().unwrap()).collect()
    }

    fn whole() -> Vec<u8> {
        printed(&[
            Line::Owner(owner()),
            Line::Change(change(1, "fs.file-max", "9", "5")),
            Line::Change(change(2, "net.ipv4.tcp_mem", "1 2 3", "4 5 6")),
            Line::Undone(Undone { number: 2 }),
        ])
    }

    #[test]
    fn what_was_undone_is_no_longer_a_change() {
        let journal = Journal::parse(&whole());
        assert_eq!(journal.owner, Some(owner()));
        assert_eq!(journal.changes, [change(1, "fs.file-max", "9", "5")]);
        assert!(journal.holes.is_empty() && !journal.torn);
    }

    #[test]
    fn a_line_reads_as_it_will_for_years() {
        let text = String::from_utf8(whole()).unwrap();
        let mut lines = text.lines();
        assert_eq!(
            lines.next().unwrap(),
            r#"{"owner":{"version":1,"pid":7,"boot":"b1","run":"out/x","since":"2026-11-23T18:00:00Z"}}"#
        );
        assert_eq!(
            lines.next().unwrap(),
            r#"{"change":{"number":1,"name":"fs.file-max","path":"/proc/sys/fs/file-max","before":"9","wrote":"5","at":"2026-11-23T18:00:01Z"}}"#
        );
        assert_eq!(lines.next_back().unwrap(), r#"{"undone":{"number":2}}"#);
    }

    /// Name in words, text, how many changes, how many holes, whether it is torn, whether there is an owner.
    type Row = (&'static str, Vec<u8>, usize, usize, bool, bool);

    #[test]
    fn broken_journals_are_read_as_far_as_they_go() {
        let owned = printed(&[Line::Owner(owner())]);
        let one = printed(&[Line::Change(change(1, "fs.file-max", "9", "5"))]);
        let with = |more: &[u8]| [owned.as_slice(), more].concat();
        let table: [Row; 13] = [
            ("nothing", Vec::new(), 0, 0, false, false),
            ("killed in the first line", owned[..20].to_vec(), 0, 0, true, false),
            ("only an owner", owned.clone(), 0, 0, false, true),
            ("killed in the first change", with(&one[..30]), 0, 0, true, true),
            ("killed before its line break", with(&one[..one.len() - 1]), 0, 0, true, true),
            (
                "killed while it said that it was undone",
                with(&[one.as_slice(), b"{\"undone\":"].concat()),
                1,
                0,
                true,
                true,
            ),
            ("a hole between", with(&[b"{\"cha\n".as_slice(), &one].concat()), 1, 1, false, true),
            ("bytes that are no text", with(&[0xff, 0, b'\n']), 0, 1, false, true),
            (
                "a key that this version does not know",
                with(b"{\"undone\":{\"number\":1,\"why\":2}}\n"),
                0,
                1,
                false,
                true,
            ),
            ("undone, and never made", with(b"{\"undone\":{\"number\":3}}\n"), 0, 1, false, true),
            ("two owners", with(&owned), 0, 1, false, true),
            ("no owner", one.clone(), 1, 0, false, false),
            ("another version", printed(&[Line::Owner(Owner { version: 2, ..owner() })]), 0, 1, false, false),
        ];
        for (name, text, changes, holes, torn, owner) in table {
            let read = Journal::parse(&text);
            let got = (read.changes.len(), read.holes.len(), read.torn, read.owner.is_some());
            assert_eq!(got, (changes, holes, torn, owner), "{name}: {read:?}");
        }
    }

    #[test]
    fn a_journal_cannot_name_what_brimful_would_not_change() {
        for name in ["kernel.core_pattern", "net.core.somaxconn", "../../etc/passwd", "fs/../kernel/core_pattern", ""] {
            let text = printed(&[Line::Owner(owner()), Line::Change(change(1, name, "9", "5"))]);
            let read = Journal::parse(&text);
            assert_eq!((read.changes.len(), read.holes.len()), (0, 1), "{name}");
        }
    }

    #[test]
    fn only_what_brimful_wrote_in_this_boot_is_put_back() {
        let change = change(1, "fs.file-max", "9", "5");
        let mine = owner();
        for (owner, boot, now, found) in [
            (Some(&mine), "b1", Some("5"), Found::Standing),
            (Some(&mine), "b1", Some("9"), Found::Back),
            (Some(&mine), "b1", Some("6"), Found::Other("6".to_owned())),
            (Some(&mine), "b1", None, Found::Unread),
            (Some(&mine), "b2", Some("5"), Found::EarlierBoot),
            (Some(&mine), "b2", None, Found::EarlierBoot),
            (None, "b1", Some("5"), Found::WhichBoot),
            (None, "b1", Some("9"), Found::Back),
        ] {
            assert_eq!(compare(&change, owner, boot, now), found, "{boot} {now:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let read = Journal::parse(&bytes);
            prop_assert!(read.changes.is_empty() && read.owner.is_none(), "chance is no journal: {read:?}");
        }

        #[test]
        fn any_part_of_a_journal_has_no_hole(cut in 0_usize..600) {
            let text = whole();
            let read = Journal::parse(&text[..cut.min(text.len())]);
            prop_assert!(read.holes.is_empty(), "{read:?}");
        }
    }
}
