//! Exact sequences without jitter; bounds, spread and repeatability with it.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::{Backoff, BackoffOptions, Delays, Jitter, Next, Renewal};
use crate::time::Instant;

const START: Instant = Instant(1_000_000);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn delays(minimum: u64, maximum: u64) -> Delays {
    Delays::new(seconds(minimum), seconds(maximum))
}

fn exact(servers: &[(u64, u64)]) -> Backoff {
    let servers = servers.iter().map(|&(minimum, maximum)| delays(minimum, maximum));
    Backoff::new(BackoffOptions::new(servers).jitter(Jitter::None), 0)
}

/// A driver: attempts when told to, and keeps the time.
struct Driver {
    backoff: Backoff,
    now: Instant,
}

impl Driver {
    fn new(backoff: Backoff) -> Self {
        Self { backoff, now: START }
    }

    /// The wait and the server after `next`, or None for giving up. Waits.
    fn follow(&mut self, next: Next) -> Option<(Duration, usize)> {
        let Next::WaitUntil { at, server } = next else {
            assert!(self.backoff.has_given_up());
            assert_eq!(self.backoff.deadline(), None);
            return None;
        };
        assert_eq!((self.backoff.deadline(), self.backoff.server()), (Some(at), server));
        let wait = at.since(self.now);
        self.now = at;
        Some((wait, server))
    }

    fn fail(&mut self) -> Option<(Duration, usize)> {
        let next = self.backoff.failed(self.now);
        self.follow(next)
    }

    fn connect_for(&mut self, duration: Duration) -> Option<(Duration, usize)> {
        self.backoff.connected(self.now);
        assert_eq!(self.backoff.deadline(), None);
        self.now = self.now + duration;
        let next = self.backoff.lost(self.now);
        self.follow(next)
    }

    fn fail_times(&mut self, times: usize) -> Vec<(u64, usize)> {
        (0..times).map(|_| self.fail().unwrap()).map(|(wait, server)| (wait.as_secs(), server)).collect()
    }
}

#[test]
fn the_exact_waits_of_one_server() {
    // Mongoose OS: 2, 4, 8, 16, 32, 60 (five-systems.md 5c).
    let mut driver = Driver::new(exact(&[(2, 60)]));
    assert_eq!((driver.backoff.server(), driver.backoff.attempt(), driver.backoff.deadline()), (0, 0, None));
    let waits: Vec<u64> = driver.fail_times(8).into_iter().map(|wait| wait.0).collect();
    assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!((driver.backoff.server(), driver.backoff.attempt()), (0, 8));
}

#[test]
fn the_defaults() {
    let mut driver = Driver::new(Backoff::new(BackoffOptions::default().jitter(Jitter::None), 0));
    let waits: Vec<u64> = driver.fail_times(9).into_iter().map(|wait| wait.0).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 120, 120]);
    assert_eq!(
        BackoffOptions::default(),
        BackoffOptions::new([delays(1, 120)]).jitter(Jitter::Full).stable_after(seconds(30))
    );
}

/// The attempt after the 60 s wait fails: the other server, whose first wait is its own minimum; and back likewise.
#[test]
fn the_next_server_after_the_attempt_that_followed_the_longest_wait() {
    let mut driver = Driver::new(exact(&[(2, 60), (1, 3)]));
    let once = [(2, 0), (4, 0), (8, 0), (16, 0), (32, 0), (60, 0), (1, 1), (2, 1), (3, 1)];
    assert_eq!(driver.fail_times(9), once);
    assert_eq!(driver.fail_times(9), once);
    assert_eq!(driver.backoff.attempt(), 18);
}

#[test]
fn servers_whose_shortest_wait_is_the_longest_take_turns() {
    let mut driver = Driver::new(exact(&[(5, 5), (7, 3), (1, 2)]));
    assert_eq!(driver.fail_times(6), [(5, 0), (7, 1), (1, 2), (2, 2), (5, 0), (7, 1)]);
}

#[test]
fn a_server_is_kept_while_it_works() {
    let mut driver = Driver::new(exact(&[(1, 2), (3, 60)]));
    assert_eq!(driver.fail_times(3), [(1, 0), (2, 0), (3, 1)]);
    for _ in 0..5 {
        assert_eq!(driver.connect_for(seconds(100)), Some((seconds(3), 1)));
    }
    assert_eq!(driver.backoff.attempt(), 1);
    assert_eq!(driver.fail(), Some((seconds(6), 1)));
}

