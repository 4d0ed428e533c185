//! The run directory: written beside and renamed, so that a reader never sees half a file; read back for a report.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use brimful_evidence::record::{RECORD_VERSION, Record};
use brimful_judge::gate::{GATE_VERSION, GateAnswer};
use brimful_judge::knee::KneeReport;
use brimful_judge::report::{Report, SCHEMA_VERSION};
use brimful_report::forms::{FormError, hlog, markdown};
use brimful_report::{html, knee};
use serde::Serialize;

/// A run folder that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("`{}` exists and is not empty", path.display())]
    NotEmpty { path: PathBuf },
    #[error("cannot {doing} `{}`", path.display())]
    File {
        /// `read`, `write` and the like.
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A saved record or report is not one.
    #[error("`{}` is not a record of this version of brimful", path.display())]
    NotARecord {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("`{}` is of version {version}; this brimful reads up to {newest}", path.display())]
    Later { path: PathBuf, version: u32, newest: u32 },
    #[error("cannot encode JSON")]
    Encode {
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Form(#[from] FormError),
}

impl StoreError {
    /// What to type instead, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotEmpty { .. } => Some("give another folder with --out, or add --force to write into this one"),
            Self::NotARecord { .. } => Some("give a folder that `brimful run` wrote"),
            Self::Later { .. } => Some("read it with the brimful that wrote it, or a later one"),
            Self::File { .. } | Self::Encode { .. } | Self::Form(_) => None,
        }
    }
}

/// A folder that a run writes into.
#[derive(Clone, Debug)]
pub struct RunDirectory(PathBuf);

impl RunDirectory {
    /// Makes the folder.
    ///
    /// # Errors
    /// When it exists and is not empty and `force` is off, or when it cannot be made.
    pub fn create(path: &Path, force: bool) -> Result<Self, StoreError> {
        let file = |doing, source| StoreError::File { doing, path: path.to_path_buf(), source };
        let taken = match fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(file("open the folder", error)),
        };
        if taken && !force {
            return Err(StoreError::NotEmpty { path: path.to_path_buf() });
        }
        fs::create_dir_all(path.join("cells")).map_err(|error| file("make the folder", error))?;
        Ok(Self(path.to_path_buf()))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A folder that a run has written.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        fs::read_dir(path).map_err(|source| StoreError::File { doing: "read", path: path.to_path_buf(), source })?;
        Ok(Self(path.to_path_buf()))
    }

    /// Saves a record and its histograms: `cells/ID/BLOCK.json` and `cells/ID/BLOCK.hlog`.
    ///
    /// # Errors
    /// When the disk is full or refuses.
    pub fn save_record(&self, record: &Record) -> Result<(), StoreError> {
        save(record, &self.0.join("cells").join(&record.cell.id), &record.block.to_string())
    }

    /// Saves what the commands of a cell wrote, by their shards: `cells/ID/BLOCK.target.log`, and `BLOCK.target-N.log` for further shards.
    ///
    /// # Errors
    /// When the disk is full or refuses.
    pub fn save_logs(&self, record: &Record, logs: &BTreeMap<u32, String>) -> Result<(), StoreError> {
        let folder = self.0.join("cells").join(&record.cell.id);
        for (shard, log) in logs {
            let number = if *shard == 0 { String::new() } else { format!("-{shard}") };
            write(&folder.join(format!("{}.target{number}.log", record.block)), log.as_bytes())?;
        }
        Ok(())
    }

    /// Saves the record of a try of a search and its histograms below `cells/ID/tries`, where no report of a run looks
    /// for the blocks of a cell. Returns the record's path from this folder.
    ///
    /// # Errors
    /// When the disk is full or refuses.
    pub fn save_try(&self, number: usize, name: &str, record: &Record) -> Result<String, StoreError> {
        let (folder, file) = (format!("cells/{}/tries", record.cell.id), format!("{number:02}-{name}"));
        save(record, &self.0.join(&folder), &file)?;
        Ok(format!("{folder}/{file}.json"))
    }

    /// Saves the knees found so far: `knee.json`, `knee.md` and the picture, `knee.svg`.
    ///
    /// # Errors
    /// When the disk is full or refuses.
    pub fn save_knees(&self, report: &KneeReport) -> Result<(), StoreError> {
        write_json(&self.0.join("knee.json"), report)?;
        write(&self.0.join("knee.md"), knee::markdown::render(report).as_bytes())?;
        write(&self.0.join("knee.svg"), knee::svg::render(report).as_bytes())
    }

    /// Saves a record that came to nothing and is to be repeated: `cells/ID/void/BLOCK-ATTEMPT.json` and `.hlog`. Whoever reads the
    /// records of a run does not look there.
    ///
    /// # Errors
    /// When the disk is full or refuses.
    pub fn save_void(&self, record: &Record) -> Result<(), StoreError> {
        let folder = self.0.join("cells").join(&record.cell.id).join("void");
        save(record, &folder, &format!("{}-{}", record.block, record.attempt))
    }

    /// Saves a report in every form that a run's folder has: `report.json`, `report.md` of a length that GitHub takes for a
    /// step's summary, and `report.html` with what can be drawn of the records. The one place that knows which these are.
    ///
    /// # Errors
    /// When the disk is full or refuses.
    pub fn save_report(&self, report: &Report, records: &[Record]) -> Result<(), StoreError> {
        write_json(&self.0.join("report.json"), report)?;
        let limit = markdown::Limit { bytes: markdown::SUMMARY_BYTES, whole: "report.json" };
        write(&self.0.join("report.md"), markdown::render(report, limit).as_bytes())?;
        write(&self.0.join("report.html"), html::from_records(report, records).as_bytes())
    }

    /// Saves what the A/A of this run came to: `aa.json`, which a gate reads before it takes the run for a baseline.
    ///
    /// # Errors
    /// When the disk is full or refuses.
    pub fn save_aa(&self, answer: &GateAnswer) -> Result<(), StoreError> {
        write_json(&self.0.join(AA), answer)
    }

    /// Adds a line, with the time (RFC 3339, UTC) before it, to `run.log`.
    ///
    /// # Errors
    /// When the disk is full or refuses.
    pub fn log(&self, line: &str) -> Result<(), StoreError> {
        let path = self.0.join("run.log");
        let append = || -> io::Result<()> {
            let mut file = fs::OpenOptions::new().create(true).append(true).open(&path)?;
            // In one piece: cells that run side by side write to one log.
            file.write_all(format!("{} {line}\n", jiff::Timestamp::now()).as_bytes())
        };
        append().map_err(|source| StoreError::File { doing: "write", path: path.clone(), source })
    }
}

