//! The models that are not a pair of ends: several waiters, groups, nesting, cancellation, operations.

mod canaries;
mod cancel;
mod executor;
mod group_commit;
mod groups;
mod litmus;
mod nested;
mod operations;
mod pager;
mod reentrant;
mod waiters;

use crate::model::Model;

pub(crate) fn all() -> Vec<Model> {
    [
        waiters::models(),
        groups::models(),
        nested::models(),
        cancel::models(),
        reentrant::models(),
        operations::models(),
        executor::models(),
        group_commit::models(),
        pager::models(),
        litmus::models(),
        canaries::models(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
