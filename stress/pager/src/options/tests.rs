use tenterhook_stress::disk::FaultKind;
use tenterhook_stress::options::Kinds;
use tenterhook_stress::subject::{self, Fixed, FixedWorld, Subject as _};
use tenterhook_stress::tape::Source;

use super::*;
use crate::PagerSubject;

fn drawn(seed: u64, world: FixedWorld, own: FixedPager) -> Drawn<PagerPlan> {
    subject::draw::<PagerSubject>(&Source::Seed(seed), seed, &Fixed { world, own })
}

fn anything(seed: u64) -> Drawn<PagerPlan> {
    drawn(seed, FixedWorld::default(), FixedPager::default())
}

fn with_pages(seed: u64, own: FixedPager) -> Drawn<PagerPlan> {
    drawn(seed, FixedWorld::default(), own)
}

#[test]
fn one_seed_draws_one_set_of_options_and_another_seed_another() {
    let describe = |seed| PagerSubject::describe(&anything(seed));
    assert_eq!(describe(3), describe(3));
    assert_ne!(describe(3), describe(4));
}

#[test]
fn an_override_moves_nothing_else() {
    let drawn = anything(3);
    let fixed =
        with_pages(3, FixedPager { page_size: Some(1024), cache_pages: Some(5), ..FixedPager::default() });
    for ((name, drawn), (_, fixed)) in describe(&drawn).into_iter().zip(describe(&fixed)) {
        // The log's limit follows from the page size.
        if !["page size", "cache", "checkpoint due"].contains(&name) {
            assert_eq!(drawn, fixed, "{name}");
        }
    }
}

#[test]
fn over_many_seeds_every_kind_is_on_and_off() {
    let all: Vec<_> = (0..300).map(anything).collect();
    for kind in OperationKind::ALL {
        let on = all.iter().filter(|options| options.plan.weights[kind as usize] > 0).count();
        assert!((100..299).contains(&on), "{kind:?} is on in {on} of 300");
    }
    let drawn_elsewhere =
        [FaultKind::PowerLoss, FaultKind::ProcessKilled, FaultKind::SectorLost, FaultKind::CrashInRecovery];
    for kind in FaultKind::ALL.into_iter().filter(|kind| !drawn_elsewhere.contains(kind)) {
        let on = all.iter().filter(|options| options.world.disk.faults.chance(kind).is_possible()).count();
        let range = if kind.is_lie() { 5..40 } else { 80..220 };
        assert!(range.contains(&on), "{kind:?} is on in {on} of 300");
    }
    assert!(
        all.iter().all(|options| options.plan.weights[..3].iter().any(|&weight| weight > 0)),
        "a writer is on"
    );
}

#[test]
fn fixed_pages_fit_into_the_smallest_root() {
    for seed in 0..300 {
        let options = with_pages(seed, FixedPager { page_size: Some(512), ..FixedPager::default() });
        // 496 bytes are for callers, 16 for the head, 4 for the counts, 4 for each page.
        assert!(options.plan.extent.pages() <= (496 - 16 - 4) / 4, "seed {seed}");
        assert!(options.plan.pager.max_pages > options.plan.extent.pages() + 1, "seed {seed}");
    }
}

#[test]
fn no_faults_means_none() {
    let options = drawn(
        3,
        FixedWorld { faults: Some(Kinds(Vec::new())), ..FixedWorld::default() },
        FixedPager::default(),
    );
    assert_eq!(options.world.disk.faults.enabled().count(), 0);
    assert_eq!(options.world.nemesis.mean_life, 0);
}

#[test]
fn the_baseline_flips_bits_unless_faults_are_named() {
    let baseline = |faults: Option<Vec<FaultKind>>| {
        let world = FixedWorld { faults: faults.map(Kinds), ..FixedWorld::default() };
        let own = FixedPager { profile: Some(Profile::Baseline), ..FixedPager::default() };
        let drawn = drawn(3, world, own);
        drawn.world.disk.faults.enabled().map(|(kind, _)| kind).collect::<Vec<_>>()
    };
    assert_eq!(baseline(None), [FaultKind::BitFlip]);
    assert_eq!(baseline(Some(vec![FaultKind::ReadError])), [FaultKind::ReadError]);
    assert_eq!(baseline(Some(Vec::new())), []);
}

#[test]
fn absurd_values_are_named_with_what_would_be_right() {
    let world = |world| Fixed { world, ..Fixed::default() };
    let own = |own| Fixed { own, ..Fixed::default() };
    let cases = [
        (world(FixedWorld { connections: Some(0), ..FixedWorld::default() }), "--connections is 0"),
        (world(FixedWorld { steps: Some(0), ..FixedWorld::default() }), "--steps is 0"),
        (own(FixedPager { page_size: Some(1000), ..FixedPager::default() }), "--page-size is 1000"),
        (own(FixedPager { page_size: Some(1 << 20), ..FixedPager::default() }), "--page-size is 1048576"),
        (own(FixedPager { cache_pages: Some(0), ..FixedPager::default() }), "--cache-pages is 0"),
        (
            own(FixedPager { operations: Some(Kinds(Vec::new())), ..FixedPager::default() }),
            "--operations is empty",
        ),
    ];
    for (fixed, expected) in cases {
        let error = fixed.validate().unwrap_err().to_string();
        assert!(error.starts_with(expected) && error.contains("must be"), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
    assert!(Fixed::<FixedPager>::default().validate().is_ok());
}

#[test]
fn the_repeating_flags_have_every_option_that_decides_the_run() {
    let world = FixedWorld {
        connections: Some(64),
        faults: Some(Kinds(vec![FaultKind::PowerLoss])),
        ..FixedWorld::default()
    };
    let own = FixedPager {
        page_size: Some(512),
        operations: Some(Kinds(vec![OperationKind::Churn])),
        ..FixedPager::default()
    };
    let flags = Fixed { world, own }.flags();
    assert_eq!(flags, " --connections 64 --faults power-loss --operations churn --page-size 512");
}
