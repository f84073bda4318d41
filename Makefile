# Every task of the project.
.DEFAULT_GOAL := help
.PHONY: help engines stress job test bench loom loom-full orderings orderings-quick shuttle sanitize soak compare compare-full compare-against hammer fuzz mutants mutants-check mutants-quick race doc ci slim tokio-free

DURATION ?= 8h
MODEL ?=
REPLAY ?=
LOOM := RUSTFLAGS="--cfg tenterhook_loom" CARGO_TARGET_DIR=target/loom
WEAKENED := RUSTFLAGS="--cfg tenterhook_loom --cfg tenterhook_orderings" CARGO_TARGET_DIR=target/orderings
SHUTTLE := RUSTFLAGS="--cfg tenterhook_shuttle" CARGO_TARGET_DIR=target/shuttle
# The sanitizers' runtimes ship with the stable toolchain, their flag is unstable.
SANITIZE := RUSTC_BOOTSTRAP=1
MISMATCH := -Cunsafe-allow-abi-mismatch=sanitizer
SANITIZED := --target x86_64-unknown-linux-gnu
SANITIZED_TESTS := -p tenterhook-runtime --test threads --test executor_hostile
# Actions of the storm under each sanitizer, and the time that the storms of the program and the pager have each.
STORM ?= 200000
SANITIZED_TIME ?= 20s
# The handler that tells a thread's calls when a run has stalled allocates; it interrupts threads in system calls alone.
TSAN = TENTERHOOK_STORM_ACTIONS=$(STORM) TSAN_OPTIONS="suppressions=$(CURDIR)/runtime/tsan.supp halt_on_error=1 report_signal_unsafe=0" $(SANITIZE) \
	RUSTFLAGS="-Zsanitizer=thread $(MISMATCH) --cfg tenterhook_unpooled" CARGO_TARGET_DIR=target/tsan
ASAN = TENTERHOOK_STORM_ACTIONS=$(STORM) $(SANITIZE) \
	RUSTFLAGS="-Zsanitizer=address $(MISMATCH) --cfg tenterhook_unpooled" CARGO_TARGET_DIR=target/asan
# The program with its storms and the pager, both backends in turn. No file size limit: the sanitizers' own files would meet it.
SANITIZED_PROGRAM := cargo run -q $(SANITIZED) --profile stress -p tenterhook -- threads --quiet --duration $(SANITIZED_TIME) --stall 60s
MODELS := cargo run -q --profile models -p tenterhook-loom-tests --

help: ## print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

stress: ## the main job: simulate fresh seeds on all cores for 30 seconds
	cargo run -q --profile stress -p tenterhook -- sim --duration 30s

test: tokio-free slim ## format check, lints, unit, integration and doc tests, the documents
	cargo fmt --all --check
	cargo clippy -q --workspace --all-targets -- -D warnings
	cargo clippy -q -p tenterhook-runtime --no-default-features --all-targets -- -D warnings
	$(LOOM) cargo clippy -q --profile models -p tenterhook-loom-tests -- -D warnings
	$(WEAKENED) cargo clippy -q --profile models -p tenterhook-loom-tests -- -D warnings
	$(SHUTTLE) cargo clippy -q --profile models -p tenterhook-loom-tests -- -D warnings
	cargo test -q --workspace --features tenterhook-stress/job,tenterhook/job
	cargo clippy -q -p tenterhook-stress -p tenterhook --features tenterhook-stress/job,tenterhook/job --all-targets -- -D warnings

