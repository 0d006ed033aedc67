//! Damaged input for everything that reads what comes from outside: random edits of valid examples, some seconds of
//! them for each target in an ordinary run, ten million with TESTS_LONG=1 (one million for the tokenizer). Each target must answer or refuse, in little
//! memory: a panic, an abort or a large allocation fails the test. Knows how targets are run; knows no format.
//!
//! Each target runs in a process of its own, this test program again, so that its memory can be limited and measured.

mod damage;
mod engine;
mod panel;

use crate::program::is_long;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::{
    env, fs,
    panic::{AssertUnwindSafe, catch_unwind},
    process::Command,
    time::{Duration, Instant},
};

/// Inputs of a target in a long run.
const TEN_MILLION: u64 = 10_000_000;
/// Time of each target in an ordinary run.
const TIME: Duration = Duration::from_secs(8);
/// Most memory that a target may hold at any time, in kB.
const MEMORY_KB: u64 = 512 << 10;
/// Address space of a target's process: beyond it an allocation fails, which ends the process.
const ADDRESS_SPACE: u64 = 4 << 30;
/// Names the target to the process that runs it.
const TARGET: &str = "EASEL_FUZZ_TARGET";

/// Runs the target of the test `name`, a path such as `engine::prompt`; in a long run on `inputs` inputs.
fn hammer(name: &str, inputs: u64, examples: &[Vec<u8>], target: impl Fn(&[u8])) {
    if env::var(TARGET).is_ok_and(|v| v == name) {
        return inside(name, inputs, examples, target);
    }
    let output = Command::new(env::current_exe().unwrap())
        .args([&format!("fuzz::{name}"), "--exact", "--nocapture"])
        .env(TARGET, name)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines().filter(|l| l.starts_with(name)).for_each(|l| println!("{l}"));
    let failure = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}\n{said}{failure}", output.status);
    assert!(said.contains("1 passed"), "{name} is no test: {said}");
}

/// The same, in the process that is for this target alone.
fn inside(name: &str, inputs: u64, examples: &[Vec<u8>], target: impl Fn(&[u8])) {
    let limit = Rlimit { current: Some(ADDRESS_SPACE), maximum: Some(ADDRESS_SPACE) };
    setrlimit(Resource::As, limit).unwrap();
    let long = is_long();
    let begin = Instant::now();
    let mut done = 0;
    while if long { done < inputs } else { begin.elapsed() < TIME } {
        let input = damage::damaged(done, examples);
        let survived = catch_unwind(AssertUnwindSafe(|| target(&input)));
        assert!(survived.is_ok(), "{name}: input {done}: {:?}", String::from_utf8_lossy(&input));
        done += 1;
    }
    let (seconds, peak) = (begin.elapsed().as_secs_f64(), peak_kb());
    println!("\n{name}: {done} executions in {seconds:.1} s, {:.0} a second, peak {} MB", done as f64 / seconds, peak >> 10);
    assert!(done > 0);
    assert!(peak <= MEMORY_KB, "{name} held {peak} kB");
}

/// The most memory that this process has held.
fn peak_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn texts(examples: &[&str]) -> Vec<Vec<u8>> {
    examples.iter().map(|text| text.as_bytes().to_vec()).collect()
}
