//! What the verdicts come to, for people: `loom-tests/ORDERINGS.md` and the last lines of a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::breakage::Breakage;
use crate::hunt::{Model, Verdict};
use crate::source::{Source, Token};
use crate::weakening::Weakening;

/// Where the table is, from the workspace's root.
pub(crate) const PATH: &str = "loom-tests/ORDERINGS.md";

/// So many orderings may be called invisible.
const MOST_INVISIBLE: usize = 3;
/// So many breakages there have to be, and so many in a hundred have to be noticed.
const FEWEST_BREAKAGES: usize = 60;
const FEWEST_IN_A_HUNDRED: usize = 95;

/// All verdicts of a run.
pub(crate) struct Judgement {
    weakened: Vec<(Weakening, Verdict, Option<String>)>,
    broken: Vec<(Breakage, Verdict)>,
    unreached: Vec<Token>,
    invisibles: usize,
    /// Nothing was left out, so that totals mean something.
    whole: bool,
}

impl Judgement {
    pub(crate) fn new(
        source: &Source,
        models: &[Model],
        weakened: Vec<(Weakening, Verdict)>,
        broken: Vec<(Breakage, Verdict)>,
        whole: bool,
    ) -> Self {
        let unreached = source.unreached(models.iter().flat_map(|model| &model.explored.places));
        let with_reason = |(weakening, verdict): (Weakening, Verdict)| {
            let reason = source.invisible(&weakening.place.file, weakening.place.line);
            (weakening, verdict, reason)
        };
        let weakened = weakened.into_iter().map(with_reason).collect();
        Self { weakened, broken, unreached, invisibles: source.invisibles(), whole }
    }

    /// The lines that say what is wrong.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (weakening, verdict, reason) in &self.weakened {
            if !verdict.is_killed() && reason.is_none() {
                faults.push(format!("survived: {}: {}", weakening.short(), in_a_line(verdict)));
            }
        }
        for token in &self.unreached {
            faults.push(format!("no model reaches {}:{}: {}", token.file, token.line, token.ordering));
        }
        if self.invisibles > MOST_INVISIBLE {
            faults
                .push(format!("{} orderings are called invisible, {MOST_INVISIBLE} may be", self.invisibles));
        }
        for (breakage, verdict) in &self.broken {
            let is_argued = breakage.argued.is_some() && matches!(verdict, Verdict::Survived { .. });
            if !verdict.is_killed() && !is_argued {
                faults.push(format!("survived: {}: {}", breakage.name, in_a_line(verdict)));
            }
        }
        if self.whole {
            self.faults_of_the_whole(&mut faults);
        }
        faults
    }

    fn faults_of_the_whole(&self, faults: &mut Vec<String>) {
        let (killed, all) = (self.killed_breakages(), self.broken.len());
        if all < FEWEST_BREAKAGES {
            faults.push(format!("{all} breakages are listed, {FEWEST_BREAKAGES} have to be"));
        }
        if killed * 100 < all * FEWEST_IN_A_HUNDRED {
            faults
                .push(format!("{killed} of {all} breakages are noticed, {FEWEST_IN_A_HUNDRED} % have to be"));
        }
        let needed =
            self.weakened.iter().filter(|(_, verdict, reason)| !verdict.is_killed() && reason.is_some());
        let mut needed: Vec<_> =
            needed.map(|(weakening, ..)| (&weakening.place.file, weakening.place.line)).collect();
        needed.dedup();
        if needed.len() < self.invisibles {
            faults.push("a line is called invisible whose weakenings are all noticed".into());
        }
    }

    fn killed_breakages(&self) -> usize {
        self.broken.iter().filter(|(_, verdict)| verdict.is_killed()).count()
    }

    pub(crate) fn is_good(&self) -> bool {
        self.faults().is_empty()
    }

    /// The last lines of a run.
    pub(crate) fn summary(&self) -> String {
        let killed = self.weakened.iter().filter(|(_, verdict, _)| verdict.is_killed()).count();
        let mut text = format!(
            "\n{} weakenings, {killed} noticed, {} orderings called invisible; {} breakages, {} noticed\n",
            self.weakened.len(),
            self.invisibles,
            self.broken.len(),
            self.killed_breakages(),
        );
        for fault in self.faults() {
            let _ = writeln!(text, "{fault}");
        }
        text
    }

    /// The table.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from(INTRODUCTION);
        text += "\n| place | which | weakening | killed by | seconds |\n|---|---|---|---|---|\n";
        for (weakening, verdict, reason) in &self.weakened {
            let place = &weakening.place;
            let _ = writeln!(
                text,
                "| `{}:{}` | {} | {} to {} | {} |",
                place.file,
                place.line,
                place.role,
                place.ordering,
                weakening.to,
                cells(verdict, reason.as_deref())
            );
        }
        text += BREAKAGES;
        text += "\n| breakage | file | killed by | seconds |\n|---|---|---|---|\n";
        for (breakage, verdict) in &self.broken {
            let argued = breakage.argued.as_deref();
            let _ =
                writeln!(text, "| {} | `{}` | {} |", breakage.name, breakage.file, cells(verdict, argued));
        }
        text + &self.summary()
    }
}

