//! Memory and descriptors of this process, as Linux tells them. Clients, proxies and the books are all in it.

use std::fmt;
use std::fs;

/// Memory may be so much above what it was at most in the first third: queues fill by chance, and an allocator does not
/// give back at once.
const SLACK_KIB: u64 = 6 * 1024;

/// So many descriptors more than at rest: each of ten connections may be new on one side and not yet gone on the other.
const SLACK_DESCRIPTORS: usize = 30;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    /// Resident memory that is no file's.
    kib: u64,
    descriptors: usize,
}

impl Sample {
    pub(crate) fn descriptors(self) -> usize {
        self.descriptors
    }

    fn most(self, other: Self) -> Self {
        Self { kib: self.kib.max(other.kib), descriptors: self.descriptors.max(other.descriptors) }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} KiB, {} descriptors", self.kib, self.descriptors)
    }
}

pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// In order of time: the first before any fault, the last after all of them.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Sample>);

impl Samples {
    pub(crate) fn take(&mut self) {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or_default();
        let kib = line.trim().trim_end_matches(" kB").parse().unwrap_or(0);
        self.0.push(Sample { kib, descriptors: descriptors() });
    }

    pub(crate) fn first(&self) -> Sample {
        self.0.first().copied().unwrap_or_default()
    }

    pub(crate) fn last(&self) -> Sample {
        self.0.last().copied().unwrap_or_default()
    }

    fn highest(&self, samples: std::ops::RangeTo<usize>) -> Sample {
        self.0[samples].iter().fold(Sample::default(), |most, &sample| most.most(sample))
    }

    /// Neither grows.
    pub(crate) fn are_flat(&self) -> Result<(), String> {
        let early = self.highest(..self.0.len().div_ceil(3));
        let highest = self.highest(..self.0.len());
        if highest.kib > early.kib + SLACK_KIB {
            return Err(format!("memory grew from {} to {} KiB", early.kib, highest.kib));
        }
        if highest.descriptors > self.first().descriptors + SLACK_DESCRIPTORS {
            return Err(format!("up to {} descriptors", highest.descriptors));
        }
        if self.last().descriptors != self.first().descriptors {
            return Err(format!(
                "descriptors: {} became {}",
                self.first().descriptors,
                self.last().descriptors
            ));
        }
        Ok(())
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let middle = self.0.get(self.0.len() / 2).copied().unwrap_or_default();
        let highest = self.highest(..self.0.len());
        write!(f, "start {}; middle {middle}; highest {highest}; end {}", self.first(), self.last())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(all: &[(u64, usize)]) -> Samples {
        Samples(all.iter().map(|&(kib, descriptors)| Sample { kib, descriptors }).collect())
    }

    #[test]
    fn growth_is_seen() {
        assert_eq!(samples(&[(5000, 50), (9000, 70), (9000, 20), (11_000, 50)]).are_flat(), Ok(()));
        assert!(samples(&[(5000, 50), (9000, 50), (17_000, 50), (6000, 50)]).are_flat().is_err());
        assert!(samples(&[(5000, 50), (5000, 81), (5000, 50)]).are_flat().is_err());
        assert!(samples(&[(5000, 50), (5000, 50), (5000, 51)]).are_flat().is_err());
    }
}
