//! What is compared: everything but who does it.

use crate::job::Workload::{self, Fleet, Floods, Idle, Mixed, Publish, Receive, RoundTrip, Tasks};
use crate::job::{KNOWN_TOPICS, NEW_TOPICS};

/// One comparison.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Setting {
    pub workload: Workload,
    /// Zero where nothing is acknowledged.
    pub window: u16,
    pub payload: usize,
    /// What the workload says: topics, tasks.
    pub size: u32,
    /// Over TLS, beside the same through bare rustls.
    pub tls: bool,
}

const WINDOW: u16 = 1000;
const SMALL: usize = 64;

impl Setting {
    /// As the table of targets has it.
    pub fn of(workload: Workload) -> Self {
        let acknowledged = matches!(workload, Publish(1 | 2) | Receive(1 | 2) | Mixed(1 | 2) | Tasks(1 | 2));
        Self { workload, window: if acknowledged { WINDOW } else { 0 }, payload: SMALL, size: 0, tls: false }
    }
}

/// What a timed run does if it is not told.
pub fn timed() -> Vec<Setting> {
    let of = Setting::of;
    let mut settings = vec![
        of(Publish(0)),
        Setting { window: 100, ..of(Publish(1)) },
        of(Publish(1)),
        of(Publish(2)),
        of(Receive(0)),
        of(Receive(1)),
        of(Receive(2)),
        Setting { size: KNOWN_TOPICS as u32, ..of(Mixed(0)) },
        Setting { size: NEW_TOPICS as u32, ..of(Mixed(0)) },
        Setting { size: KNOWN_TOPICS as u32, ..of(Mixed(1)) },
        of(RoundTrip(0)),
        of(RoundTrip(1)),
        Setting { payload: 16 << 10, ..of(Publish(0)) },
        Setting { payload: 1 << 20, ..of(Publish(0)) },
        of(Idle(0)),
        of(Idle(1)),
        Setting { tls: true, ..of(Publish(0)) },
        Setting { tls: true, payload: 16 << 10, ..of(Publish(0)) },
        Setting { tls: true, ..of(Idle(0)) },
        of(Floods),
        of(Fleet),
    ];
    for size in [1, 2, 8, 64] {
        settings.extend([0, 1].map(|qos| Setting { size, ..of(Tasks(qos)) }));
    }
    settings
}

/// What is counted if it is not told.
pub fn counted() -> Vec<Setting> {
    let mut settings: Vec<Setting> =
        [0, 1, 2].map(Publish).into_iter().chain([0, 1, 2].map(Receive)).map(Setting::of).collect();
    settings.push(Setting { size: KNOWN_TOPICS as u32, ..Setting::of(Mixed(0)) });
    settings.push(Setting { size: KNOWN_TOPICS as u32, ..Setting::of(Mixed(1)) });
    settings
}

/// The settings of these workloads, with these windows and payloads instead of their own.
pub fn choose(
    standard: Vec<Setting>,
    workloads: Option<Vec<Workload>>,
    windows: Option<&[u16]>,
    payloads: Option<&[usize]>,
) -> Vec<Setting> {
    let mut settings = standard;
    if let Some(workloads) = workloads {
        settings.retain(|setting| workloads.contains(&setting.workload));
        let missing = |workload: &&Workload| !settings.iter().any(|setting| setting.workload == **workload);
        let missing: Vec<Setting> = workloads.iter().filter(missing).copied().map(Setting::of).collect();
        settings.extend(missing);
    }
    let mut chosen = Vec::new();
    for setting in settings {
        let windows = windows.filter(|_| setting.window > 0).unwrap_or(&[]);
        let windows = if windows.is_empty() { &[setting.window] } else { windows };
        let payloads = payloads.unwrap_or(std::slice::from_ref(&setting.payload));
        for &window in windows {
            chosen.extend(payloads.iter().map(|&payload| Setting { window, payload, ..setting }));
        }
    }
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_and_payloads_replace_those_of_the_table() {
        let chosen = choose(timed(), Some(vec![Publish(0), Publish(1)]), Some(&[7]), Some(&[1]));
        let of = |workload, window| Setting { workload, window, payload: 1, size: 0, tls: false };
        let over_tls = Setting { tls: true, ..of(Publish(0), 0) };
        assert_eq!(chosen, [of(Publish(0), 0), over_tls, of(Publish(1), 7)]);
    }

    #[test]
    fn every_workload_has_a_name_of_its_own() {
        for setting in timed() {
            assert_eq!(setting.workload.to_string().parse::<Workload>().unwrap(), setting.workload);
        }
        assert!("publish3".parse::<Workload>().is_err());
        assert!("publish".parse::<Workload>().is_err());
    }
}