const INTRODUCTION: &str = "\
# Who notices a weaker ordering

Written by `make orderings`. Every Acquire, Release and AcqRel of the runtime outside its facade is weakened one step, one at
a time, and the models that reach it are explored until one turns red. An exchange has two orderings, of its success and
of its failure; a loop of exchanges begins with a load of its own. A line that no model can judge says why beside the
source: `INVISIBLE`.
";

const BREAKAGES: &str = "
# Who notices a broken statement

From the lists in `breakages/`: what each changes, and why it looks right.
";

/// The last two cells of a row.
fn cells(verdict: &Verdict, reason: Option<&str>) -> String {
    match (verdict, reason) {
        (Verdict::Killed { by, seconds, .. }, _) => format!("`{by}` | {seconds:.2}"),
        (Verdict::Survived { seconds, .. }, Some(reason)) => format!("no model: {reason} | {seconds:.2}"),
        (Verdict::Survived { seconds, .. }, None) => format!("**no model** | {seconds:.2}"),
        (Verdict::Refused { .. }, _) => "**does not build** | ".into(),
    }
}

/// A verdict, for a line of progress.
pub(crate) fn in_a_line(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Killed { by, failure, seconds } => format!("{by} in {seconds:.2} s: {failure}"),
        Verdict::Survived { stopped, seconds } if stopped.is_empty() => {
            format!("SURVIVED {seconds:.0} s of models")
        }
        Verdict::Refused { error } => format!("DOES NOT BUILD: {error}"),
        Verdict::Survived { stopped, .. } => format!("SURVIVED; too slow to tell: {}", stopped.join(", ")),
    }
}

impl Verdict {
    pub(crate) fn is_killed(&self) -> bool {
        matches!(self, Self::Killed { .. })
    }
}

/// Who noticed what, by an earlier table.
pub(crate) fn killers(markdown: &str) -> BTreeMap<String, String> {
    let rows = markdown.lines().filter(|line| line.starts_with("| "));
    let rows = rows.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let row = |cells: Vec<&str>| {
        let model = |cell: &str| Some(cell.strip_prefix('`')?.strip_suffix('`')?.to_owned());
        match cells[..] {
            [_, place, role, weakening, by, ..] if cells.len() == 7 => {
                let place = place.trim_matches('`');
                Some((format!("{place} {role} {weakening}"), model(by)?))
            }
            [_, name, _, by, ..] if cells.len() == 6 => Some((name.to_owned(), model(by)?)),
            _ => None,
        }
    };
    rows.filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenterhook_loom_tests::explored::Place;

    fn weakening() -> Weakening {
        let place = Place {
            file: "runtime/src/a.rs".into(),
            line: 7,
            column: 9,
            role: "load".into(),
            ordering: "Acquire".into(),
        };
        Weakening { place, to: "Relaxed" }
    }

    fn judgement(verdict: Verdict, reason: Option<&str>) -> Judgement {
        Judgement {
            weakened: vec![(weakening(), verdict, reason.map(str::to_owned))],
            broken: Vec::new(),
            unreached: Vec::new(),
            invisibles: usize::from(reason.is_some()),
            whole: false,
        }
    }

    fn killed() -> Verdict {
        Verdict::Killed { by: "a_model".into(), failure: "race".into(), seconds: 0.25 }
    }

    fn survived() -> Verdict {
        Verdict::Survived { stopped: Vec::new(), seconds: 3.0 }
    }

    #[test]
    fn a_survivor_fails_the_run_unless_it_is_argued() {
        assert!(judgement(killed(), None).is_good());
        assert!(!judgement(survived(), None).is_good());
        assert!(judgement(survived(), Some("loom can't")).is_good());
    }

    #[test]
    fn a_whole_run_wants_sixty_breakages_and_no_stale_argument() {
        let mut whole = judgement(killed(), Some("not so"));
        whole.whole = true;
        let faults = whole.faults().join("\n");
        assert!(faults.contains("60 have to be") && faults.contains("called invisible"), "{faults}");
    }

    #[test]
    fn too_many_arguments_and_unreached_orderings_fail_the_run() {
        let mut many = judgement(killed(), None);
        many.invisibles = 4;
        assert!(!many.is_good());
        let mut unreached = judgement(killed(), None);
        unreached.unreached = vec![Token { file: "a.rs".into(), line: 1, ordering: "Acquire" }];
        assert!(!unreached.is_good());
    }

    #[test]
    fn the_table_tells_the_next_run_who_noticed() {
        let killers = killers(&judgement(killed(), None).markdown());
        assert_eq!(killers.get(&weakening().short()).map(String::as_str), Some("a_model"));
        assert_eq!(killers.len(), 1);
    }
}
