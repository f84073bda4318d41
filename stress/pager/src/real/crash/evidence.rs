//! What a person needs to examine a failure and to see it again, in files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::base::{Base, paths, real_files};
use super::draws::Draws;
use super::replay::{Files, Replay};
use super::seat::Seat;
use super::{power, verify};
use tenterhook_stress::real::layer::Role;
use tenterhook_stress::violation::Violation;

/// A file of the evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exhibit {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub what: String,
}

/// Everything that a failure follows from.
#[derive(Debug)]
pub(super) struct Evidence {
    /// The files with which the record begins.
    before: Files,
    record: Vec<u8>,
    /// The files that were looked at.
    left: Files,
    account: Account,
}

/// What is written as JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Account {
    /// Which state of the files it is about.
    image: String,
    violation: Violation,
    /// What each connection had asked for and had to keep when the record began.
    seats_before: Vec<Seat>,
    /// What it had asked for and had to keep in the files that were looked at.
    seats_left: Vec<Seat>,
    /// Where in the record the last child's life begins, and where it ends.
    last_life: usize,
    last_death: usize,
    /// From which the moment of a power loss and what it left are drawn; none if no power was lost.
    draws: Option<Draws>,
}

impl Evidence {
    /// A child has died after `life`, and something is wrong with what it left.
    pub(super) fn of_a_life(base: &Base, life: &[u8], left: Files, seats_left: Vec<Seat>) -> Evidence {
        let record = [&base.record, life].concat();
        let (last_life, last_death) = (base.record.len(), record.len());
        let (before, seats_before) = base.begin();
        let account = Account {
            image: String::new(),
            violation: *Violation::safety("", "", ""),
            seats_before: seats_before.to_vec(),
            seats_left,
            last_life,
            last_death,
            draws: None,
        };
        Evidence { before: before.clone(), record, left, account }
    }

    /// The power was lost as `draws` say, which have not been drawn from.
    pub(super) fn of_a_loss(base: &Base, draws: Draws, left: Files, seats_left: Vec<Seat>) -> Evidence {
        let mut evidence = Evidence::of_a_life(base, &[], left, seats_left);
        evidence.account.draws = Some(draws);
        (evidence.account.last_life, evidence.account.last_death) = (base.last_life, base.last_death);
        evidence
    }

    /// Writes it into a new folder in `directory`; what is where.
    pub(super) fn write(
        mut self,
        directory: &Path,
        image: &str,
        violation: &Violation,
    ) -> io::Result<Vec<Exhibit>> {
        (self.account.image, self.account.violation) = (image.to_owned(), violation.clone());
        let folder = directory.join("evidence");
        fs::create_dir_all(&folder)?;
        let mut exhibits = Vec::new();
        for (name, files, what) in [
            ("before", &self.before, "with which the record begins"),
            ("left", &self.left, "that was looked at, and is wrong"),
        ] {
            fs::create_dir_all(folder.join(name))?;
            for (role, bytes) in files {
                let [database, log] = paths(&folder.join(name));
                let path = if *role == Role::Database { database } else { log };
                fs::write(&path, bytes)?;
                exhibits.push(Exhibit { path, what: format!("the {} {what}", role.name()) });
            }
        }
        let mut add = |name: &str, what: &str, bytes: &[u8]| {
            let path = folder.join(name);
            fs::write(&path, bytes)?;
            exhibits.push(Exhibit { path, what: what.to_owned() });
            io::Result::Ok(())
        };
        add(
            "record",
            "the I/O of every child since then, as stress/src/real/crash/record.rs says",
            &self.record,
        )?;
        let account = serde_json::to_vec_pretty(&self.account)?;
        add(ACCOUNT, "the violation, what each connection must have, and the draws of the loss", &account)?;
        let text = readme(&folder, &exhibits, &self.account);
        fs::write(folder.join("README.txt"), text)?;
        exhibits.insert(0, Exhibit { path: folder.join("README.txt"), what: "what each file is".into() });
        Ok(exhibits)
    }

    fn read(folder: &Path) -> io::Result<Evidence> {
        let account: Account = serde_json::from_slice(&fs::read(folder.join(ACCOUNT))?)?;
        Ok(Evidence {
            before: real_files(&folder.join("before"))?,
            record: fs::read(folder.join("record"))?,
            left: real_files(&folder.join("left"))?,
            account,
        })
    }

