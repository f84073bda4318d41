use super::*;

#[test]
fn one_seed_draws_one_set_of_options_and_another_seed_another() {
    let describe = |seed| SimOptions::draw(seed, &Overrides::default()).describe();
    assert_eq!(describe(3), describe(3));
    assert_ne!(describe(3), describe(4));
}

#[test]
fn an_override_moves_nothing_else() {
    let drawn = SimOptions::draw(3, &Overrides::default());
    let fixed = SimOptions::draw(
        3,
        &Overrides { page_size: Some(1024), cache_pages: Some(5), ..Overrides::default() },
    );
    for ((name, drawn), (_, fixed)) in drawn.listed().into_iter().zip(fixed.listed()) {
        // The log's limit follows from the page size.
        if !["page size", "cache", "checkpoint due"].contains(&name) {
            assert_eq!(drawn, fixed, "{name}");
        }
    }
}

#[test]
fn over_many_seeds_every_kind_is_on_and_off() {
    let all: Vec<SimOptions> = (0..300).map(|seed| SimOptions::draw(seed, &Overrides::default())).collect();
    for kind in OperationKind::ALL {
        let on = all.iter().filter(|options| options.plan.weights[kind as usize] > 0).count();
        assert!((100..299).contains(&on), "{kind:?} is on in {on} of 300");
    }
    let drawn_elsewhere =
        [FaultKind::PowerLoss, FaultKind::ProcessKilled, FaultKind::SectorLost, FaultKind::CrashInRecovery];
    for kind in FaultKind::ALL.into_iter().filter(|kind| !drawn_elsewhere.contains(kind)) {
        let on = all.iter().filter(|options| options.faults().chance(kind).is_possible()).count();
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
        let options = SimOptions::draw(seed, &Overrides { page_size: Some(512), ..Overrides::default() });
        // 496 bytes are for callers, 16 for the head, 4 for the counts, 4 for each page.
        assert!(options.plan.extent.pages() <= (496 - 16 - 4) / 4, "seed {seed}");
        assert!(options.plan.pager.max_pages > options.plan.extent.pages() + 1, "seed {seed}");
    }
}

#[test]
fn no_faults_means_none() {
    let options = SimOptions::draw(3, &Overrides { faults: Some(Vec::new()), ..Overrides::default() });
    assert_eq!(options.faults().enabled().count(), 0);
    assert_eq!(options.world.nemesis.mean_life, 0);
}

#[test]
fn absurd_values_are_named_with_what_would_be_right() {
    let cases = [
        (Overrides { connections: Some(0), ..Overrides::default() }, "--connections is 0"),
        (Overrides { page_size: Some(1000), ..Overrides::default() }, "--page-size is 1000"),
        (Overrides { page_size: Some(1 << 20), ..Overrides::default() }, "--page-size is 1048576"),
        (Overrides { cache_pages: Some(0), ..Overrides::default() }, "--cache-pages is 0"),
        (Overrides { steps: Some(0), ..Overrides::default() }, "--steps is 0"),
        (Overrides { operations: Some(Vec::new()), ..Overrides::default() }, "--operations is empty"),
    ];
    for (overrides, expected) in cases {
        let error = overrides.validate().unwrap_err().to_string();
        assert!(error.starts_with(expected) && error.contains("must be"), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
    assert!(Overrides::default().validate().is_ok());
}