/// AWS Device Advisor: drops that follow successful connects keep backing off.
#[test]
fn only_a_stable_connection_ends_a_run_of_failures() {
    let mut driver = Driver::new(exact(&[(1, 60)]));
    assert_eq!(driver.fail_times(2), [(1, 0), (2, 0)]);
    let almost = Duration::from_millis(29_999);
    for wait in [4, 8, 16, 32, 60, 60] {
        assert_eq!(driver.connect_for(almost), Some((seconds(wait), 0)));
    }
    assert_eq!(driver.backoff.attempt(), 8);
    assert_eq!(driver.connect_for(seconds(30)), Some((seconds(1), 0)));
    assert_eq!(driver.backoff.attempt(), 1);
    assert_eq!(driver.fail(), Some((seconds(2), 0)));
}

#[test]
fn a_server_that_never_proves_stable_is_left() {
    let mut driver = Driver::new(exact(&[(1, 2), (1, 2)]));
    let servers: Vec<usize> = (0..5).map(|_| driver.connect_for(seconds(1)).unwrap().1).collect();
    assert_eq!(servers, [0, 0, 1, 1, 0]);
}

#[test]
fn the_stable_period_is_an_option() {
    let options = BackoffOptions::new([delays(1, 60)]).jitter(Jitter::None).stable_after(seconds(5));
    let mut driver = Driver::new(Backoff::new(options, 0));
    assert_eq!(driver.fail_times(3), [(1, 0), (2, 0), (4, 0)]);
    assert_eq!(driver.connect_for(seconds(5)), Some((seconds(1), 0)));
}

#[test]
fn the_retry_limit_counts_over_servers_and_from_the_last_stable_connection() {
    let options = BackoffOptions::new([delays(1, 2), delays(1, 2)]).jitter(Jitter::None).retry_limit(3);
    let mut driver = Driver::new(Backoff::new(options, 0));
    assert_eq!(driver.fail_times(3), [(1, 0), (2, 0), (1, 1)]);
    assert_eq!(driver.fail(), None);
    assert_eq!(driver.fail(), None);
    assert_eq!(driver.backoff.attempt(), 3);

    driver.backoff.restart();
    assert_eq!(
        (driver.backoff.server(), driver.backoff.attempt(), driver.backoff.has_given_up()),
        (1, 0, false)
    );
    assert_eq!(driver.fail_times(2), [(1, 1), (2, 1)]);
    assert_eq!(driver.connect_for(seconds(30)), Some((seconds(1), 1)));
    assert_eq!(driver.fail_times(2), [(2, 1), (1, 0)]);
    assert_eq!(driver.connect_for(seconds(1)), None);
}

#[test]
fn without_retries_the_first_failure_is_final() {
    let options = BackoffOptions::default().retry_limit(0);
    assert_eq!(Driver::new(Backoff::new(options.clone(), 0)).fail(), None);
    assert_eq!(Driver::new(Backoff::new(options, 0)).connect_for(seconds(1_000)), None);
}

#[test]
fn connect_now_ends_the_wait_and_forgets_nothing() {
    let mut driver = Driver::new(exact(&[(1, 60)]));
    driver.backoff.connect_now(START);
    assert_eq!(driver.backoff.deadline(), None);
    assert_eq!(driver.fail_times(4), [(1, 0), (2, 0), (4, 0), (8, 0)]);
    let _ = driver.backoff.failed(driver.now);
    driver.backoff.connect_now(driver.now + seconds(3));
    assert_eq!(driver.backoff.deadline(), Some(driver.now + seconds(3)));
    // A hint that comes after the wait does not put the attempt off.
    driver.backoff.connect_now(driver.now + seconds(5));
    assert_eq!(driver.backoff.deadline(), Some(driver.now + seconds(3)));
    assert_eq!(driver.backoff.attempt(), 5);
    assert_eq!(driver.fail(), Some((seconds(32), 0)));
    driver.backoff.connected(driver.now);
    driver.backoff.connect_now(driver.now);
    assert_eq!(driver.backoff.deadline(), None);
}

/// All waits of many clients after the same number of failures, in milliseconds, sorted.
fn waits_after(jitter: Jitter, failures: usize) -> Vec<u128> {
    let wait = |seed: u64| {
        let mut driver = Driver::new(Backoff::new(BackoffOptions::new([delays(2, 60)]).jitter(jitter), seed));
        (0..failures).map(|_| driver.fail().unwrap().0.as_millis()).last().unwrap()
    };
    let mut waits: Vec<u128> = (0..2_000).map(wait).collect();
    waits.sort_unstable();
    waits
}

