//! How busy the machine was that measured. Linux says so; elsewhere it is not known.

use std::time::Duration;

/// Processor time since some beginning, in ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// Of all processors.
    total: u64,
    idle: u64,
    /// Of this process.
    own: u64,
}

/// Shares of what all processors together could have done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) busy: f64,
    pub(super) own: f64,
}

impl Clock {
    pub(super) fn now() -> Option<Self> {
        let all = std::fs::read_to_string("/proc/stat").ok()?;
        let own = std::fs::read_to_string("/proc/self/stat").ok()?;
        Self::parse(&all, &own)
    }

    fn parse(all: &str, own: &str) -> Option<Self> {
        let ticks = all.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
        // user nice system idle iowait irq softirq steal; what follows is in user already.
        let ticks: Vec<u64> = ticks.map_while(|word| word.parse().ok()).take(8).collect();
        let idle = ticks.get(3)? + ticks.get(4)?;
        // The program's name may have blanks in it, but ends at the last bracket.
        let mut own = own.rsplit_once(')')?.1.split_whitespace().skip(11);
        let own = own.next()?.parse::<u64>().ok()? + own.next()?.parse::<u64>().ok()?;
        Some(Self { total: ticks.iter().sum(), idle, own })
    }

    pub(super) fn since(self, before: Self) -> Option<Load> {
        let total = self.total.checked_sub(before.total).filter(|total| *total > 0)?;
        let share = |ticks: u64| {
            #[allow(clippy::cast_precision_loss, reason = "ticks of a hundred years fit")]
            let share = ticks as f64 / total as f64;
            share.min(1.0)
        };
        let idle = self.idle.saturating_sub(before.idle);
        Some(Load { busy: 1.0 - share(idle), own: share(self.own.saturating_sub(before.own)) })
    }
}

/// Shorter than this says little: ticks are of 10 ms.
pub(super) const SHORTEST: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_all_processors() {
        let own = "7 (a ) b) S 1 1 1 0 -1 4194560 1 0 0 0 30 20 0 0 20 0 1 0 1";
        let before = Clock::parse("cpu  100 0 100 700 100 0 0 0 5 0\ncpu0 1", own).unwrap();
        let own = "7 (a ) b) S 1 1 1 0 -1 4194560 1 0 0 0 60 40 0 0 20 0 1 0 1";
        let after = Clock::parse("cpu  200 0 150 730 120 0 0 0 9 0\ncpu0 1", own).unwrap();
        let load = after.since(before).unwrap();
        assert!((load.busy - 0.75).abs() < 1e-9 && (load.own - 0.25).abs() < 1e-9, "{load:?}");
        assert!(before.since(before).is_none());
        assert!(Clock::parse("", own).is_none());
    }
}
