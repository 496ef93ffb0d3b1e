//! What has to be taken away again, whatever becomes of the trials.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use packetboat::{PropertiesBuf, QoS, Version};

use super::line::{Desk, Greeting, Letter};
use super::trouble::Trouble;

/// Noted before it is made.
#[derive(Debug, Default)]
pub(super) struct Debts(Mutex<BTreeMap<(What, String), Version>>);

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum What {
    Retained,
    Session,
}

impl Debts {
    pub(super) fn retained(&self, version: Version, topic: &str) {
        self.note(What::Retained, version, topic);
    }

    pub(super) fn session(&self, version: Version, id: &str) {
        self.note(What::Session, version, id);
    }

    /// It is known to be gone.
    pub(super) fn settled(&self, topic: &str) {
        self.all().remove(&(What::Retained, topic.to_owned()));
    }

    fn note(&self, what: What, version: Version, name: &str) {
        self.all().insert((what, name.to_owned()), version);
    }

    fn all(&self) -> std::sync::MutexGuard<'_, BTreeMap<(What, String), Version>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Take everything away. Gives what may be there still.
    pub(super) async fn settle(&self, desk: &Desk, names: &str) -> Vec<String> {
        let all = std::mem::take(&mut *self.all());
        let mut left = Vec::new();
        for ((what, name), version) in all {
            let nothing = PropertiesBuf::new();
            let id = if what == What::Session { name.clone() } else { format!("{names}end") };
            let greeting =
                Greeting { version, id, clean: true, keep_alive: 60, will: None, properties: nothing };
            let (done, kind) = match what {
                // A clean start ends the session there was, and the new one ends with its connection.
                What::Session => (desk.call(&greeting).await.map(|(line, _)| line), "a session of"),
                What::Retained => (remove(desk, &greeting, &name).await, "a retained message on"),
            };
            match done {
                Ok(line) => line.goodbye().await,
                Err(trouble) => left.push(format!("{kind} {name}: {trouble}")),
            }
        }
        left
    }
}

async fn remove(desk: &Desk, greeting: &Greeting, topic: &str) -> Result<super::line::Line, Trouble> {
    let (mut line, welcome) = desk.call(greeting).await?;
    let properties = PropertiesBuf::new();
    // A broker that keeps none, and says so, has none to remove.
    if welcome.properties.as_properties().retain_available() != Some(false) {
        let (payload, qos) = (b"", QoS::AtMostOnce);
        line.publish(&Letter { topic, payload, qos, retain: true, properties: &properties }).await?;
    }
    Ok(line)
}
