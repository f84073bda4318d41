//! One run: measure the models, weaken, break, judge.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tenterhook_loom_tests::explored::Place;
use xxhash_rust::xxh3::xxh3_64;

use crate::breakage::{self, Breakage};
use crate::hunt::{self, Build, Model, Program, Verdict, order};
use crate::ledger::{Keys, Ledger};
use crate::source::Source;
use crate::table::{self, Judgement};
use crate::weakening::Weakening;
use crate::{Arguments, Exit, Stopped, What, tree};

/// How many breakages `--quick` tries.
const QUICK: usize = 12;

/// Names the weakening that the models' program carries out; see `runtime/src/sync/orderings/`.
const WEAKEN: &str = "TENTERHOOK_WEAKEN";

/// What all parts of a run need.
struct Campaign<'a> {
    arguments: &'a Arguments,
    /// The source as it was when the run began, whatever becomes of it meanwhile.
    frozen: PathBuf,
    /// Where everything is built.
    target: PathBuf,
    models: Vec<Model>,
    ledger: Mutex<Ledger>,
    /// Who noticed, by the committed table.
    known: BTreeMap<String, String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Stopped> {
    let root = std::path::absolute(&arguments.root)?;
    if !root.join("runtime/src").is_dir() {
        return Err(Stopped::bad_input(format!(
            "{} has no runtime/src; name the workspace with --root",
            root.display()
        )));
    }
    let target = root.join("target/orderings");
    let frozen = target.join("frozen");
    tree::copy(&root, &frozen)?;
    let breakages = breakages(&frozen, arguments)?;
    let source = Source::read(&frozen)?;
    let (campaign, program) = prepare(arguments, frozen, target)?;
    let weakenings = campaign.weakenings();
    if arguments.list {
        weakenings.iter().for_each(|weakening| println!("{weakening}"));
        breakages.iter().for_each(|breakage| println!("{}", breakage.id()));
        return Ok(Exit::Noticed);
    }
    let weakened = if arguments.what == What::Breakages {
        Vec::new()
    } else {
        campaign.each("weakening", &weakenings, |_, weakening| campaign.weaken(&program, weakening))?
    };
    let broken = if arguments.what == What::Weakenings {
        Vec::new()
    } else {
        let clean = campaign.build_clean()?;
        campaign
            .each("breakage", &breakages, |lane, breakage| campaign.break_it(lane, breakage, Some(&clean)))?
    };
    let whole = arguments.only.is_none() && !arguments.quick && arguments.what == What::All;
    let judgement = Judgement::new(&source, &campaign.models, weakened, broken, whole);
    if whole {
        std::fs::write(root.join(table::PATH), judgement.markdown())?;
    }
    print!("{}", judgement.summary());
    Ok(if judgement.is_good() { Exit::Noticed } else { Exit::Survived })
}

/// The breakages that the arguments leave. All of the list have to apply: the last one should not fail after an hour.
fn breakages(root: &Path, arguments: &Arguments) -> Result<Vec<Breakage>, Stopped> {
    let mut all = breakage::read_all(&root.join("loom-tests/breakages"))?;
    for breakage in &all {
        let path = root.join(&breakage.file);
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Stopped::bad_input(format!("{}: {}: {error}", breakage.name, breakage.file)))?;
        breakage.apply(&text).map_err(Stopped::bad_input)?;
    }
    if let Some(only) = &arguments.only {
        all.retain(|breakage| breakage.name.contains(only));
    }
    if arguments.quick {
        let step = all.len().div_ceil(QUICK).max(1);
        all = all.into_iter().step_by(step).collect();
    }
    Ok(all)
}

/// Builds the models with their orderings in reach, and measures each.
fn prepare(
    arguments: &Arguments,
    frozen: PathBuf,
    target: PathBuf,
) -> Result<(Campaign<'_>, Program), Stopped> {
    println!("building the models");
    let program = hunt::build(&frozen, &target, Build::Weakened)?
        .map_err(|error| Stopped::broken(format!("the models don't build:\n{error}")))?;
    let path = target.join("ledger.json");
    if arguments.fresh {
        let _ = std::fs::remove_file(&path);
    }
    let ledger = Ledger::open(&path, Keys::read(&frozen)?);
    let known = table::killers(&std::fs::read_to_string(frozen.join(table::PATH)).unwrap_or_default());
    let mut campaign =
        Campaign { arguments, frozen, target, models: Vec::new(), ledger: Mutex::new(ledger), known };
    campaign.models = campaign.measure(&program)?;
    Ok((campaign, program))
}

