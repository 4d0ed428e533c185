//! What was left by runs that were killed, put back.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use brimful_evidence::journal::{Change, Found, Hole, Journal, Line, MOST_BYTES, Owner, Undone, compare};
use brimful_plan::knob::sysctl_path;
use serde::Serialize;

use super::hands::{Pen, Setting};
use super::{JournalError, Lock, Places, book, file};

/// How to go about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Undo {
    /// Only look.
    pub dry: bool,
    /// Put the value from before back whatever stands now, and drop journals that cannot be read whole.
    pub force: bool,
}

/// What became of a change, or would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The value from before stands again.
    Restored,
    /// It would, were this more than a look.
    WouldRestore,
    /// It stood already.
    AlreadyBack,
    /// The change was made before the machine was started again, and went with that.
    EarlierBoot,
    /// It stands as it was found.
    Left,
}

/// A change, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Settled {
    /// As it was journalled.
    pub change: Change,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it was left; `null` where it was not.
    pub why: Option<String>,
}

/// One journal, and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Ended {
    /// Its file.
    pub journal: PathBuf,
    /// Whose it was; `null` where that cannot be read.
    pub owner: Option<Owner>,
    /// Its changes, the last one first, as they were undone.
    pub changes: Vec<Settled>,
    /// Lines that cannot be read.
    pub holes: Vec<Hole>,
    /// Whether its last line broke off, which is harmless.
    pub torn: bool,
    /// Whether nothing is left of it to do; the file is gone then, but after a mere look.
    pub done: bool,
}

/// What was found and done.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Account {
    /// Every journal.
    pub journals: Vec<Ended>,
}

impl Account {
    /// Whether a journal is left with something to do.
    #[must_use]
    pub fn done(&self) -> bool {
        self.journals.iter().all(|journal| journal.done)
    }
}

/// Undoes what stands in the journals of runs that are no more, and removes those of which nothing is left.
///
/// # Errors
/// When a run is at work, or a journal cannot be read or removed. What cannot be put back is no error here: it is in the account.
pub fn undo(places: &Places, how: Undo) -> Result<Account, JournalError> {
    of(
        places,
        how,
        #[cfg(test)]
        &super::tests::Life::default(),
    )
}

pub(super) fn of(places: &Places, how: Undo, #[cfg(test)] life: &super::tests::Life) -> Result<Account, JournalError> {
    let found = places.found()?;
    if found.is_empty() {
        return Ok(Account::default());
    }
    let _lock = Lock::take(places)?;
    let boot = places.boot()?;
    let mut account = Account::default();
    // Again, because a run that ended meanwhile has taken its own away.
    for journal in places.found()? {
        let one = One {
            places,
            journal: &journal,
            boot: &boot,
            how,
            #[cfg(test)]
            life,
        };
        account.journals.push(one.undo()?);
    }
    Ok(account)
}

struct One<'a> {
    places: &'a Places,
    journal: &'a Path,
    boot: &'a str,
    how: Undo,
    #[cfg(test)]
    life: &'a super::tests::Life,
}

impl One<'_> {
    fn undo(&self) -> Result<Ended, JournalError> {
        let bytes = read(self.journal)?;
        let Journal { owner, mut changes, mut holes, torn } = Journal::parse(&bytes);
        if bytes.len() >= MOST_BYTES {
            holes.push(Hole { line: 0, why: format!("it has {MOST_BYTES} bytes or more, and no more are read") });
        }
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last as u64 + 1);
        let mut pen = Pen::resume(
            self.journal,
            whole,
            #[cfg(test)]
            self.life.clone(),
        )?;
        changes.reverse();
        let mut undone = Vec::with_capacity(changes.len());
        for change in changes {
            let (outcome, why) = match self.one(owner.as_ref(), &change) {
                Ok(outcome) => (outcome, None),
                Err(why) => (Outcome::Left, Some(why)),
            };
            if !self.how.dry && outcome != Outcome::Left {
                pen.append(&Line::Undone(Undone { number: change.number }))?;
            }
            undone.push(Settled { change, outcome, why });
        }
        let left = undone.iter().any(|settled| settled.outcome == Outcome::Left);
        let done = !left && (holes.is_empty() || self.how.force);
        if done && !self.how.dry {
            pen.remove()?;
        }
        Ok(Ended { journal: self.journal.to_path_buf(), owner, changes: undone, holes, torn, done })
    }

    /// Undoes one change, or says why not.
    fn one(&self, owner: Option<&Owner>, change: &Change) -> Result<Outcome, String> {
        // An earlier boot's needs no look at what there is now.
        if compare(change, owner, self.boot, None) == Found::EarlierBoot {
            return Ok(Outcome::EarlierBoot);
        }
        let path = self.places.sysctls.join(sysctl_path(&change.name).map_err(|error| error.to_string())?);
        if self.how.dry {
            let now = crate::sysctl::read(&path).ok();
            return self.would(change, compare(change, owner, self.boot, now.as_deref()));
        }
        let setting = Setting::open(
            path.clone(),
            #[cfg(test)]
            self.life.clone(),
        )
        .map_err(|error| {
            format!("`{}` should be {}, and cannot be written here: {error}", change.name, change.before)
        })?;
        match book::put_back(change, &setting, owner, self.boot, self.how.force) {
            Ok(Found::Back) => Ok(Outcome::AlreadyBack),
            Ok(_) => Ok(Outcome::Restored),
            Err(stuck) => Err(stuck.why()),
        }
    }

    fn would(&self, change: &Change, found: Found) -> Result<Outcome, String> {
        match found {
            Found::Back => Ok(Outcome::AlreadyBack),
            Found::EarlierBoot => Ok(Outcome::EarlierBoot),
            Found::Standing => Ok(Outcome::WouldRestore),
            Found::Other(_) | Found::WhichBoot if self.how.force => Ok(Outcome::WouldRestore),
            found => Err(super::Stuck { change: change.clone(), found, errno: None }.why()),
        }
    }
}

fn read(journal: &Path) -> Result<Vec<u8>, JournalError> {
    let mut bytes = Vec::new();
    let most = MOST_BYTES as u64;
    File::open(journal).and_then(|from| from.take(most).read_to_end(&mut bytes)).map_err(file("read", journal))?;
    Ok(bytes)
}
