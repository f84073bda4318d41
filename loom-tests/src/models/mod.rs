//! The models that are not a pair of ends: several waiters, groups, nesting, cancellation, operations.

mod canaries;
mod cancel;
mod executor;
mod group_commit;
mod groups;
mod idle;
mod litmus;
mod nested;
mod operations;
mod pager;
mod pager_fixture;
mod pipeline;
mod reentrant;
mod requests;
mod slots;
mod waiters;

use crate::model::Model;

pub(crate) fn all() -> Vec<Model> {
    [
        waiters::models(),
        slots::models(),
        groups::models(),
        nested::models(),
        cancel::models(),
        requests::models(),
        reentrant::models(),
        operations::models(),
        executor::models(),
        idle::models(),
        group_commit::models(),
        pager::models(),
        pipeline::models(),
        litmus::models(),
        canaries::models(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