    /// Loses the power as it was lost, or looks at the files that were left; what is wrong with them.
    fn examine(self, folder: &Path) -> io::Result<Option<(String, Box<Violation>)>> {
        let Evidence { before, record, left, account } = self;
        if let Some(mut draws) = account.draws {
            let ends = (account.last_life, account.last_death);
            let base = Base::from_evidence(folder, (before, account.seats_before), record, ends);
            return Ok(power::lose(&base, &mut draws)?.broken);
        }
        let [path, _] = paths(&folder.join("left"));
        let (disk, _) = Replay::from(&left, &account.seats_left, &path).cut_power();
        let found = verify::recover(&disk.io(), &path, &account.seats_left);
        Ok(found.err().map(|violation| (account.image, violation)))
    }
}

const ACCOUNT: &str = "account.json";

/// Goes through the evidence in `folder` once more: which state of the files is wrong, and what is wrong with it; nothing if this
/// build of the program finds it sound.
///
/// # Errors
///
/// When it is no evidence.
pub fn examine(folder: &Path) -> io::Result<Option<(String, Box<Violation>)>> {
    Evidence::read(folder)?.examine(folder)
}

fn readme(folder: &Path, exhibits: &[Exhibit], account: &Account) -> String {
    let mut text = format!("{}\n\nIn {}.\n\n", account.violation, account.image);
    for Exhibit { path, what } in exhibits {
        let name = path.strip_prefix(folder).unwrap_or(path).display().to_string();
        text += &format!("{name:<24} {what}\n");
    }
    text += &format!("\nSee it again with:\ntenterhook crash --examine {}\n", folder.display());
    if account.draws.is_none() {
        text += "It looks at the files in left/. What only the child itself has said is not seen again.\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::acks::Acks;
    use super::super::record::{Tag, append};
    use super::*;

    /// Files of nothing, and a child that promised five commits and wrote none.
    fn base(folder: &Path) -> Base {
        let acks = Acks::open(&folder.join("acks"), 1).unwrap();
        let mut base = Base::resume(folder, &acks).unwrap();
        let mut life = Vec::new();
        append(&mut life, Tag::Asked, Role::Database, 0, 5, &[]).unwrap();
        append(&mut life, Tag::Kept, Role::Database, 0, 5, &[]).unwrap();
        base.add_life(&life, &Files::new()).unwrap();
        base
    }

    #[test]
    fn a_loss_of_power_that_broke_a_promise_is_seen_again_from_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let base = base(folder.path());
        // Some of its losses are at the death, and break the promise.
        let lost = (0..100).find_map(|death| {
            let draws = Draws::of(1, death);
            let loss = power::lose(&base, &mut { draws }).unwrap();
            loss.broken.is_some().then_some((draws, loss))
        });
        let (draws, loss) = lost.expect("a loss that breaks it");
        let (image, violation) = loss.broken.unwrap();
        assert_eq!(violation.oracle, "durability");
        // It is seen in the record: nothing is wrong with these files.
        let evidence = Evidence::of_a_loss(&base, draws, loss.files, vec![Seat::default()]);
        let exhibits = evidence.write(folder.path(), &image, &violation).unwrap();
        assert!(exhibits.iter().all(|exhibit| exhibit.path.exists()), "{exhibits:?}");
        let readme = fs::read_to_string(&exhibits[0].path).unwrap();
        assert!(readme.contains("record ") && readme.contains("--examine"), "{readme}");
        let seen = examine(&folder.path().join("evidence")).unwrap();
        assert_eq!(seen, Some((image, violation)));
    }

    #[test]
    fn files_that_a_child_left_are_looked_at_again() {
        let folder = tempfile::tempdir().unwrap();
        let base = base(folder.path());
        let violation = Violation::safety("durability", "5", "0");
        for (kept, is_wrong) in [(5, true), (0, false)] {
            let seats = vec![Seat { asked: 5, kept }];
            let evidence = Evidence::of_a_life(&base, b"", Files::new(), seats);
            evidence.write(folder.path(), "the files", &violation).unwrap();
            let seen = examine(&folder.path().join("evidence")).unwrap();
            assert_eq!(seen.is_some(), is_wrong, "{seen:?}");
        }
        assert!(examine(folder.path()).is_err(), "that is no evidence");
    }
}
