//! Replaced by the matrix.
use tenterhook_runtime::*;
#[test]
fn smoke() {
    let (a, ca) = Completion::new(|_| {});
    let (b, cb) = Completion::new(|_| {});
    let mut g = CompletionGroup::new(|o| assert_eq!(o, Err(CompletionError::Abandoned)));
    g.add(&a);
    g.add(&b);
    g.add(&a);
    let c = g.build();
    let c2 = c.clone();
    let t = std::thread::spawn(move || c2.wait());
    ca.complete(1);
    drop(cb);
    assert_eq!(t.join().unwrap(), Err(CompletionError::Abandoned));
    assert!(c.failed());
}
#[test]
fn deep() {
    std::thread::Builder::new()
        .stack_size(128 << 10)
        .spawn(|| {
            let (leaf, completer) = Completion::new(|_| {});
            let mut top = leaf;
            for _ in 0..1_000_000 {
                let mut g = CompletionGroup::new(|_| {});
                g.add(&top);
                top = g.build();
            }
            completer.complete(0);
            assert!(top.succeeded());
        })
        .unwrap()
        .join()
        .unwrap();
}
