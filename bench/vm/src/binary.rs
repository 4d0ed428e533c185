//! The running binary, as the guest's first and only program: itself, and the loader and the libraries that it was linked with, where it was.

use std::fs;
use std::path::{Path, PathBuf};

use super::VmError;
use super::cpio::{Entry, What};

/// Where the binary is in the guest.
pub(super) const BINARY: &str = "brimful";

/// Where its libraries are in the guest. The loader looks there because `LD_LIBRARY_PATH` says so (`ld.so(8)`).
pub(super) const LIBRARIES: &str = "vm/lib";

/// The type of the segment that names the loader (`elf(5)`, `PT_INTERP`).
const PT_INTERP: u32 = 3;

/// The entries for this process's own program.
///
/// # Errors
/// When a file of it cannot be read.
pub(super) fn entries() -> Result<Vec<Entry>, VmError> {
    let program = read(Path::new("/proc/self/exe"))?;
    let mut entries = Vec::new();
    if let Some(loader) = loader(&program) {
        let own = fs::read_link("/proc/self/exe").unwrap_or_default();
        let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
        entries.extend(folders(&format!("{LIBRARIES}/x")));
        for library in mapped(&maps).into_iter().filter(|path| *path != own) {
            if let Some(name) = library.file_name() {
                entries.push(file(&format!("{LIBRARIES}/{}", name.to_string_lossy()), read(&library)?));
            }
        }
        let place = loader.trim_start_matches('/');
        entries.extend(folders(place));
        entries.push(file(place, read(Path::new(&loader))?));
    }
    entries.push(file(BINARY, program));
    Ok(entries)
}

/// The folders around a name, the outermost first.
pub(super) fn folders(name: &str) -> Vec<Entry> {
    let ends = name.match_indices('/').filter_map(|(at, _)| name.get(..at));
    ends.map(|name| Entry { name: name.to_owned(), permissions: 0o755, what: What::Folder }).collect()
}

fn file(name: &str, content: Vec<u8>) -> Entry {
    Entry { name: name.to_owned(), permissions: 0o755, what: What::File(content) }
}

fn read(path: &Path) -> Result<Vec<u8>, VmError> {
    fs::read(path).map_err(|source| VmError::File { doing: "read", path: path.to_path_buf(), source })
}

/// The files whose code is mapped into a process, from the text of `/proc/PID/maps` (`proc(5)`), each once.
fn mapped(maps: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for line in maps.lines() {
        let mut words = line.splitn(6, ' ');
        let executable = words.nth(1).is_some_and(|rights| rights.contains('x'));
        let path = words.nth(3).map(str::trim).filter(|path| path.starts_with('/'));
        if let Some(path) = path.filter(|_| executable).map(PathBuf::from)
            && !found.contains(&path)
        {
            found.push(path);
        }
    }
    found
}

/// The loader that a 64-bit little-endian ELF file names; `None` for a static one and for what is no such file.
fn loader(elf: &[u8]) -> Option<String> {
    let number = |at: usize, bytes: usize| -> Option<usize> {
        let field = elf.get(at..at.checked_add(bytes)?)?;
        field.iter().rev().try_fold(0_usize, |n, byte| n.checked_mul(256)?.checked_add(usize::from(*byte)))
    };
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    (0..count).find_map(|index| {
        let at = table.checked_add(index.checked_mul(size)?)?;
        if number(at, 4)? != usize::try_from(PT_INTERP).ok()? {
            return None;
        }
        let (from, length) = (number(at.checked_add(8)?, 8)?, number(at.checked_add(32)?, 8)?);
        let name = elf.get(from..from.checked_add(length)?)?;
        Some(String::from_utf8_lossy(name).trim_end_matches('\0').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_those_whose_code_is_mapped() {
        let maps = "55d0-55d9 r--p 00000000 fe:01 12 /opt/a b/brimful\n\
                    55d9-55e9 r-xp 00009000 fe:01 12 /opt/a b/brimful\n\
                    7f00-7f01 r-xp 00000000 fe:01 13                         /usr/lib/libc.so.6\n\
                    7f02-7f03 r-xp 00000000 fe:01 13                         /usr/lib/libc.so.6\n\
                    7f04-7f05 r--p 00000000 fe:01 14                         /usr/share/locale/x\n\
                    7ffd-7ffe r-xp 00000000 00:00 0                          [vdso]\n";
        assert_eq!(mapped(maps), [PathBuf::from("/opt/a b/brimful"), PathBuf::from("/usr/lib/libc.so.6")]);
    }

    #[test]
    fn the_loader_of_this_test_is_there() {
        let elf = fs::read("/proc/self/exe").unwrap();
        let named = loader(&elf).expect("tests are linked dynamically");
        assert!(Path::new(&named).exists(), "{named}");
        assert_eq!(loader(&elf[..60]), None);
        assert_eq!(loader(b"#!/bin/sh"), None);
    }

    #[test]
    fn folders_stand_before_what_is_in_them() {
        let names: Vec<String> = folders("a/b/c").into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["a", "a/b"]);
        assert!(folders("a").is_empty());
    }
}
