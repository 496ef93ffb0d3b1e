//! What attempts leave behind that are broken off: counted. For programs of one test, since descriptors and memory are the process's.

use std::time::Duration;

use packetboat::{Client, Options};
use tokio::sync::oneshot;

/// An attempt that is dropped when this is told.
pub(crate) async fn attempt_until(options: Options, told: oneshot::Receiver<()>, name: &str) {
    tokio::select! {
        biased;
        attempt = Client::connect(options) => panic!("{name}: {:?}", attempt.map(drop)),
        said = told => said.unwrap(),
    }
    // Its task sees that nobody waits any more.
    let metrics = tokio::runtime::Handle::current().metrics();
    let gone = async {
        while metrics.num_alive_tasks() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(40), gone).await.expect("a task is left behind");
}

/// Does this so often, and panics if descriptors are open or a megabyte is taken that was not before.
pub(crate) async fn leave_nothing(rounds: usize, attempts: impl AsyncFn()) {
    // What is made once is made now.
    attempts().await;
    attempts().await;
    let before = (descriptors(), resident_bytes());
    for _ in 0..rounds {
        attempts().await;
    }
    assert_eq!(descriptors(), before.0, "descriptors");
    let grown = resident_bytes().saturating_sub(before.1);
    // Were only those of TLS left in the client's test, they would be 1.7 MB.
    assert!(grown < 1 << 20, "{grown} bytes more after {rounds} rounds");
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Counted page by page: on a kernel before 6.16 `statm` is off by some pages for each processor.
fn resident_bytes() -> usize {
    let sums = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = sums.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() << 10
}
