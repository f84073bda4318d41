//! The tables. Seeds, hashes and counts are of 64 bits without a sign, and SQLite has integers of 64 bits with one: the bits are
//! the same.

/// `PRAGMA application_id`: "TENT".
pub(super) const APPLICATION: i32 = 0x5445_4e54;
/// `PRAGMA user_version`.
pub(super) const VERSION: i32 = 1;

/// Times are seconds since 1970.
pub(super) const TABLES: &str = "
-- What the job is: one row a fact.
CREATE TABLE job (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- Each program that ran for it: its version and the hash of its bytes.
CREATE TABLE builds (id INTEGER PRIMARY KEY, build TEXT NOT NULL UNIQUE, first_used INTEGER NOT NULL);
-- From a start of the program to its end.
CREATE TABLE sittings (
    id INTEGER PRIMARY KEY,
    token TEXT NOT NULL UNIQUE,
    build INTEGER NOT NULL REFERENCES builds (id),
    began INTEGER NOT NULL,
    nanos INTEGER NOT NULL,
    machine TEXT NOT NULL
);
-- What is counted, and each value of an option.
CREATE TABLE names (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, name TEXT NOT NULL, UNIQUE (kind, name));
-- A seed, or 64 of one block that are all done. `digest` stands for the seeds and their traces; digests are added.
-- `counts` has pairs of LEB128 numbers: the distance to the name before, and the count.
CREATE TABLE runs (
    mode INTEGER NOT NULL,
    first INTEGER NOT NULL,
    seeds INTEGER NOT NULL,
    build INTEGER NOT NULL REFERENCES builds (id),
    rechecked INTEGER NOT NULL,
    steps INTEGER NOT NULL,
    crashes INTEGER NOT NULL,
    nanos INTEGER NOT NULL,
    digest INTEGER NOT NULL,
    slowest INTEGER NOT NULL,
    slowest_nanos INTEGER NOT NULL,
    slowest_steps INTEGER NOT NULL,
    counts BLOB NOT NULL,
    PRIMARY KEY (mode, first)
) WITHOUT ROWID;
-- A seed that failed, once for each oracle.
CREATE TABLE failures (
    mode INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    oracle TEXT NOT NULL,
    signature TEXT NOT NULL,
    build INTEGER NOT NULL REFERENCES builds (id),
    at INTEGER NOT NULL,
    steps INTEGER NOT NULL,
    trace INTEGER NOT NULL,
    finding TEXT NOT NULL,
    options TEXT NOT NULL,
    command TEXT NOT NULL,
    PRIMARY KEY (mode, seed, oracle)
) WITHOUT ROWID;
CREATE INDEX failures_by_signature ON failures (signature);
-- What failures have in common. The columns from `deviations` on are of the smallest run.
CREATE TABLE signatures (
    signature TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    oracle TEXT NOT NULL,
    class TEXT NOT NULL,
    text TEXT NOT NULL,
    operations TEXT NOT NULL,
    looked INTEGER REFERENCES builds (id),
    looked_at INTEGER,
    has_tape INTEGER NOT NULL,
    deviations INTEGER NOT NULL,
    steps INTEGER NOT NULL,
    choices INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    expected TEXT NOT NULL,
    seen TEXT NOT NULL
) WITHOUT ROWID;
-- How the job went, now and then. `at` is time worked on it, in nanoseconds.
CREATE TABLE samples (
    at INTEGER PRIMARY KEY,
    seeds INTEGER NOT NULL,
    steps INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    resident_kib INTEGER NOT NULL,
    points INTEGER NOT NULL,
    fault_kinds INTEGER NOT NULL,
    delivered INTEGER NOT NULL
);
";
