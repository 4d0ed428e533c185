//! The journal of a run that is at work: each change is written down, then made; at the end of a cell all are undone.

use std::sync::{Mutex, MutexGuard, PoisonError};

use brimful_evidence::journal::{Change, Found, Line, Owner, Undone, VERSION, compare};
use brimful_target::errno;

use super::hands::{Pen, Setting};
use super::{ENDING, JournalError, Lock, Places, Stuck, now};
use crate::sysctl::{self, Reading, SysctlError, fold};

/// The journal of this process. Dropped, it undoes what is left to undo, and is removed when there is nothing left.
#[derive(Debug)]
pub struct Book {
    places: Places,
    owner: Owner,
    open: Mutex<Open>,
    /// Last, so that it is let go last.
    _lock: Lock,
    #[cfg(test)]
    life: super::tests::Life,
}

#[derive(Debug)]
struct Open {
    /// `None` once it was removed.
    pen: Option<Pen>,
    /// The end of the owner's line.
    first: u64,
    number: u32,
    /// In the order in which they were made.
    made: Vec<(Change, Setting)>,
}

impl Book {
    /// Begins a journal for a run, named by what was typed.
    ///
    /// # Errors
    /// When another process changes the host or puts it back, when an earlier run was killed before it had done so, and when no
    /// journal can be written.
    pub fn begin(places: Places, run: &str) -> Result<Self, JournalError> {
        Self::of(
            places,
            run,
            #[cfg(test)]
            super::tests::Life::default(),
        )
    }

    pub(super) fn of(places: Places, run: &str, #[cfg(test)] life: super::tests::Life) -> Result<Self, JournalError> {
        let lock = Lock::take(&places)?;
        if let Some(journal) = places.found()?.into_iter().next() {
            return Err(JournalError::Left { journal });
        }
        let (pid, run) = (std::process::id(), run.to_owned());
        let owner = Owner { version: VERSION, pid, boot: places.boot()?, run, since: now() };
        let path = places.journals.join(format!("{pid}.{ENDING}"));
        let mut pen = Pen::begin(
            &path,
            #[cfg(test)]
            life.clone(),
        )?;
        if let Err(error) = pen.append(&Line::Owner(owner.clone())) {
            // Or the next run would take it for that of one that was killed.
            pen.remove().ok();
            return Err(error);
        }
        let open = Open { first: pen.whole(), pen: Some(pen), number: 0, made: Vec::new() };
        Ok(Self {
            places,
            owner,
            open: Mutex::new(open),
            _lock: lock,
            #[cfg(test)]
            life,
        })
    }

    fn setting(&self, name: &str) -> Result<Setting, JournalError> {
        Setting::open(
            self.places.file_of(name)?,
            #[cfg(test)]
            self.life.clone(),
        )
        .map_err(|error| JournalError::closed(name, &error))
    }

    /// Writes a change of a sysctl, by its dotted name, into the journal; makes it; reads it back.
    ///
    /// # Errors
    /// When it cannot be written down (then it is not made), and when it does not take (then what was before stands).
    pub fn change(&self, name: &str, value: &str) -> Result<Reading, JournalError> {
        let setting = self.setting(name)?;
        let class = |error: &std::io::Error| sysctl::class(setting.path(), name, value, error);
        let asked = fold(value);
        let mut open = self.open();
        let before = setting.value().map_err(|error| JournalError::closed(name, &error))?;
        let reading = |given: String| Reading { name: name.to_owned(), asked: value.to_owned(), given };
        if before == asked {
            return Ok(reading(before));
        }
        let number = open.number + 1;
        let change = Change {
            number,
            name: name.to_owned(),
            path: setting.path().display().to_string(),
            before,
            wrote: asked.clone(),
            at: now(),
        };
        let Some(pen) = open.pen.as_mut() else {
            return Err(JournalError::Over);
        };
        pen.append(&Line::Change(change.clone()))?;
        open.number = number;
        let (wrote, given) = (setting.set(&asked), setting.value());
        let refused = match (wrote, given) {
            (Ok(()), Ok(given)) if given == asked => {
                open.made.push((change, setting));
                return Ok(reading(given));
            }
            (Err(error), _) | (Ok(()), Err(error)) => class(&error),
            (Ok(()), Ok(given)) => SysctlError::DidNotTake { name: name.to_owned(), asked: value.to_owned(), given },
        };
        // Whatever the kernel made of it is brimful's doing, a moment ago.
        let is_back = || setting.value().is_ok_and(|now| now == change.before);
        if is_back() || setting.set(&change.before).is_ok() && is_back() {
            open.undone(&change)?;
        } else {
            open.made.push((change, setting));
        }
        Err(refused.into())
    }

