use tenterhook_stress::sweep::{Bounds, sweep};

use super::catalogue;

#[test]
fn every_operation_of_the_pager_keeps_its_promises_in_every_case() {
    for operation in catalogue() {
        let report = sweep(operation.as_ref(), Bounds { subsets: 4, sectors: 8 });
        let report = report.unwrap_or_else(|failure| panic!("{failure:?}"));
        println!("{report}");
    }
}