engines: ## build and try the engines that no one here wrote (stress/engines); what was found must fail as it did
	cd stress/engines/sqlite && cargo fmt --check && cargo clippy -q --release --all-targets -- -D warnings && cargo test -q --release
	cd stress/engines/sqlite && for tape in found/*.tape; do cargo run -q --release -- replay $$tape; test $$? -eq 10 || exit 1; done
	cd stress/engines/sqlite && cargo run -q --release -- sim --duration 30s
	cd stress/engines/sqlite-old && for tape in found/*.tape; do cargo run -q --release -- replay $$tape; test $$? -eq 10 || exit 1; done
	cd stress/engines/redb && cargo fmt --check && cargo clippy -q --release --all-targets -- -D warnings && cargo test -q --release
	cd stress/engines/redb && cargo run -q --release -- sim --duration 30s
	cd stress/engines/raft-engine && cargo fmt --check && cargo clippy -q --release --all-targets -- -D warnings && cargo test -q --release
	cd stress/engines/raft-engine && for tape in found/*.tape; do cargo run -q --release -- replay $$tape; test $$? -eq 10 || exit 1; done
	cd stress/engines/turso && cargo fmt --check && cargo clippy -q --release --all-targets -- -D warnings && cargo test -q --release
	cd stress/engines/turso && for tape in found/*.tape; do cargo run -q --release -- replay $$tape; test $$? -eq 10 || exit 1; done
	cd stress/engines/turso && cargo run -q --release --bin groups
	cd stress/engines/turso-old && cargo build -q --release
	cd stress/engines/turso-old && cargo run -q --release --bin groups; test $$? -eq 11

loom: ## verify the atomics: every execution of every model, within its bound
	$(LOOM) $(MODELS) $(MODEL)

loom-full: ## the same without bounds; takes hours
	$(LOOM) $(MODELS) --full $(MODEL)

orderings: ## weaken every ordering and break statements of the runtime; record which model fails: the table in loom-tests
	cargo run -q -p tenterhook-loom-tests --bin orderings

orderings-quick: ## every ordering and a dozen statements, for CI
	cargo run -q -p tenterhook-loom-tests --bin orderings -- --quick

shuttle: ## random schedules of models that are too big for loom
	$(SHUTTLE) $(MODELS) $(MODEL) $(if $(REPLAY),--replay $(REPLAY))

RACE := RUSTFLAGS="--cfg tenterhook_shuttle" CARGO_TARGET_DIR=target/race
THREADS ?= 4
race: DURATION = 30s
race: ## simulate with THREADS (4) threads, stopped at any synchronisation operation, for DURATION (30s): the pager, then the runtime's own parts
	$(RACE) cargo run -q --profile stress -p tenterhook -- sim --threads $(THREADS) --duration $(DURATION)
	$(RACE) cargo run -q --profile stress -p tenterhook-stress --features cli --example storm -- sim --threads $(THREADS) --duration $(DURATION)
	$(RACE) cargo test -q --profile stress -p tenterhook-stress --test race

sanitize: ## threaded tests, storms (STORM=200000 actions) and the pager (SANITIZED_TIME=20s) under ThreadSanitizer and AddressSanitizer
	$(TSAN) cargo test $(SANITIZED) $(SANITIZED_TESTS)
	$(TSAN) cargo test $(SANITIZED) -p tenterhook-stress --test storm
	$(TSAN) $(SANITIZED_PROGRAM) --storm
	$(TSAN) $(SANITIZED_PROGRAM)
	$(ASAN) cargo test $(SANITIZED) $(SANITIZED_TESTS) --test io_drop
	$(ASAN) cargo test $(SANITIZED) -p tenterhook-stress --test storm
	$(ASAN) $(SANITIZED_PROGRAM) --storm
	$(ASAN) $(SANITIZED_PROGRAM)

soak: ## simulate for DURATION (8h); run it again to resume after an interruption
	cargo run -q --profile stress -p tenterhook -- sim --duration $(DURATION) --state tenterhook-runs/soak

JOB ?= tenterhook-runs/job
job: ## run a long job of DURATION (8h) on the folder JOB: resumes, each bug once, `tenterhook report JOB --html FILE`
	cargo run -q --profile stress -p tenterhook --features job -- job $(JOB) --duration $(DURATION) --mix sim=8,sweep=1,threads=1,crash=1

bench: ## measure the cost of a simulated step
	cargo bench -q -p tenterhook --bench simulator

compare: ## compare with tokio, SQLite and redb: the common sizes, some minutes
	cargo run -q --release -p tenterhook-compare

compare-full: ## the same with all sizes and a page with plots; run it again to resume after an interruption
	@mkdir -p tenterhook-runs
	cargo run -q --release -p tenterhook-compare -- --full --resume tenterhook-runs/compare.json --html tenterhook-runs/compare.html

REV ?= main
compare-against: ## which rows did the runtime change since revision REV (main)? Both builds alternate
	cargo run -q --release -p tenterhook-compare -- --against $(REV)

hammer: ## run groups on two real threads for a minute, some 25 million
	cargo run -q --release -p tenterhook-runtime --example hammer -- 60

fuzz: DURATION = 60s
fuzz: ## open arbitrary bytes as database file and log for DURATION (60s)
	cargo run -q --profile stress -p tenterhook-fuzz -- --duration $(DURATION)

mutants: ## apply every known bug and record which detector finds it: the table in stress/mutants
	cargo run -q --release -p tenterhook-scoreboard

mutants-check: ## check that all of them still apply and compile
	cargo run -q --release -p tenterhook-scoreboard -- --check

mutants-quick: ## a dozen of them, for CI
	cargo run -q -p tenterhook-scoreboard -- --quick

doc: ## build the documentation, warnings denied
	RUSTDOCFLAGS="-D warnings" cargo doc -q --workspace --no-deps

slim: ## check that the tester's library depends on nothing that only a terminal needs
	cargo clippy -q -p tenterhook-stress -- -D warnings
	@tree=$$(cargo tree -q -e normal -p tenterhook-stress --prefix none) && ! echo "$$tree" | grep -E '^(clap|ctrlc|humantime|indicatif|mimalloc|libmimalloc-sys|tempfile|rusqlite) ' \
		|| (echo "the tester's library depends on a crate that only its features cli and job may use" && false)

tokio-free: ## check that only compare depends on tokio
	@tree=$$(cargo tree -q -e normal,build -p tenterhook-runtime -p tenterhook-stress -p tenterhook -p tenterhook-loom-tests -p tenterhook-fuzz --prefix none) && ! echo "$$tree" | grep -E '^tokio ' \
		|| (echo "a crate other than compare depends on tokio" && false)

ci: ## what CI runs
	.ci/run