    /// Undoes what is left, and removes the journal when that is everything. From then on nothing can be changed.
    ///
    /// # Errors
    /// As [`Book::put_back`]; the journal stays then, for `brimful restore`.
    pub fn end(&self) -> Result<(), JournalError> {
        let mut open = self.open();
        self.put_back_in(&mut open)?;
        open.pen.take().map_or(Ok(()), Pen::remove)
    }

    /// Undoes every change that still stands, the last one first, and says so in the journal. Does nothing the second time.
    ///
    /// # Errors
    /// When something else stands there than brimful wrote, or a write fails. Those changes stay in the journal, and are tried
    /// again the next time.
    pub fn put_back(&self) -> Result<(), JournalError> {
        self.put_back_in(&mut self.open())
    }

    fn put_back_in(&self, open: &mut Open) -> Result<(), JournalError> {
        let (mut stuck, mut kept, mut unsaid) = (Vec::new(), Vec::new(), None);
        while let Some((change, setting)) = open.made.pop() {
            match put_back(&change, &setting, Some(&self.owner), &self.owner.boot, false) {
                // What the journal does not say is seen from the value: it is no reason to stop.
                Ok(_) => unsaid = open.undone(&change).err().or(unsaid),
                Err(why) => {
                    stuck.push(*why);
                    kept.push((change, setting));
                }
            }
        }
        kept.reverse();
        open.made = kept;
        match (stuck.is_empty(), unsaid) {
            (false, _) => Err(JournalError::NotBack(stuck)),
            (true, Some(error)) => Err(error),
            (true, None) => open.settle(),
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // What a panic left is still what has to be undone.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn undone(&mut self, change: &Change) -> Result<(), JournalError> {
        let line = Line::Undone(Undone { number: change.number });
        self.pen.as_mut().map_or(Ok(()), |pen| pen.append(&line))
    }

    /// With nothing left to undo, the journal is as it began: it does not grow with the run.
    fn settle(&mut self) -> Result<(), JournalError> {
        let first = self.first;
        match self.pen.as_mut() {
            Some(pen) if pen.whole() > first => pen.forget(first),
            _ => Ok(()),
        }
    }
}

impl Drop for Book {
    fn drop(&mut self) {
        // Whoever wants to know asks before; what stays is found by `brimful restore`.
        self.end().ok();
    }
}

/// Puts back what stood before a change, if what stands is what brimful wrote; with `force`, whatever stands. Reads it back, and
/// returns what was found.
pub(super) fn put_back(
    change: &Change,
    setting: &Setting,
    owner: Option<&Owner>,
    boot: &str,
    force: bool,
) -> Result<Found, Box<Stuck>> {
    let found = compare(change, owner, boot, setting.value().ok().as_deref());
    let stuck = |errno: Option<String>| Box::new(Stuck { change: change.clone(), found: found.clone(), errno });
    match found {
        Found::Back | Found::EarlierBoot => return Ok(found),
        Found::Standing => {}
        Found::Other(_) | Found::WhichBoot if force => {}
        Found::Other(_) | Found::WhichBoot | Found::Unread => return Err(stuck(None)),
    }
    let back = setting.set(&change.before).and_then(|()| setting.value());
    match back {
        Ok(now) if now == change.before => Ok(found),
        Ok(now) => Err(stuck(Some(format!("the kernel gave {now}")))),
        Err(error) => Err(stuck(Some(errno::name_of(&error)))),
    }
}
