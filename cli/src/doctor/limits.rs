//! Limits that only 5.0 can name: tried up to what is claimed, and one beyond.

use packetboat::{Properties, PropertiesBuf, QoS, Reason};
use packetboat_core::wire::{AckKind, Packet, Publish, encoded_len};

use super::findings::{Finding, Verdict};
use super::line::Letter;
use super::trials::{Trials, Tried, judged, refusal};
use super::trouble::Trouble;

/// More are not tried.
const HELD: u16 = 256;

impl Trials<'_> {
    pub(super) async fn aliases(&self) -> Finding {
        let claimed = self.claims().and_then(Properties::topic_alias_maximum).unwrap_or(0);
        let finding = match self.try_alias(claimed.max(1)).await {
            Ok(Ok(_)) if claimed == 0 => {
                Finding::of("topic aliases", Some(false), true, "alias 1 is taken, though none is allowed")
            }
            Ok(Ok(detail)) => Finding::of("topic aliases", Some(true), true, detail),
            tried => judged("topic aliases", Some(claimed > 0), tried),
        };
        Finding { claim: Some(claimed.to_string()), ..finding }
    }

    async fn try_alias(&self, alias: u16) -> Tried {
        let (topic, nothing) = (self.place("alias"), PropertiesBuf::new());
        let mut with_alias = PropertiesBuf::new();
        // It is not zero.
        let _ = with_alias.topic_alias(alias);
        let (mut ear, mut mouth) = (self.line().await?, self.line().await?);
        let reason = ear.subscribe(&topic, QoS::AtMostOnce, &nothing).await?;
        if reason.is_error() {
            return refusal(reason);
        }
        for topic in [topic.as_str(), ""] {
            let letter =
                Letter { topic, payload: b"", qos: QoS::AtMostOnce, retain: false, properties: &with_alias };
            mouth.publish(&letter).await?;
            let Some(arrival) = ear.arrival().await? else {
                return Ok(Err("the message does not come".into()));
            };
            if arrival.topic != self.place("alias") {
                return Ok(Err("the message comes on another topic".into()));
            }
        }
        ear.goodbye().await;
        mouth.goodbye().await;
        Ok(Ok(format!("alias {alias} works")))
    }

    pub(super) async fn largest_packet(&self) -> Finding {
        const NAME: &str = "largest packet";
        let claimed = self.claims().and_then(Properties::maximum_packet_size);
        let said = Some(claimed.map_or("no limit".to_owned(), |bytes| bytes.to_string()));
        let most = claimed.unwrap_or(u32::MAX).min(self.largest);
        let mut size = most;
        let (got, why) = loop {
            match self.try_packet(size).await {
                Ok(Ok(_)) => break (size, None),
                Err(trouble @ Trouble::Disconnected(Reason::NOT_AUTHORIZED)) => {
                    return Finding::unknown(NAME, said, trouble.to_string());
                }
                Ok(Err(why)) if size <= 1024 => break (0, Some(why)),
                Err(trouble) if size <= 1024 => break (0, Some(trouble.to_string())),
                _ => size = (size / 2).max(1024.min(most)),
            }
        };
        if let Some(why) = why {
            return Finding::measured(
                NAME,
                said,
                format!("not even one of 1024 bytes: {why}"),
                Verdict::Differs,
            );
        }
        if got < most {
            let found = format!("{got} bytes come, {most} do not");
            return Finding::measured(NAME, said, found, Verdict::Differs);
        }
        // One more byte than is allowed.
        let Some(beyond) =
            claimed.filter(|claimed| *claimed <= self.largest).and_then(|bytes| bytes.checked_add(1))
        else {
            return Finding::measured(
                NAME,
                said,
                format!("{got} bytes come, more was not tried"),
                Verdict::Works,
            );
        };
        match self.try_packet(beyond).await {
            Ok(Ok(_)) => Finding::measured(
                NAME,
                said,
                format!("{got} bytes come, and so do {beyond}"),
                Verdict::Differs,
            ),
            _ => Finding::measured(NAME, said, format!("{got} bytes come, {beyond} do not"), Verdict::Works),
        }
    }

    /// A PUBLISH of exactly this size.
    async fn try_packet(&self, size: u32) -> Tried {
        let (topic, nothing) = (self.place("large"), PropertiesBuf::new());
        let (mut ear, mut mouth) = (self.line().await?, self.line().await?);
        let reason = ear.subscribe(&topic, QoS::AtMostOnce, &nothing).await?;
        if reason.is_error() {
            return refusal(reason);
        }
        let length = |payload: &[u8]| {
            encoded_len(
                self.version,
                &Packet::Publish(Publish {
                    dup: false,
                    retain: false,
                    qos: QoS::AtMostOnce,
                    topic: &topic,
                    id: None,
                    properties: nothing.as_properties(),
                    payload,
                }),
            )
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let mut payload = vec![b'.'; size.saturating_sub(length(b""))];
        // The length of the length grows with it.
        while length(&payload) > size && !payload.is_empty() {
            payload.truncate(payload.len() - 1);
        }
        let letter = Letter {
            topic: &topic,
            payload: &payload,
            qos: QoS::AtMostOnce,
            retain: false,
            properties: &nothing,
        };
        mouth.publish(&letter).await?;
        let arrival = ear.arrival().await?;
        ear.goodbye().await;
        mouth.goodbye().await;
        Ok(match arrival {
            Some(arrival) if arrival.payload == payload => Ok(String::new()),
            Some(_) => Err("it comes changed".into()),
            None => Err("it does not come".into()),
        })
    }

    /// Messages of QoS 2 that are begun and not finished, at once.
    pub(super) async fn receive_maximum(&self) -> Finding {
        const NAME: &str = "receive maximum";
        let claimed = self.claims().and_then(Properties::receive_maximum).unwrap_or(u16::MAX);
        let said = Some(claimed.to_string());
        if self.claims().and_then(Properties::maximum_qos).is_some_and(|maximum| maximum < QoS::ExactlyOnce) {
            return Finding::unknown(NAME, said, "only QoS 2 shows it");
        }
        let most = claimed.min(HELD);
        match self.try_holding(most).await {
            Ok(reason @ Reason::NOT_AUTHORIZED)
            | Err(Trouble::Disconnected(reason @ Reason::NOT_AUTHORIZED)) => {
                return Finding::unknown(NAME, said, reason.to_string());
            }
            Err(trouble) => {
                let found = format!("{most} at once are too many: {trouble}");
                return Finding::measured(NAME, said, found, Verdict::Differs);
            }
            Ok(reason) if reason.is_error() => {
                let found = format!("{most} at once are too many: {reason}");
                return Finding::measured(NAME, said, found, Verdict::Differs);
            }
            Ok(_) if claimed > HELD => {
                let found = format!("{most} at once are taken, more was not tried");
                return Finding::measured(NAME, said, found, Verdict::Works);
            }
            Ok(_) => {}
        }
        let beyond = most + 1;
        let found = match self.try_holding(beyond).await {
            Ok(reason) if !reason.is_error() => format!("{most} at once are taken, and so are {beyond}"),
            Ok(reason) => format!("{most} at once are taken, {beyond} are not: {reason}"),
            Err(trouble) => format!("{most} at once are taken, {beyond} are not: {trouble}"),
        };
        // A broker may be generous.
        Finding::measured(NAME, said, found, Verdict::Works)
    }

    /// The worst reason. All that were begun are finished.
    async fn try_holding(&self, count: u16) -> Result<Reason, Trouble> {
        let (topic, nothing) = (self.place("held"), PropertiesBuf::new());
        let mut mouth = self.line().await?;
        let letter = Letter {
            topic: &topic,
            payload: b"",
            qos: QoS::ExactlyOnce,
            retain: false,
            properties: &nothing,
        };
        let mut ids = Vec::new();
        let mut worst = Reason::SUCCESS;
        for _ in 0..count {
            ids.extend(mouth.begin(&letter).await?);
        }
        let mut held = Vec::new();
        for id in ids {
            let reason = mouth.acknowledged(AckKind::Pubrec, id).await?;
            if reason.is_error() { worst = reason } else { held.push(id) }
        }
        for id in held {
            mouth.release(id).await?;
        }
        mouth.goodbye().await;
        Ok(worst)
    }
}