#[test]
fn full_jitter_fills_the_whole_range_below_the_delay() {
    for (failures, delay) in [(1, 2_000), (2, 4_000), (4, 16_000), (6, 60_000), (9, 60_000)] {
        let waits = waits_after(Jitter::Full, failures);
        assert!(
            waits[0] < delay / 50 && waits[1_999] <= delay && waits[1_999] > delay - delay / 50,
            "{failures}"
        );
        assert!((delay * 4 / 10..delay * 6 / 10).contains(&waits[1_000]), "{failures}");
    }
}

#[test]
fn proportional_jitter_shortens_by_at_most_its_share() {
    for (failures, delay) in [(1, 2_000), (3, 8_000), (6, 60_000)] {
        let waits = waits_after(Jitter::Proportional { per_mille: 100 }, failures);
        assert!(waits[0] >= delay * 9 / 10 && waits[0] < delay * 91 / 100, "{failures}: {}", waits[0]);
        assert!(waits[1_999] <= delay && waits[1_999] > delay * 99 / 100, "{failures}: {}", waits[1_999]);
    }
    assert!(waits_after(Jitter::Proportional { per_mille: 0 }, 2).iter().all(|&wait| wait == 4_000));
    assert!(waits_after(Jitter::Proportional { per_mille: u16::MAX }, 2)[0] < 100);
}

#[test]
fn decorrelated_jitter_is_between_the_minimum_and_three_times_the_last_wait() {
    for seed in 0..500 {
        let mut driver = Driver::new(Backoff::new(
            BackoffOptions::new([delays(2, 60)]).jitter(Jitter::Decorrelated),
            seed,
        ));
        let mut last = seconds(2);
        for _ in 0..30 {
            let wait = driver.fail().unwrap().0;
            assert!(wait >= seconds(2) && wait <= (last * 3).min(seconds(60)), "{wait:?} after {last:?}");
            last = wait;
        }
    }
    let first = waits_after(Jitter::Decorrelated, 1);
    assert!(first[0] < 2_100 && first[1_999] > 5_900);
    let later = waits_after(Jitter::Decorrelated, 20);
    assert!(later[0] < 3_000 && later[1_999] > 55_000);
}

/// Every jitter leaves a dead server for the next: by bounds, not by what chance made of them.
#[test]
fn every_jitter_reaches_the_next_server() {
    for jitter in [Jitter::Full, Jitter::Decorrelated, Jitter::Proportional { per_mille: 100 }, Jitter::None]
    {
        for seed in 0..100 {
            let options = BackoffOptions::new([delays(1, 60), delays(1, 60)]).jitter(jitter);
            let mut driver = Driver::new(Backoff::new(options, seed));
            let failures = (1..100).find(|_| driver.fail().unwrap().1 == 1);
            let as_expected =
                if jitter == Jitter::Decorrelated { failures.is_some() } else { failures == Some(8) };
            assert!(as_expected, "{jitter:?}: {failures:?}");
        }
    }
}

#[test]
fn a_seed_repeats_and_seeds_differ() {
    let waits = |seed: u64| {
        let mut driver = Driver::new(Backoff::new(BackoffOptions::default(), seed));
        let mut waits = vec![];
        for round in 0..40 {
            waits.push(if round % 7 == 6 { driver.connect_for(seconds(60)) } else { driver.fail() });
        }
        waits
    };
    assert_eq!(waits(1), waits(1));
    assert_ne!(waits(1), waits(2));
}

#[test]
fn extreme_values_are_no_trap() {
    let servers = [Delays::new(Duration::ZERO, Duration::ZERO), Delays::new(Duration::MAX, Duration::ZERO)];
    for jitter in
        [Jitter::Full, Jitter::Decorrelated, Jitter::Proportional { per_mille: 1_000 }, Jitter::None]
    {
        let mut backoff = Backoff::new(BackoffOptions::new(servers).jitter(jitter), 3);
        for _ in 0..10 {
            let Next::WaitUntil { .. } = backoff.failed(Instant(u64::MAX - 1)) else {
                panic!("no limit was set")
            };
        }
        // A loss without a connection, and a clock that stands still.
        let _ = backoff.lost(START);
        backoff.connected(START);
        let _ = backoff.lost(START);
        assert_eq!(backoff.attempt(), 12);
    }
    assert_eq!(
        Delays::new(Duration::ZERO, Duration::ZERO),
        Delays::new(Duration::from_millis(1), Duration::from_millis(1))
    );
}

