//! What the user named, found: a file, a folder of files, or a built-in scenario.

use std::fs;
use std::path::{Path, PathBuf};

use brimful_plan::catalogue;
use brimful_plan::scenario::{HostWide, Scenario};

use crate::error::Error;

/// A scenario that was named on the command line.
#[derive(Debug)]
pub(super) struct Source {
    /// How the user would name it again.
    pub(super) typed: String,
    /// Parsed.
    pub(super) scenario: Scenario,
}

/// Finds and parses everything that was named; nothing is run unless all of it is good.
pub(super) fn find(typed: &[String]) -> Result<Vec<Source>, Error> {
    find_with(typed, HostWide::Refused)
}

/// The same where somebody has said whether the machine itself may be changed.
pub(super) fn find_with(typed: &[String], host_wide: HostWide) -> Result<Vec<Source>, Error> {
    let mut found = Vec::new();
    for word in typed {
        let path = Path::new(word);
        if path.is_dir() {
            for file in files_in(path)? {
                found.push(from_file(&file, host_wide)?);
            }
        } else if path.exists() || path.extension().is_some() || word.contains('/') {
            found.push(from_file(path, host_wide)?);
        } else {
            found.push(embedded(word, host_wide)?);
        }
    }
    Ok(found)
}

/// The one scenario that a word names; a folder of several is refused.
#[cfg(feature = "k8s")]
pub(super) fn find_one(typed: &str) -> Result<Source, Error> {
    let mut found = find(&[typed.to_owned()])?;
    match (found.pop(), found.len()) {
        (Some(source), 0) => Ok(source),
        _ => Err(Error::Usage {
            what: format!("`{typed}` has several scenarios, and one is wanted"),
            hint: "name the file".to_owned(),
        }),
    }
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let unread = |source| Error::File { doing: "read", path: folder.to_path_buf(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Error::Usage {
            what: format!("there is no scenario (*.toml) in `{}`", folder.display()),
            hint: "brimful scenarios new > my.toml".to_owned(),
        });
    }
    Ok(files)
}

fn from_file(path: &Path, host_wide: HostWide) -> Result<Source, Error> {
    let text =
        fs::read_to_string(path).map_err(|source| Error::File { doing: "read", path: path.to_path_buf(), source })?;
    let typed = path.display().to_string();
    Ok(Source { scenario: Scenario::parse_with(&typed, &text, host_wide).map_err(Box::new)?, typed })
}

fn embedded(name: &str, host_wide: HostWide) -> Result<Source, Error> {
    let text = text_of(name)?;
    let scenario = Scenario::parse_with(&format!("{name}.toml"), text, host_wide).map_err(Box::new)?;
    Ok(Source { typed: name.to_owned(), scenario })
}

/// The text of a built-in scenario.
pub(super) fn text_of(name: &str) -> Result<&'static str, Error> {
    catalogue::find(name).map(|embedded| embedded.text).ok_or_else(|| Error::Usage {
        what: format!("there is no file and no built-in scenario `{name}`"),
        hint: match catalogue::nearest(name) {
            Some(near) => format!("did you mean `{near}`? `brimful scenarios` lists them all"),
            None => "`brimful scenarios` lists them all".to_owned(),
        },
    })
}
