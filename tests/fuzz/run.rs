//! Runs a target: over what is known, or over mutations for a while.
//!
//! There is no measure of coverage on stable Rust. In its place a target says of each input what it came to, as a number;
//! an input that came to something new is mutated further.

use std::collections::HashSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::corpus;
use crate::mutate::{Random, mutated};

/// Most inputs that are kept to be mutated.
const POOL_MAX: usize = 4096;
/// Longest time to make a found input smaller.
const SHRINK: Duration = Duration::from_secs(5);
/// How often a known input is cut anew.
const REPLAYS: u64 = 8;

/// Takes an input and a source of cuts, panics where something does not hold, and says what the input came to.
pub(crate) type Check = dyn Fn(&[u8], &mut Random) -> u64;

/// Something to be fuzzed.
pub(crate) struct Target<'c> {
    name: &'static str,
    check: &'c Check,
    seeds: Vec<Vec<u8>>,
}

impl<'c> Target<'c> {
    /// A target that begins with these inputs and those found before.
    pub(crate) fn new(name: &'static str, check: &'c Check, mut seeds: Vec<Vec<u8>>) -> Self {
        seeds.extend(corpus::found(name));
        Self { name, check, seeds }
    }

    fn panics(&self, input: &[u8], cuts: u64) -> bool {
        catch_unwind(AssertUnwindSafe(|| {
            (self.check)(input, &mut Random::new(cuts))
        }))
        .is_err()
    }
}

/// A number for something a target saw.
pub(crate) fn shape(seen: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    seen.hash(&mut hasher);
    hasher.finish()
}

/// Checks everything that is known.
pub(crate) fn replay(target: &Target<'_>) {
    for input in &target.seeds {
        for cuts in 0..REPLAYS {
            (target.check)(input, &mut Random::new(cuts));
        }
    }
}

/// Checks mutations until the time is over. What fails is made smaller, kept, and named.
pub(crate) fn mutate(target: &Target<'_>) {
    let seed = setting("FUZZ_SEED").unwrap_or_else(|| shape(std::time::SystemTime::now()));
    let time = Duration::from_secs(setting("FUZZ_SECONDS").unwrap_or(10));
    let mut random = Random::new(seed);
    let mut pool = target.seeds.clone();
    let mut shapes = HashSet::new();
    let mut inputs = 0_u64;
    let begun = Instant::now();
    while begun.elapsed() < time {
        let input = mutated(&mut random, &pool);
        let cuts = random.next();
        inputs += 1;
        let checked = catch_unwind(AssertUnwindSafe(|| {
            (target.check)(&input, &mut Random::new(cuts))
        }));
        match checked {
            Ok(shape) if pool.len() < POOL_MAX && shapes.insert(shape) => pool.push(input),
            Ok(_) => {}
            Err(_) => {
                let kept = keep(target, input, cuts);
                panic!("{}: FUZZ_SEED={seed} found {kept}", target.name);
            }
        }
    }
    let (name, shapes) = (target.name, shapes.len());
    eprintln!("{name}: {inputs} inputs, {shapes} of them new in kind, FUZZ_SEED={seed}");
}

fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value} is no whole number")),
    )
}

/// Writes a found input, made smaller, to where it is replayed from; says where.
fn keep(target: &Target<'_>, input: Vec<u8>, cuts: u64) -> String {
    let input = shrunk(target, input, cuts);
    let folder = corpus::found_folder(target.name);
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("{:016x}", shape(&input)));
    fs::write(&file, input).unwrap();
    file.display().to_string()
}

/// Leaves out pieces, ever shorter ones, while it still fails.
fn shrunk(target: &Target<'_>, mut input: Vec<u8>, cuts: u64) -> Vec<u8> {
    let begun = Instant::now();
    let mut length = input.len() / 2;
    while length > 0 && begun.elapsed() < SHRINK {
        let mut at = 0;
        while at < input.len() && begun.elapsed() < SHRINK {
            let mut shorter = input.clone();
            shorter.drain(at..input.len().min(at + length));
            if target.panics(&shorter, cuts) {
                input = shorter;
            } else {
                at += length;
            }
        }
        length /= 2;
    }
    input
}
