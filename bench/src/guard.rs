//! The guard: what a message costs, against committed budgets.

use std::fmt::Write;
use std::sync::Mutex;
use std::thread;

use crate::counts::{self, Counts, FEW, MANY};
use crate::job::{Error, Job, Runtime, Workload};
use crate::peers::OURS;

/// Valgrind runs side by side, on the two cores every build machine has.
const SIDE_BY_SIDE: usize = 2;

/// One line of the file of budgets.
struct Budget {
    workload: Workload,
    instructions: f64,
    allocations: f64,
    /// At least; zero where nothing is written.
    messages_per_write: f64,
}

/// Counts everything the file names, and fails if a count exceeds its budget.
pub fn run(file: &str) -> Result<(), Error> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let budgets = parse(&text).map_err(|error| format!("{file}: {error}"))?;
    println!("{:12} {:>21} {:>21} {:>24}", "", "instructions", "allocations", "messages per write");
    let mut breaches = String::new();
    for (budget, counts) in budgets.iter().zip(count_all(&budgets)) {
        let counts = counts?;
        println!("{}", line(budget, &counts));
        breaches.push_str(&budget.breaches(&counts));
    }
    if breaches.is_empty() {
        return Ok(());
    }
    if !cfg!(target_arch = "x86_64") {
        println!("not compared: the budgets are instructions of x86-64");
        return Ok(());
    }
    Err(format!(
        "a message has become more expensive than {file} allows:\n{breaches}\
         `cargo xtask bench counts --functions 30` lists where instructions go; compare it with the commit before. \
         If the cost is wanted, raise the budget in the same commit and say there what it buys."
    )
    .into())
}

/// `workload instructions allocations messages-per-write`, `#` begins a comment.
fn parse(text: &str) -> Result<Vec<Budget>, Error> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or("").trim());
    lines.filter(|line| !line.is_empty()).map(str::parse).collect()
}

impl std::str::FromStr for Budget {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self, Error> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [workload, instructions, allocations, messages] = words[..] else {
            return Err(format!("not `workload instructions allocations messages-per-write`: {line}").into());
        };
        Ok(Self {
            workload: workload.parse()?,
            instructions: instructions.parse()?,
            allocations: allocations.parse()?,
            messages_per_write: messages.parse()?,
        })
    }
}

impl Budget {
    fn breaches(&self, counts: &Counts) -> String {
        let mut text = String::new();
        let workload = self.workload;
        if counts.instructions > self.instructions {
            let (is, may) = (counts.instructions, self.instructions);
            let _ = writeln!(text, "  {workload}: {is:.0} instructions, allowed are {may}");
        }
        if counts.allocations > self.allocations {
            let (is, may) = (counts.allocations, self.allocations);
            let _ = writeln!(text, "  {workload}: {is:.3} allocations, allowed are {may}");
        }
        if messages_per_write(counts) < self.messages_per_write {
            let (is, must) = (messages_per_write(counts), self.messages_per_write);
            let _ =
                writeln!(text, "  {workload}: {is:.0} messages in a write, at least {must} are asked for");
        }
        text
    }
}

fn messages_per_write(counts: &Counts) -> f64 {
    1.0 / counts.writes.max(1e-6)
}

fn line(budget: &Budget, counts: &Counts) -> String {
    let Budget { workload, instructions, allocations, messages_per_write: least } = budget;
    let messages = match messages_per_write(counts) {
        many if many > 1e5 => "none written".into(),
        messages => format!("{messages:.0}"),
    };
    format!(
        "{:12} {:>10.1} of {instructions:>7} {:>10.3} of {allocations:>7} {messages:>13}, least {least:>4}",
        workload.to_string(),
        counts.instructions,
        counts.allocations,
    )
}

fn count_all(budgets: &[Budget]) -> Vec<Result<Counts, Error>> {
    let next = Mutex::new(0..budgets.len());
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(index) = next.lock().ok().and_then(|mut next| next.next()) {
                    let counts = counts::count(&job(&budgets[index], index), FEW, MANY);
                    if let Ok(mut results) = results.lock() {
                        results.push((index, counts));
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, counts)| counts).collect()
}

fn job(budget: &Budget, index: usize) -> Job {
    Job {
        peer: OURS.into(),
        workload: budget.workload,
        runtime: Runtime::Current,
        count: 0,
        payload: 64,
        window: 1000,
        size: 0,
        port: 0,
        serial: 2 * index as u32,
        tls: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(instructions: f64, allocations: f64, writes: f64) -> Counts {
        Counts { instructions, allocations, writes, reads: 0.0, functions: Vec::new() }
    }

    #[test]
    fn budgets_are_read_and_kept() {
        let budgets = parse("# a comment\n\npublish1 900 1 64 # and why\nreceive0 800 0.05 0\n").unwrap();
        assert_eq!(budgets.len(), 2);
        assert_eq!(budgets[0].breaches(&counts(900.0, 1.0, 1.0 / 64.0)), "");
        assert_eq!(budgets[1].breaches(&counts(799.0, 0.01, 0.0)), "");
        assert!(parse("publish1 900").is_err());
        assert!(parse("publish7 900 1 64").is_err());
    }

    #[test]
    fn each_breach_is_named() {
        let budget = &parse("publish1 900 1 64").unwrap()[0];
        let breaches = budget.breaches(&counts(901.0, 1.1, 0.5));
        assert_eq!(breaches.lines().count(), 3, "{breaches}");
    }
}