/// A wrong password does not become right by asking often; another server may take it.
#[test]
fn a_refusal_waits_longest_at_once_and_then_the_next_server_has_its_turn() {
    let mut driver = Driver::new(exact(&[(2, 60), (1, 3)]));
    let next = driver.backoff.refused(driver.now);
    assert_eq!(driver.follow(next), Some((seconds(60), 0)));
    let next = driver.backoff.refused(driver.now);
    assert_eq!(driver.follow(next), Some((seconds(1), 1)), "its own minimum");
    assert_eq!(driver.fail_times(3), [(2, 1), (3, 1), (2, 0)]);
    for seed in 0..200 {
        let mut backoff = Backoff::new(BackoffOptions::new([delays(1, 60)]), seed);
        let Next::WaitUntil { at, .. } = backoff.refused(START) else { panic!("no limit was set") };
        assert!((seconds(30)..=seconds(60)).contains(&at.since(START)), "slowly, whatever the jitter");
    }
}

#[test]
fn a_server_that_sends_us_away_is_left_for_the_next_one() {
    let mut driver = Driver::new(exact(&[(2, 60), (1, 3)]));
    let next = driver.backoff.sent_away(driver.now);
    assert_eq!(driver.follow(next), Some((seconds(1), 1)));
    let mut alone = Driver::new(exact(&[(2, 60)]));
    let next = alone.backoff.sent_away(alone.now);
    assert_eq!(alone.follow(next), Some((seconds(60), 0)));
}

/// Two clients with one identifier: however long each connection stood, the waits grow.
#[test]
fn a_connection_taken_over_ends_no_run_of_failures() {
    let mut driver = Driver::new(exact(&[(1, 8)]));
    for wait in [1, 2, 4, 8, 8] {
        driver.backoff.connected(driver.now);
        driver.now = driver.now + seconds(1_000);
        assert_eq!(driver.fail(), Some((seconds(wait), 0)));
    }
}

#[test]
fn a_connection_is_renewed_once_when_its_time_is_over() {
    let options = BackoffOptions::default().jitter(Jitter::None).renew_after(seconds(3_600));
    let mut backoff = Backoff::new(options, 0);
    assert_eq!(backoff.renewal_deadline(), None);
    backoff.connected(START);
    let due = START + seconds(3_600);
    assert_eq!(backoff.renewal_deadline(), Some(due));
    assert_eq!(backoff.renewal(START + seconds(3_599)), None);
    assert_eq!(backoff.renewal(due), Some(Renewal::Scheduled));
    assert_eq!((backoff.renewal(due), backoff.renewal_deadline()), (None, None));
    backoff.renewed(Renewal::Scheduled);
    assert_eq!((backoff.deadline(), backoff.attempt(), backoff.server()), (None, 0, 0));
    backoff.connected(due);
    assert_eq!(backoff.renewal_deadline(), Some(due + seconds(3_600)));
    for seed in 0..100 {
        let mut backoff = Backoff::new(BackoffOptions::default().renew_after(seconds(1_000)), seed);
        backoff.connected(START);
        let after = backoff.renewal_deadline().unwrap().since(START);
        assert!((seconds(900)..=seconds(1_000)).contains(&after), "{after:?}");
    }
}

#[test]
fn the_first_server_is_returned_to_only_if_asked_and_left_again_at_once_if_it_is_not_back() {
    let servers = || [delays(1, 2), delays(3, 60)];
    let options =
        BackoffOptions::new(servers()).jitter(Jitter::None).return_after(seconds(600)).retry_limit(5);
    let mut driver = Driver::new(Backoff::new(options, 0));
    driver.backoff.connected(driver.now);
    assert_eq!(driver.backoff.renewal_deadline(), None, "it is the first one");
    assert_eq!(driver.fail_times(3), [(1, 0), (2, 0), (3, 1)]);
    driver.backoff.connected(driver.now);
    driver.now = driver.now + seconds(600);
    assert_eq!(driver.backoff.renewal(driver.now), Some(Renewal::ToFirstServer));
    driver.backoff.renewed(Renewal::ToFirstServer);
    assert_eq!((driver.backoff.server(), driver.backoff.deadline()), (0, None));
    assert_eq!(driver.fail(), Some((Duration::ZERO, 1)), "it works");
    assert_eq!(driver.backoff.attempt(), 0, "no retry");
    assert_eq!(driver.fail(), Some((seconds(3), 1)));
    driver.backoff.connected(driver.now);
    driver.now = driver.now + seconds(600);
    assert_eq!(driver.backoff.renewal(driver.now), Some(Renewal::ToFirstServer));
    driver.backoff.renewed(Renewal::ToFirstServer);
    driver.backoff.connected(driver.now);
    assert_eq!(driver.backoff.renewal_deadline(), None);
    assert_eq!(driver.connect_for(seconds(100)), Some((seconds(1), 0)), "back at home, its own minimum");
}
