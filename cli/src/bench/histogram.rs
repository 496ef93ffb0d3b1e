//! Times, sorted into buckets that are never wider than one part in 128 of what is in them.

use std::time::Duration;

const SUB_BITS: u32 = 7;
const SUB: usize = 1 << SUB_BITS;
const BUCKETS: usize = (64 - SUB_BITS as usize + 1) * SUB;

#[derive(Clone, Debug)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, longest: Duration::ZERO }
    }
}

impl Histogram {
    pub(super) fn add(&mut self, time: Duration) {
        self.counts[bucket(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))] += 1;
        self.total += 1;
        self.longest = self.longest.max(time);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn longest(&self) -> Duration {
        self.longest
    }

    /// What so many of a thousand do not exceed; `None` of nothing.
    pub(super) fn per_mille(&self, share: u64) -> Option<Duration> {
        let rank =
            u64::try_from((u128::from(self.total) * u128::from(share)).div_ceil(1000)).unwrap_or(u64::MAX);
        let mut passed = 0;
        let place = self.counts.iter().position(|count| {
            passed += count;
            *count > 0 && passed >= rank
        });
        place.map(|place| Duration::from_nanos(upper(place)).min(self.longest))
    }
}

fn bucket(value: u64) -> usize {
    let shift = (64 - value.leading_zeros()).saturating_sub(SUB_BITS + 1);
    // What is left is at most eight bits.
    shift as usize * SUB + usize::try_from(value >> shift).unwrap_or(0)
}

/// The largest value in it.
fn upper(bucket: usize) -> u64 {
    let shift = (bucket / SUB).saturating_sub(1);
    let low = u64::try_from(bucket - shift * SUB).unwrap_or(0);
    (u128::from(low + 1) << shift).saturating_sub(1).try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_and_are_narrow() {
        let mut last = None;
        for place in 0..BUCKETS {
            let high = upper(place);
            let low = last.map_or(0, |last: u64| last + 1);
            assert_eq!((bucket(low), bucket(high)), (place, place), "{low}..={high}");
            assert!(high - low <= low / 128, "{low}..={high}");
            last = Some(high);
        }
        assert_eq!(last, Some(u64::MAX));
    }

    #[test]
    fn shares_are_those_of_the_sorted_values() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.per_mille(500), None);
        for milliseconds in (1..=1000).rev() {
            histogram.add(Duration::from_millis(milliseconds));
        }
        let mut twice = Histogram::default();
        twice.merge(&histogram);
        for (share, exact) in [(500, 500), (990, 990), (1000, 1000), (1, 1)] {
            let found = twice.per_mille(share).unwrap().as_secs_f64() * 1e3;
            assert!(found >= f64::from(exact) && found <= f64::from(exact) * 1.01, "{share}: {found}");
        }
        assert_eq!(twice.longest(), Duration::from_secs(1));
        assert_eq!(twice.total(), 1000);
    }
}
