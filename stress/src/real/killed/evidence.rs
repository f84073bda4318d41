//! What a person needs to examine a failure and to see it again, in files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::base::{Base, real_files};
use super::draws::Draws;
use super::replay::{Files, Replay};
use super::seat::Seat;
use super::system::{Killable, Recorded};
use super::{power, tree, verdict};
use crate::violation::Violation;

/// A file of the evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exhibit {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub what: String,
}

/// Everything that a failure follows from.
pub(super) struct Evidence<'a> {
    record: Vec<u8>,
    left: Left<'a>,
    account: Account,
}

/// What was looked at.
enum Left<'a> {
    /// Files, and those with which the record begins.
    Files { system: &'a dyn Recorded, before: Files, left: Files },
    /// A folder, of which nothing is recorded.
    Folder(PathBuf),
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

impl Account {
    fn of(seats_before: &[Seat], seats_left: Vec<Seat>, (last_life, last_death): (usize, usize)) -> Account {
        Account {
            image: String::new(),
            violation: *Violation::safety("", "", ""),
            seats_before: seats_before.to_vec(),
            seats_left,
            last_life,
            last_death,
            draws: None,
        }
    }
}

impl<'a> Evidence<'a> {
    /// A child has died after `life`, and something is wrong with what it left.
    pub(super) fn of_a_life(
        system: &'a dyn Recorded,
        base: &Base,
        life: &[u8],
        left: Files,
        seats_left: Vec<Seat>,
    ) -> Evidence<'a> {
        let record = [&base.record, life].concat();
        let ends = (base.record.len(), record.len());
        let (before, seats_before) = base.begin();
        let account = Account::of(seats_before, seats_left, ends);
        Evidence { record, left: Left::Files { system, before: before.clone(), left }, account }
    }

    /// The power was lost as `draws` say, which have not been drawn from.
    pub(super) fn of_a_loss(
        system: &'a dyn Recorded,
        base: &Base,
        draws: Draws,
        left: Files,
        seats_left: Vec<Seat>,
    ) -> Evidence<'a> {
        let mut evidence = Evidence::of_a_life(system, base, &[], left, seats_left);
        evidence.account.draws = Some(draws);
        (evidence.account.last_life, evidence.account.last_death) = (base.last_life, base.last_death);
        evidence
    }

    /// A child has died, and something is wrong with the `folder` that it left.
    pub(super) fn of_a_folder(folder: PathBuf, life: &[u8], seats_left: Vec<Seat>) -> Evidence<'a> {
        let account = Account::of(&[], seats_left, (0, life.len()));
        Evidence { record: life.to_vec(), left: Left::Folder(folder), account }
    }

    /// Writes it into a new folder in `directory`; what is where. `program` is what the command that looks at it begins with.
    pub(super) fn write(
        mut self,
        directory: &Path,
        (image, violation): (&str, &Violation),
        program: &str,
    ) -> io::Result<Vec<Exhibit>> {
        (self.account.image, self.account.violation) = (image.to_owned(), violation.clone());
        let folder = directory.join("evidence");
        fs::create_dir_all(&folder)?;
        let mut exhibits = self.left.write(&folder)?;
        let mut add = |name: &str, what: &str, bytes: &[u8]| {
            let path = folder.join(name);
            fs::write(&path, bytes)?;
            exhibits.push(Exhibit { path, what: what.to_owned() });
            io::Result::Ok(())
        };
        let format = "as stress/src/real/killed/record.rs says";
        let recorded = match self.left {
            Left::Files { .. } => format!("the I/O of every child since then, {format}"),
            Left::Folder(_) => format!("what the child has said of its commits, {format}"),
        };
        add("record", &recorded, &self.record)?;
        let account = serde_json::to_vec_pretty(&self.account)?;
        add(ACCOUNT, "the violation, what each connection must have, and the draws of the loss", &account)?;
        let text = readme(&folder, &exhibits, &self.account, program);
        fs::write(folder.join("README.txt"), text)?;
        exhibits.insert(0, Exhibit { path: folder.join("README.txt"), what: "what each file is".into() });
        Ok(exhibits)
    }
}

impl Left<'_> {
    fn write(&self, folder: &Path) -> io::Result<Vec<Exhibit>> {
        let (system, before, left) = match self {
            Left::Folder(from) => {
                let path = folder.join("left");
                tree::copy(from, &path)?;
                let what = "the folder that was looked at, and is wrong".to_owned();
                return Ok(vec![Exhibit { path, what }]);
            }
            Left::Files { system, before, left } => (system, before, left),
        };
        let mut exhibits = Vec::new();
        for (name, files, what) in [
            ("before", before, "with which the record begins"),
            ("left", left, "that was looked at, and is wrong"),
        ] {
            fs::create_dir_all(folder.join(name))?;
            let paths = system.files(&folder.join(name));
            for (role, bytes) in files {
                let Some(path) = paths.path(*role) else { continue };
                fs::write(path, bytes)?;
                exhibits.push(Exhibit { path: path.to_owned(), what: format!("the {} {what}", role.name()) });
            }
        }
        Ok(exhibits)
    }
}

const ACCOUNT: &str = "account.json";

