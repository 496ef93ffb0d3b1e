//! Memory and descriptors of this process, as Linux tells them.

use std::fmt;
use std::fs;

/// Growth that is nobody's fault: buffers of the allocator, a queue that happens to be full.
const SLACK_KIB: u64 = 24 * 1024;
const SLACK_DESCRIPTORS: usize = 24;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Resident memory.
    kib: u64,
    descriptors: usize,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} KiB, {} descriptors", self.kib, self.descriptors)
    }
}

/// In order of time.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Sample>);

impl Samples {
    pub(crate) fn take(&mut self) {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        let kib = line.trim().trim_end_matches(" kB").parse().unwrap_or(0);
        let descriptors = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        self.0.push(Sample { kib, descriptors });
    }

    pub(crate) fn last(&self) -> Sample {
        self.0.last().copied().unwrap_or(Sample { kib: 0, descriptors: 0 })
    }

    /// The end is not above the first half.
    pub(crate) fn are_flat(&self) -> Result<(), String> {
        let half = &self.0[..self.0.len().div_ceil(2)];
        let (kib, descriptors) =
            half.iter().fold((0, 0), |most, sample| (most.0.max(sample.kib), most.1.max(sample.descriptors)));
        let end = self.last();
        if end.kib > kib + kib / 4 + SLACK_KIB || end.descriptors > descriptors + SLACK_DESCRIPTORS {
            return Err(format!("grew from {kib} KiB and {descriptors} descriptors to {end}"));
        }
        Ok(())
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |index: usize| self.0.get(index).copied().unwrap_or(self.last());
        write!(f, "start {}; middle {}; end {}", at(0), at(self.0.len() / 2), self.last())
    }
}