fn save(record: &Record, folder: &Path, name: &str) -> Result<(), StoreError> {
    fs::create_dir_all(folder).map_err(|source| StoreError::File {
        doing: "make the folder",
        path: folder.to_path_buf(),
        source,
    })?;
    write_json(&folder.join(format!("{name}.json")), record)?;
    write(&folder.join(format!("{name}.hlog")), hlog::of_record(record)?.as_bytes())
}

/// A run that was saved: its folder, its report as it was judged then, and the records to judge again.
#[derive(Clone, Debug)]
pub struct Saved {
    /// Where it is.
    pub folder: PathBuf,
    /// `report.json`.
    pub report: Report,
    /// Every record that counts, in the order of cell ids.
    pub records: Vec<Record>,
}

/// Reads a run from its folder, or from the `report.json` in it.
///
/// # Errors
/// When it is not there, is broken, or is of a later version.
pub fn read_run(run: &Path) -> Result<Saved, StoreError> {
    let file = if run.is_dir() { run.join("report.json") } else { run.to_path_buf() };
    let report = read_report(&file, SCHEMA_VERSION)?;
    let folder = file.parent().unwrap_or(Path::new(".")).to_path_buf();
    let records = read_records(&folder)?;
    Ok(Saved { folder, report, records })
}

/// Reads `report.json`. `newest` is the highest schema version that can be read.
///
/// # Errors
/// When it is not there, is broken, or is of a later version.
pub fn read_report(path: &Path, newest: u32) -> Result<Report, StoreError> {
    #[derive(serde::Deserialize)]
    struct Version {
        schema_version: u32,
    }
    let version: Version = read_json(path)?;
    not_from_the_future(path, version.schema_version, newest)?;
    read_json(path)
}

