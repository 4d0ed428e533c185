//! The run directory: written beside and renamed, so that a reader never sees half a file; read back for a report.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use brimful_loadgen::latency::Latency;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use serde::Serialize;

use crate::error::Error;
use crate::evidence::record::{RECORD_VERSION, Record};
use crate::judge::report::Report;

/// A folder that a run writes into.
#[derive(Clone, Debug)]
pub struct RunDirectory(PathBuf);

impl RunDirectory {
    /// Makes the folder.
    ///
    /// # Errors
    /// When it exists and is not empty and `force` is off, or when it cannot be made.
    pub fn create(path: &Path, force: bool) -> Result<Self, Error> {
        let file = |doing, source| Error::File { doing, path: path.to_path_buf(), source };
        let taken = match fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(file("open the folder", error)),
        };
        if taken && !force {
            return Err(Error::Usage {
                what: format!("`{}` exists and is not empty", path.display()),
                hint: "give another folder with --out, or add --force to write into this one".to_owned(),
            });
        }
        fs::create_dir_all(path.join("cells")).map_err(|error| file("make the folder", error))?;
        Ok(Self(path.to_path_buf()))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Saves a record and its histograms: `cells/ID/BLOCK.json` and `cells/ID/BLOCK.hlog`.
    ///
    /// # Errors
    /// When the disk is full or refuses.
    pub fn save_record(&self, record: &Record) -> Result<(), Error> {
        let folder = self.0.join("cells").join(&record.cell.id);
        fs::create_dir_all(&folder).map_err(|source| Error::File {
            doing: "make the folder",
            path: folder.clone(),
            source,
        })?;
        write_json(&folder.join(format!("{}.json", record.block)), record)?;
        let log = interval_log(record).map_err(|source| Error::Machine { doing: "encode a histogram", source })?;
        write(&folder.join(format!("{}.hlog", record.block)), &log)
    }

    /// Saves `report.json`.
    ///
    /// # Errors
    /// When the disk is full or refuses.
    pub fn save_report<T: Serialize>(&self, report: &T) -> Result<(), Error> {
        write_json(&self.0.join("report.json"), report)
    }

    /// Saves `report.html`.
    ///
    /// # Errors
    /// When the disk is full or refuses.
    pub fn save_html(&self, page: &str) -> Result<(), Error> {
        write(&self.0.join("report.html"), page.as_bytes())
    }

    /// Adds a line, with the time (RFC 3339, UTC) before it, to `run.log`.
    ///
    /// # Errors
    /// When the disk is full or refuses.
    pub fn log(&self, line: &str) -> Result<(), Error> {
        let path = self.0.join("run.log");
        let append = || -> io::Result<()> {
            let mut file = fs::OpenOptions::new().create(true).append(true).open(&path)?;
            writeln!(file, "{} {line}", jiff::Timestamp::now())
        };
        append().map_err(|source| Error::File { doing: "write", path: path.clone(), source })
    }
}

/// Reads `report.json`. `newest` is the highest schema version that can be read.
///
/// # Errors
/// When it is not there, is broken, or is of a later version.
pub fn read_report(path: &Path, newest: u32) -> Result<Report, Error> {
    #[derive(serde::Deserialize)]
    struct Version {
        schema_version: u32,
    }
    let version: Version = read_json(path)?;
    not_from_the_future(path, version.schema_version, newest)?;
    read_json(path)
}

fn not_from_the_future(path: &Path, version: u32, newest: u32) -> Result<(), Error> {
    if version <= newest {
        return Ok(());
    }
    Err(Error::Usage {
        what: format!("`{}` is of version {version}; this brimful reads up to {newest}", path.display()),
        hint: "read it with the brimful that wrote it, or a later one".to_owned(),
    })
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = fs::read(path).map_err(|source| Error::File { doing: "read", path: path.to_path_buf(), source })?;
    serde_json::from_slice(&text).map_err(|source| Error::NotARecord { path: path.to_path_buf(), source })
}

/// Reads every record below a run folder, in the order of their paths.
///
/// # Errors
/// When the folder is none of a run, or a record is of a later version or broken.
pub fn read_records(run: &Path) -> Result<Vec<Record>, Error> {
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

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let list = || -> io::Result<Vec<PathBuf>> {
        let mut paths: Vec<PathBuf> =
            fs::read_dir(folder)?.map(|entry| entry.map(|e| e.path())).collect::<io::Result<_>>()?;
        paths.sort();
        Ok(paths)
    };
    list().map_err(|source| Error::File { doing: "read", path: folder.to_path_buf(), source })
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::Machine { doing: "encode JSON", source: error.into() })?;
    text.push(b'\n');
    write(path, &text)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let beside = || -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        // A temporary file is made for its owner alone; a report is for whoever may read the folder.
        use std::os::unix::fs::PermissionsExt as _;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
        file.persist(path)?;
        Ok(())
    };
    beside().map_err(|source| Error::File { doing: "write", path: path.to_path_buf(), source })
}

/// The histograms of a record as an HdrHistogram V2 interval log (nanoseconds, one interval over the whole cell):
/// `probe` holds answered probes, `probe-failed` the failed ones at their deadline, `connect` and `lag` the load's.
fn interval_log(record: &Record) -> io::Result<Vec<u8>> {
    let deadline = u64::try_from(record.probe.plan.timeout.as_nanos()).unwrap_or(u64::MAX);
    let (mut passed, mut failed) = (Latency::new(), Latency::new());
    for sample in &record.probe.samples {
        if sample.outcome.passed() { passed.record(sample.latency_ns()) } else { failed.record(deadline) }
    }
    let outcome = &record.load.outcome;
    let all =
        [("probe", &passed), ("probe-failed", &failed), ("connect", &outcome.connect_latency), ("lag", &outcome.lag)];
    let duration = std::time::Duration::from_nanos(record.duration_ns);
    let mut text = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment(&format!(
            "brimful {}: {} {} block {}",
            record.tool_version, record.scenario, record.cell.id, record.block
        ))
        .begin_log_with(&mut text, &mut serializer)?;
    for (tag, latency) in all {
        log.write_histogram(latency.histogram(), std::time::Duration::ZERO, duration, Tag::new(tag))
            .map_err(io::Error::other)?;
    }
    Ok(text)
}