/// Goes through the evidence in `folder` once more: which state of the files is wrong, and what is wrong with it; nothing if this
/// build of the program finds it sound.
///
/// # Errors
///
/// When it is no evidence.
pub fn examine(system: &Killable, folder: &Path) -> io::Result<Option<(String, Box<Violation>)>> {
    let account: Account = serde_json::from_slice(&fs::read(folder.join(ACCOUNT))?)?;
    let found = match system {
        Killable::Recorded(system) => return examine_files(&**system, folder, account),
        Killable::Unrecorded(system) => {
            // A recovery changes what it opens.
            let copy = folder.join("checked");
            tree::copy(&folder.join("left"), &copy)?;
            let found = verdict::of_directory(&**system, &copy, &account.seats_left);
            tree::remove(&copy)?;
            found
        }
    };
    Ok(found.err().map(|violation| (account.image, violation)))
}

/// Loses the power as it was lost, or looks at the files that were left; what is wrong with them.
fn examine_files(
    system: &dyn Recorded,
    folder: &Path,
    account: Account,
) -> io::Result<Option<(String, Box<Violation>)>> {
    if let Some(mut draws) = account.draws {
        let before = real_files(&system.files(&folder.join("before")))?;
        let (record, ends) = (fs::read(folder.join("record"))?, (account.last_life, account.last_death));
        if !(ends.0 <= ends.1 && ends.1 <= record.len()) {
            let problem = "its record is shorter than its account says";
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        let begin = (before, account.seats_before);
        let base = Base::from_evidence(folder, system.files(folder), begin, record, ends);
        return Ok(power::lose(system, &base, &mut draws)?.broken);
    }
    let directory = folder.join("left");
    let paths = system.files(&directory);
    let (disk, _) = Replay::from(&real_files(&paths)?, &account.seats_left, &paths).cut_power();
    let found = verdict::of_disk(system, &disk, &directory, &account.seats_left);
    Ok(found.err().map(|violation| (account.image, violation)))
}

fn readme(folder: &Path, exhibits: &[Exhibit], account: &Account, program: &str) -> String {
    let mut text = format!("{}\n\nIn {}.\n\n", account.violation, account.image);
    for Exhibit { path, what } in exhibits {
        let name = path.strip_prefix(folder).unwrap_or(path).display().to_string();
        text += &format!("{name:<24} {what}\n");
    }
    text += &format!("\nSee it again with:\n{program} crash --examine {}\n", folder.display());
    if account.draws.is_none() {
        text += "It looks at the files in left/. What only the child itself has said is not seen again.\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::acks::Acks;
    use super::super::files::pair;
    use super::super::record::{Tag, append};
    use super::super::toy::Toy;
    use super::*;
    use crate::real::layer::Role;

    fn recorded() -> Killable {
        Killable::Recorded(Box::new(Toy))
    }

    /// Files of nothing, and a child that promised five commits and wrote none.
    fn base(folder: &Path) -> Base {
        let acks = Acks::open(&folder.join("acks"), 1).unwrap();
        let mut base = Base::resume(folder, pair(folder), &acks).unwrap();
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
            let loss = power::lose(&Toy, &base, &mut { draws }).unwrap();
            loss.broken.is_some().then_some((draws, loss))
        });
        let (draws, loss) = lost.expect("a loss that breaks it");
        let (image, violation) = loss.broken.unwrap();
        assert_eq!(violation.oracle, "durability");
        // It is seen in the record: nothing is wrong with these files.
        let evidence = Evidence::of_a_loss(&Toy, &base, draws, loss.files, vec![Seat::default()]);
        let exhibits = evidence.write(folder.path(), (&image, &violation), "toy").unwrap();
        assert!(exhibits.iter().all(|exhibit| exhibit.path.exists()), "{exhibits:?}");
        let readme = fs::read_to_string(&exhibits[0].path).unwrap();
        assert!(readme.contains("record ") && readme.contains("toy crash --examine"), "{readme}");
        let seen = examine(&recorded(), &folder.path().join("evidence")).unwrap();
        assert_eq!(seen, Some((image, violation)));
    }

    #[test]
    fn files_that_a_child_left_are_looked_at_again() {
        let folder = tempfile::tempdir().unwrap();
        let base = base(folder.path());
        let violation = Violation::safety("durability", "5", "0");
        for (kept, is_wrong) in [(5, true), (0, false)] {
            let seats = vec![Seat { asked: 5, kept }];
            let evidence = Evidence::of_a_life(&Toy, &base, b"", Files::new(), seats);
            evidence.write(folder.path(), ("the files", &violation), "toy").unwrap();
            let seen = examine(&recorded(), &folder.path().join("evidence")).unwrap();
            assert_eq!(seen.is_some(), is_wrong, "{seen:?}");
        }
        assert!(examine(&recorded(), folder.path()).is_err(), "that is no evidence");
    }

    #[test]
    fn a_folder_that_a_child_left_is_looked_at_again_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join("system");
        fs::create_dir_all(&left).unwrap();
        fs::write(left.join("x"), 4u64.to_le_bytes()).unwrap();
        let violation = Violation::safety("durability", "5", "4");
        let system = Killable::Unrecorded(Box::new(Toy));
        for (kept, is_wrong) in [(5, true), (4, false)] {
            let evidence = Evidence::of_a_folder(left.clone(), b"", vec![Seat { asked: 5, kept }]);
            evidence.write(folder.path(), ("the folder", &violation), "toy").unwrap();
            let seen = examine(&system, &folder.path().join("evidence")).unwrap();
            assert_eq!(seen.is_some(), is_wrong, "{seen:?}");
            assert!(!folder.path().join("evidence/checked").exists());
        }
    }
}
