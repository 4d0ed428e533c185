//! The run that a guest sent, written into its folder and nowhere else.

use std::fs;
use std::path::{Component, Path};

use super::VmError;
use super::cpio::{Entry, What};

/// Writes the files. A name that leads out of the folder is refused before anything is written.
///
/// # Errors
/// For such a name, for what is neither file nor folder, and when the disk refuses.
pub(super) fn into(folder: &Path, entries: Vec<Entry>) -> Result<(), VmError> {
    if let Some(entry) = entries.iter().find(|entry| !fits(entry)) {
        return Err(VmError::Place { name: entry.name.clone() });
    }
    for entry in entries {
        let path = folder.join(&entry.name);
        let written = match &entry.what {
            What::File(content) => fs::write(&path, content),
            What::Folder | What::Device { .. } => fs::create_dir_all(&path),
        };
        written.map_err(|source| VmError::File { doing: "write", path, source })?;
    }
    Ok(())
}

fn fits(entry: &Entry) -> bool {
    let inside = Path::new(&entry.name).components().all(|part| matches!(part, Component::Normal(_)));
    inside && !entry.name.is_empty() && !matches!(entry.what, What::Device { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, what: What) -> Entry {
        Entry { name: name.to_owned(), permissions: 0o644, what }
    }

    #[test]
    fn nothing_is_written_outside_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let good = || entry("report.json", What::File(b"{}".to_vec()));
        let device = What::Device { major: 1, minor: 3 };
        for bad in [
            entry("/etc/x", What::Folder),
            entry("cells/../../x", What::Folder),
            entry("", What::Folder),
            entry("null", device),
        ] {
            assert!(matches!(into(folder.path(), vec![good(), bad]), Err(VmError::Place { .. })));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn files_are_where_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let entries = vec![entry("cells", What::Folder), entry("cells/0.json", What::File(b"{}".to_vec()))];
        into(folder.path(), entries).unwrap();
        assert_eq!(fs::read(folder.path().join("cells/0.json")).unwrap(), b"{}");
    }
}
