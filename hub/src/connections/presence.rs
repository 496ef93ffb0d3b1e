//! When a connection counts as there.

use std::sync::{Arc, Weak};

use packetboat::State;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::hub::Inner;

/// Follows one connection for as long as its client lives. It comes with the broker's yes, so that a refused attempt is
/// never seen, and it goes when it has been away for longer than the hub's patience.
pub(crate) async fn attend(hub: Weak<Inner>, id: Arc<str>, mut states: watch::Receiver<State>) {
    let connected = |state: &State| state.is_connected();
    let away = |state: &State| !state.is_connected();
    loop {
        let came = states.wait_for(|state| state.is_connected() || matches!(state, State::Closed)).await;
        if !came.is_ok_and(|state| state.is_connected()) {
            return;
        }
        let Some(patience) = tell(&hub, &id, true) else { return };
        loop {
            let gone = states.wait_for(away).await.map_or(true, |state| matches!(*state, State::Closed));
            if gone || tell(&hub, &id, true).is_none() {
                break;
            }
            let back = states.wait_for(|state| state.is_connected() || matches!(state, State::Closed));
            let back = timeout(patience, back).await;
            if !back.is_ok_and(|state| state.is_ok_and(|state| connected(&state))) {
                break;
            }
            // Its state is another one.
            tell(&hub, &id, true);
        }
        if tell(&hub, &id, false).is_none() {
            return;
        }
    }
}

/// How long it may be away without having gone; `None`: there is no hub any more.
fn tell(hub: &Weak<Inner>, id: &Arc<str>, present: bool) -> Option<std::time::Duration> {
    let hub = hub.upgrade()?;
    hub.set_present(id, present);
    Some(hub.patience)
}
