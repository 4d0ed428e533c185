//! The archive that Linux takes as its first root (`Documentation/driver-api/early-userspace/buffer-format.rst`, the "newc" form), written and read. Pure.
//!
//! It is also the form in which a run comes back, so that one format does for both ways.

/// What stands before every entry.
const MAGIC: &[u8] = b"070701";

/// Bytes of a header: the magic and thirteen fields of eight hexadecimal digits.
const HEADER: usize = 110;

/// The name of the entry that ends an archive.
const TRAILER: &str = "TRAILER!!!";

/// The bits of a mode that say what an entry is (`stat(2)`, `S_IFMT`), and their values.
const FORMAT: u32 = 0o170_000;
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const CHARACTER: u32 = 0o020_000;

/// The longest name taken, in bytes, with its end (`PATH_MAX`).
const NAME_MOST: usize = 4_096;

/// One thing in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where, below the root and without a slash before it.
    pub(super) name: String,
    /// Its permissions, 0 to 0o7777.
    pub(super) permissions: u32,
    /// What it is.
    pub(super) what: What,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A folder.
    Folder,
    /// A file with its content.
    File(Vec<u8>),
    /// A character device.
    Device {
        /// Its driver.
        major: u32,
        /// Which of the driver's.
        minor: u32,
    },
}

/// Why bytes are no archive, or a thing cannot be put into one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CpioError {
    /// The bytes end in the middle of an entry, or before the one that ends an archive.
    #[error("the archive is cut off at byte {at}")]
    CutOff {
        /// Where.
        at: usize,
    },
    /// Something else than an entry.
    #[error("the archive is damaged at byte {at}: {what}")]
    Damaged {
        /// Where the entry begins.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A file that the form has no number for.
    #[error("`{name}` is too large for an archive: at most 4 GiB fit")]
    TooLarge {
        /// Which.
        name: String,
    },
    /// A name with a zero byte in it, too long, or that of the end.
    #[error("`{name}` cannot be a name in an archive")]
    Name {
        /// The name.
        name: String,
    },
}

/// Writes an archive. A folder must stand before what is in it, as Linux makes them in this order.
///
/// # Errors
/// For a file of 4 GiB or more, and for a name that is none.
pub(super) fn print(entries: &[Entry]) -> Result<Vec<u8>, CpioError> {
    let mut out = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let name = &entry.name;
        if name.is_empty() || name.contains('\0') || name.len() >= NAME_MOST || name == TRAILER {
            return Err(CpioError::Name { name: name.clone() });
        }
        let (format, content, device): (_, &[u8], _) = match &entry.what {
            What::Folder => (FOLDER, &[], (0, 0)),
            What::File(content) => (FILE, content, (0, 0)),
            What::Device { major, minor } => (CHARACTER, &[], (*major, *minor)),
        };
        let size = u32::try_from(content.len()).map_err(|_| CpioError::TooLarge { name: name.clone() })?;
        // Numbers of their own, so that no two entries look like two names of one file.
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        header(&mut out, [number, format | (entry.permissions & 0o7777), size, device.0, device.1], name);
        out.extend_from_slice(content);
        pad(&mut out);
    }
    header(&mut out, [0, 0, 0, 0, 0], TRAILER);
    Ok(out)
}