impl Campaign<'_> {
    /// What each model comes to with nothing broken; those that have changed are explored.
    fn measure(&self, program: &Program) -> Result<Vec<Model>, Stopped> {
        println!("measuring the models with nothing broken");
        let names = program.names()?;
        let measured = self.in_parallel(&names, |_, name| {
            let known = self.ledger.lock().expect("no panic under the lock").model(name);
            if let Some(model) = known {
                return Ok(model);
            }
            let explored = program.measure(name)?;
            match explored.failure {
                Some(failure) => Err(Stopped::broken(format!("{name} fails with nothing broken: {failure}"))),
                None => Ok(Model { name: name.clone(), explored }),
            }
        })?;
        self.ledger.lock().expect("no panic under the lock").set_models(&measured)?;
        Ok(measured)
    }

    /// Every weakening of the orderings that some model reaches.
    fn weakenings(&self) -> Vec<Weakening> {
        let mut all = Weakening::all(self.models.iter().flat_map(|model| &model.explored.places));
        if let Some(only) = &self.arguments.only {
            all.retain(|weakening| weakening.to_string().contains(only));
        }
        all
    }

    /// Runs the models that reach the weakened ordering. Exploring is deterministic, so a model that does not reach it in
    /// any execution comes to the same with it.
    fn weaken(&self, program: &Program, weakening: &Weakening) -> Result<Verdict, Stopped> {
        let name = weakening.to_string();
        let before = self.killer(&name, &weakening.short());
        let at = |place: &Place| *place == weakening.place;
        let models = order(&self.models, before.as_deref(), at, false);
        Ok(program.hunt(Some((WEAKEN, &name)), models.into_iter(), None)?)
    }

    /// The program that breakages are compared with: built like theirs, from the source as it is.
    fn build_clean(&self) -> Result<Program, Stopped> {
        let lane = self.target.join("lane-0");
        let copy = lane.join("tree");
        tree::copy(&self.frozen, &copy)?;
        let program = hunt::build(&copy, &lane.join("target"), Build::Broken)?
            .map_err(|error| Stopped::broken(format!("the models don't build:\n{error}")))?;
        Ok(program.copy_to(self.target.join("clean"))?)
    }

    /// Builds a copy with the breakage in it, and runs all models on that.
    fn break_it(
        &self,
        lane: usize,
        breakage: &Breakage,
        clean: Option<&Program>,
    ) -> Result<Verdict, Stopped> {
        let in_pager = breakage.file.starts_with("runtime/src/pager");
        let build = if in_pager { Build::BrokenPager } else { Build::Broken };
        let lane = self.target.join(format!("lane-{lane}"));
        let copy = lane.join("tree");
        tree::copy(&self.frozen, &copy)?;
        let path = copy.join(&breakage.file);
        let broken = breakage.apply(&std::fs::read_to_string(&path)?).map_err(Stopped::bad_input)?;
        tree::write(&path, broken.as_bytes())?;
        let program = match hunt::build(&copy, &lane.join("target"), build)? {
            Ok(program) => program,
            Err(error) => {
                let error = error.lines().take(8).collect::<Vec<_>>().join(" ");
                return Ok(Verdict::Refused { error });
            }
        };
        let before = self.killer(&breakage.id(), &breakage.name);
        let models = order(
            &self.models,
            before.as_deref(),
            |place| folder(&place.file) == folder(&breakage.file),
            true,
        );
        Ok(program.hunt(None, models.into_iter(), clean.filter(|_| build == Build::Broken))?)
    }

    /// Who noticed it before.
    fn killer(&self, name: &str, short: &str) -> Option<String> {
        let ledger = self.ledger.lock().expect("no panic under the lock");
        ledger.killer(name).or_else(|| self.known.get(short).cloned())
    }

    /// Tries each of `items` that has no verdict on this source, and says what became of it.
    fn each<T: Named + Clone + Send + Sync>(
        &self,
        kind: &str,
        items: &[T],
        attempt: impl Fn(usize, &T) -> Result<Verdict, Stopped> + Sync,
    ) -> Result<Vec<(T, Verdict)>, Stopped> {
        let done = AtomicUsize::new(0);
        self.in_parallel(items, |lane, item| {
            let id = item.id();
            let known = self.ledger.lock().expect("no panic under the lock").verdict(&id);
            let verdict = match known {
                Some(verdict) => verdict,
                None => attempt(lane, item)?,
            };
            self.ledger.lock().expect("no panic under the lock").put(&id, &verdict)?;
            let number = done.fetch_add(1, Relaxed) + 1;
            println!("{kind} {number:>3}/{} {}: {}", items.len(), item.title(), table::in_a_line(&verdict));
            Ok((item.clone(), verdict))
        })
    }

    /// Calls `work` with a lane's number and each of `items`; the results are in their order. The first error ends it.
    fn in_parallel<T: Sync, R: Send>(
        &self,
        items: &[T],
        work: impl Fn(usize, &T) -> Result<R, Stopped> + Sync,
    ) -> Result<Vec<R>, Stopped> {
        let next = AtomicUsize::new(0);
        let results = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for lane in 0..self.arguments.jobs.get() {
                let (next, results, work) = (&next, &results, &work);
                scope.spawn(move || {
                    loop {
                        let number = next.fetch_add(1, Relaxed);
                        let Some(item) = items.get(number) else { return };
                        let result = work(lane, item);
                        if result.is_err() {
                            next.store(items.len(), Relaxed);
                        }
                        results.lock().expect("no panic under the lock").push((number, result));
                    }
                });
            }
        });
        let mut results = results.into_inner().expect("no panic under the lock");
        results.sort_by_key(|(number, _)| *number);
        results.into_iter().map(|(_, result)| result).collect()
    }
}

/// Of a file, by its path.
fn folder(file: &str) -> Option<&Path> {
    Path::new(file).parent()
}

/// Something that is broken.
trait Named {
    /// What a verdict on it depends on, beside the source.
    fn id(&self) -> String;
    /// For people.
    fn title(&self) -> String;
}

impl Named for Weakening {
    fn id(&self) -> String {
        self.to_string()
    }

    fn title(&self) -> String {
        self.short()
    }
}

impl Named for Breakage {
    fn id(&self) -> String {
        format!("{}#{:016x}", self.name, xxh3_64(self.change().as_bytes()))
    }

    fn title(&self) -> String {
        self.name.clone()
    }
}
