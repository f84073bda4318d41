//! Which files a system has.

use std::path::{Path, PathBuf};

use crate::real::layer::Role;

/// The files of a system: one, or two of which one is a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemFiles {
    /// The file that is always there, once there is one.
    pub database: PathBuf,
    /// Its log.
    pub log: Option<LogFile>,
}

/// A log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Where it is.
    pub path: PathBuf,
    /// Bytes at its beginning that are written rarely and decide much, such as headers; 0 for none. Faults and power losses seek them
    /// out.
    pub headers: u64,
}

impl SystemFiles {
    /// One file.
    pub fn one(path: PathBuf) -> SystemFiles {
        SystemFiles { database: path, log: None }
    }

    /// Where the file with a role is, if there is one.
    pub(super) fn path(&self, role: Role) -> Option<&Path> {
        match role {
            Role::Database => Some(&self.database),
            Role::Log => self.log.as_ref().map(|log| log.path.as_path()),
        }
    }

    /// Which one is at `path`.
    pub(super) fn role_of(&self, path: &Path) -> Option<Role> {
        self.all().find(|(_, own)| *own == path).map(|(role, _)| role)
    }

    /// All of them. The database first: what a log loses when it begins again is in the database by then.
    pub(super) fn all(&self) -> impl Iterator<Item = (Role, &Path)> {
        [Role::Database, Role::Log].into_iter().filter_map(|role| Some((role, self.path(role)?)))
    }

    /// Bytes of the log's headers.
    pub(super) fn headers(&self) -> u64 {
        self.log.as_ref().map_or(0, |log| log.headers)
    }
}

/// Files for tests: `x` and `x-wal` in `directory`.
#[cfg(test)]
pub(super) fn pair(directory: &Path) -> SystemFiles {
    let log = LogFile { path: directory.join("x-wal"), headers: 64 };
    SystemFiles { database: directory.join("x"), log: Some(log) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_role_that_the_system_gives_it_whatever_its_name_is() {
        let log = LogFile { path: "d/journal".into(), headers: 0 };
        let files = SystemFiles { database: "d/x-wal".into(), log: Some(log) };
        assert_eq!(files.role_of(Path::new("d/x-wal")), Some(Role::Database));
        assert_eq!(files.role_of(Path::new("d/journal")), Some(Role::Log));
        assert_eq!(files.role_of(Path::new("d/other")), None);
        assert_eq!(SystemFiles::one("x".into()).all().count(), 1);
    }
}