fn header(out: &mut Vec<u8>, [number, mode, size, major, minor]: [u32; 5], name: &str) {
    let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
    // Owner and group are root, and nothing has a time: the same content makes the same bytes.
    let fields = [number, mode, 0, 0, 1, 0, size, 0, 0, major, minor, name_size, 0];
    out.extend_from_slice(MAGIC);
    for field in fields {
        out.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    pad(out);
}

/// Names and contents begin at multiples of four.
fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

/// Reads an archive that [`print`] wrote.
///
/// # Errors
/// When the bytes are none, or end early.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Entry>, CpioError> {
    let mut entries = Vec::new();
    let mut at = 0;
    loop {
        let damaged = |what| CpioError::Damaged { at, what };
        let cut_off = || CpioError::CutOff { at: bytes.len() };
        let head = bytes.get(at..at + HEADER).ok_or_else(cut_off)?;
        if !head.starts_with(MAGIC) {
            return Err(damaged("no entry begins here"));
        }
        let field = |index: usize| {
            let digits = head.get(6 + 8 * index..14 + 8 * index).and_then(|digits| std::str::from_utf8(digits).ok());
            digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or(damaged("a field is no number"))
        };
        let (mode, size, name_size) = (field(1)?, field(6)? as usize, field(11)? as usize);
        if !(1..=NAME_MOST).contains(&name_size) {
            return Err(damaged("a name of no length that a name has"));
        }
        let name_end = at + HEADER + name_size;
        let name = bytes.get(at + HEADER..name_end).ok_or_else(cut_off)?;
        let name = name.strip_suffix(b"\0").ok_or(damaged("a name without its end"))?;
        let name = std::str::from_utf8(name).map_err(|_| damaged("a name that is no text"))?;
        if name == TRAILER {
            return Ok(entries);
        }
        let from = name_end.next_multiple_of(4);
        let to = from.checked_add(size).ok_or_else(cut_off)?;
        let content = bytes.get(from..to).ok_or_else(cut_off)?;
        let what = match mode & FORMAT {
            FOLDER => What::Folder,
            FILE => What::File(content.to_vec()),
            CHARACTER => What::Device { major: field(9)?, minor: field(10)? },
            _ => return Err(damaged("neither a file nor a folder nor a device")),
        };
        entries.push(Entry { name: name.to_owned(), permissions: mode & 0o7777, what });
        at = to.next_multiple_of(4);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    fn entry(name: &str, permissions: u32, what: What) -> Entry {
        Entry { name: name.to_owned(), permissions, what }
    }

    fn some() -> Vec<Entry> {
        vec![
            entry("dev", 0o755, What::Folder),
            entry("dev/console", 0o600, What::Device { major: 5, minor: 1 }),
            entry("brimful", 0o755, What::File(b"\x7fELF and more".to_vec())),
            entry("empty", 0o644, What::File(Vec::new())),
        ]
    }

    #[test]
    fn the_first_bytes_are_those_of_the_kernels_document() {
        let archive = print(&some()[..1]).unwrap();
        let head = "070701000000010000\
                    41ed000000000000000000000001000000000000000000000000000000000000000000000000\
                    0000000400000000dev\0";
        assert_eq!(String::from_utf8_lossy(&archive[..114]), head);
        assert_eq!(archive.len() % 4, 0);
    }

    /// What another program makes of it; without one there is nothing to hold it to.
    #[test]
    fn cpio_lists_what_was_written() {
        let spawned =
            Command::new("cpio").arg("-tv").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let Ok(mut child) = spawned else {
            writeln!(std::io::stderr(), "not here, because there is no cpio").unwrap();
            return;
        };
        child.stdin.take().unwrap().write_all(&print(&some()).unwrap()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let listed: Vec<(&str, &str)> =
            text.lines().map(|line| (&line[..10], line.rsplit(' ').next().unwrap())).collect();
        assert_eq!(
            listed,
            [("drwxr-xr-x", "dev"), ("crw-------", "dev/console"), ("-rwxr-xr-x", "brimful"), ("-rw-r--r--", "empty")]
        );
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        for name in ["", "a\0b", TRAILER, &"a".repeat(NAME_MOST)] {
            let refused = print(&[entry(name, 0, What::Folder)]);
            assert!(matches!(refused, Err(CpioError::Name { .. })), "{name:?}");
        }
    }

    #[test]
    fn damage_is_told_with_its_place() {
        let archive = print(&some()).unwrap();
        assert_eq!(parse(&archive[..archive.len() - 20]), Err(CpioError::CutOff { at: archive.len() - 20 }));
        assert_eq!(parse(&[]), Err(CpioError::CutOff { at: 0 }));
        let mut other = archive.clone();
        other[0] = b'1';
        assert_eq!(parse(&other), Err(CpioError::Damaged { at: 0, what: "no entry begins here" }));
        let mut other = archive;
        other[6] = b'x';
        other[14] = b'x';
        assert_eq!(parse(&other), Err(CpioError::Damaged { at: 0, what: "a field is no number" }));
    }

    fn whats() -> impl Strategy<Value = What> {
        prop_oneof![
            Just(What::Folder),
            proptest::collection::vec(any::<u8>(), 0..64).prop_map(What::File),
            (any::<u32>(), any::<u32>()).prop_map(|(major, minor)| What::Device { major, minor }),
        ]
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(entries in proptest::collection::vec(("[a-zé/.=,]{1,40}", 0..=0o7777u32, whats()), 0..8)) {
            let entries: Vec<Entry> = entries.into_iter().map(|(name, mode, what)| entry(&name, mode, what)).collect();
            prop_assert_eq!(parse(&print(&entries).unwrap()).unwrap(), entries);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..600) {
            prop_assert!(parse(&bytes).is_err());
            let mut archive = print(&some()).unwrap();
            let at = at % archive.len();
            archive.splice(at.., bytes);
            // Whatever comes of it, it is said and not a panic.
            let _either = parse(&archive);
        }
    }
}
