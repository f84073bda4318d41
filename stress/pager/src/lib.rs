//! The pager of the runtime under [`tenterhook_stress`]: what the program `tenterhook` tests.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`subject`] | the pager as the tester's commands know it |
//! | [`options`] | what a seed draws before its run begins, and what a person may fix |
//! | `profile` | what a run concentrates on |
//! | `system` | the pager and its connections as a simulated system |
//! | `workload` | what connections do |
//! | [`oracle`] | what must hold, one property a file, against a history without concurrency and faults |
//! | [`sweep`] | each operation, to be swept one by one |
//! | [`real`] | the pager on real threads, files and processes |
//! | [`cli`] | the program |

pub mod cli;
pub mod options;
pub mod oracle;
mod profile;
pub mod real;
pub mod subject;
pub mod sweep;
pub mod system;
mod workload;

pub use subject::PagerSubject;