/// The answer of a run's A/A, beside its `report.json`.
const AA: &str = "aa.json";

/// Reads the answer of the A/A in a run folder; `None` where none was made.
///
/// # Errors
/// When it is broken, or of a later version.
pub fn read_aa(run: &Path) -> Result<Option<GateAnswer>, StoreError> {
    #[derive(serde::Deserialize)]
    struct Version {
        gate_version: u32,
    }
    let path = run.join(AA);
    if !path.try_exists().map_err(|source| StoreError::File { doing: "read", path: path.clone(), source })? {
        return Ok(None);
    }
    let version: Version = read_json(&path)?;
    not_from_the_future(&path, version.gate_version, GATE_VERSION)?;
    read_json(&path).map(Some)
}

/// Adds text to a file, which is made where there is none.
///
/// # Errors
/// When the disk is full or refuses.
pub fn append(path: &Path, text: &str) -> Result<(), StoreError> {
    let file = fs::OpenOptions::new().create(true).append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| StoreError::File { doing: "write", path: path.to_path_buf(), source })
}

fn not_from_the_future(path: &Path, version: u32, newest: u32) -> Result<(), StoreError> {
    if version <= newest {
        return Ok(());
    }
    Err(StoreError::Later { path: path.to_path_buf(), version, newest })
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, StoreError> {
    let text = fs::read(path).map_err(|source| StoreError::File { doing: "read", path: path.to_path_buf(), source })?;
    serde_json::from_slice(&text).map_err(|source| StoreError::NotARecord { path: path.to_path_buf(), source })
}

/// Reads every record below a run folder, in the order of their paths.
///
/// # Errors
/// When the folder is none of a run, or a record is of a later version or broken.
pub fn read_records(run: &Path) -> Result<Vec<Record>, StoreError> {
    let mut records = Vec::new();
    for folder in entries(&run.join("cells"))? {
        for path in entries(&folder)?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "json")) {
            let version: Version = read_json(&path)?;
            not_from_the_future(&path, version.record_version, RECORD_VERSION)?;
            records.push(read_json(&path)?);
        }
    }
    Ok(records)
}

/// Only the version, so that a record from the future is told apart from a broken one.
#[derive(serde::Deserialize)]
struct Version {
    record_version: u32,
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let list = || -> io::Result<Vec<PathBuf>> {
        let mut paths: Vec<PathBuf> =
            fs::read_dir(folder)?.map(|entry| entry.map(|e| e.path())).collect::<io::Result<_>>()?;
        paths.sort();
        Ok(paths)
    };
    list().map_err(|source| StoreError::File { doing: "read", path: folder.to_path_buf(), source })
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), StoreError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|source| StoreError::Encode { source: source.into() })?;
    text.push(b'\n');
    write(path, &text)
}

/// Writes a file beside its place and renames it, so that whoever reads it sees all of it or the one before.
///
/// # Errors
/// When the folder is not there, or the disk is full or refuses.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let beside = || -> io::Result<()> {
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        // A temporary file is made for its owner alone; a report is for whoever may read the folder.
        use std::os::unix::fs::PermissionsExt as _;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
        file.persist(path)?;
        Ok(())
    };
    beside().map_err(|source| StoreError::File { doing: "write", path: path.to_path_buf(), source })
}

#[cfg(test)]
mod tests {
    use brimful_judge::compare::{Answer, Side};
    use brimful_judge::gate::ceilings_only;
    use brimful_plan::gate::{Gate, Metric};
    use brimful_testing::reports::{Made, cell, report};

    use super::*;

    #[test]
    fn an_aa_is_read_back_and_its_absence_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDirectory::create(&folder.path().join("run"), false).unwrap();
        assert!(read_aa(run.path()).unwrap().is_none());
        let made = report(vec![cell("base", &[Made { failed: 1, ..Made::default() }])]);
        let rules = Gate { ceiling: [(Metric::FailureRate, 0.0)].into(), ..Gate::default() };
        let answer = ceilings_only(&Side::run("run", &made), &rules).unwrap();
        run.save_aa(&answer).unwrap();
        let back = read_aa(run.path()).unwrap().unwrap();
        assert_eq!((back.answer, &back), (Answer::Fail, &answer));
    }
}
