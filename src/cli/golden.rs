//! `easel golden`: compares the engine with recordings of the reference implementation and prints a table. Knows words
//! and columns; the comparing is the engine's.

use super::{
    Exit, Failure, Shared,
    compute::{self, Compute},
    say,
};
use anyhow::anyhow;
use engine::device::Element;
use engine::golden::{self, Case, Outcome, Verdict};
use std::path::PathBuf;

/// Flags of `golden`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// A recording (a folder with reference.json), or a folder of recordings
    dir: PathBuf,
    /// Count what the engine does not offer as a difference
    #[arg(long)]
    strict: bool,
    /// Print every stage instead of each case's worst
    #[arg(long)]
    stages: bool,
    #[command(flatten)]
    compute: Compute,
    /// How a GPU keeps numbers: f32, f16 or bf16. A half type may be half as much again as far from f32 as the reference's own
    #[arg(long, default_value = "f32", value_name = "TYPE")]
    element: Element,
}

/// Ends with 0 where all is within its tolerance, 1 where something is not, 2 where nothing could be compared.
pub(crate) fn run(_shared: &Shared, args: Args) -> Result<Exit, Failure> {
    let device = args.compute.choose(args.element, compute::lost)?.device;
    let cases = golden::check(&args.dir, &device, &mut |case| print(case, args.stages))
        .map_err(|e| Failure { exit: Exit::BadInput, why: anyhow!("{e}") })?;
    let count = |is: fn(&Outcome) -> bool| cases.iter().filter(|c| is(&c.outcome)).count();
    let equal = count(Outcome::holds);
    let not_offered = count(|o| matches!(o, Outcome::NotOffered(_)));
    say(format_args!("{equal} equal, {} different, {not_offered} not offered", cases.len() - equal - not_offered));
    Ok(match Verdict::of(&cases, args.strict) {
        Verdict::Equal => Exit::Done,
        Verdict::Different => Exit::Failed,
        Verdict::NothingRan => Exit::BadInput,
    })
}

fn print(case: &Case, every_stage: bool) {
    let name = format!("{} {}", case.family, case.name);
    match &case.outcome {
        Outcome::NotOffered(what) => say(format_args!("{name:<60} not offered: {what}")),
        Outcome::Failed(why) => say(format_args!("{name:<60} FAILED: {why}")),
        Outcome::Compared(stages) => {
            let worst = case.outcome.worst();
            for stage in stages.iter().filter(|s| every_stage || worst.is_some_and(|w| std::ptr::eq(w, *s))) {
                // A tokenizer's stage is called after its prompt, which may be long.
                let stage_name: String = stage.name.chars().take(28).collect();
                let verdict = if stage.holds() { "equal" } else { "DIFFERENT" };
                say(format_args!("{name:<60} {stage_name:<28} {:9.2e} of {:.0e}  {verdict}", stage.worst, stage.tolerance));
            }
        }
    }
}
