//! What is tried with one version: each trial on connections of its own, since a broker may end those it does not like.

use std::sync::atomic::{AtomicU32, Ordering};

use packetboat::{Properties, PropertiesBuf, QoS, Reason, Version};
use tokio::time::{Duration, Instant};

use super::debts::Debts;
use super::findings::{Finding, Verdict};
use super::line::{Arrival, Desk, Greeting, Letter, Line, Welcome};
use super::trouble::Trouble;

/// `Ok(Ok)`: it works. `Ok(Err)`: it does not, and why. `Err`: the connection came to its end over it.
pub(super) type Tried = Result<Result<String, String>, Trouble>;

pub(super) struct Trials<'a> {
    pub(super) desk: &'a Desk,
    pub(super) debts: &'a Debts,
    pub(super) version: Version,
    /// Of topics, and of client identifiers.
    pub(super) topic: &'a str,
    pub(super) names: &'a str,
    pub(super) largest: u32,
    /// What the first connection was told.
    pub(super) welcome: Welcome,
    next: AtomicU32,
}

/// How a trial ended, beside what was claimed.
pub(super) fn judged(name: &'static str, claim: Option<bool>, tried: Tried) -> Finding {
    let said = || claim.map(|claim| if claim { "yes" } else { "no" }.to_owned());
    match tried {
        Ok(Ok(detail)) => Finding::of(name, claim, true, detail),
        Ok(Err(why)) => Finding::of(name, claim, false, why),
        Err(
            trouble
            @ (Trouble::Dial(_) | Trouble::Refused(_) | Trouble::Disconnected(Reason::NOT_AUTHORIZED)),
        ) => Finding::unknown(name, said(), trouble.to_string()),
        Err(trouble) => Finding::of(name, claim, false, trouble.to_string()),
    }
}

/// What is not allowed to us says nothing about the broker.
pub(super) fn refusal(reason: Reason) -> Tried {
    if reason == Reason::NOT_AUTHORIZED {
        Err(Trouble::Disconnected(reason))
    } else {
        Ok(Err(reason.to_string()))
    }
}

impl<'a> Trials<'a> {
    pub(super) fn new(
        desk: &'a Desk,
        debts: &'a Debts,
        version: Version,
        (topic, names, largest): (&'a str, &'a str, u32),
        welcome: Welcome,
    ) -> Self {
        Self { desk, debts, version, topic, names, largest, welcome, next: AtomicU32::new(0) }
    }

    pub(super) fn greeting(&self) -> Greeting {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}{}{number}", self.names, self.version.level());
        let properties = PropertiesBuf::new();
        Greeting { version: self.version, id, clean: true, keep_alive: 60, will: None, properties }
    }

    pub(super) async fn line(&self) -> Result<Line, Trouble> {
        Ok(self.desk.call(&self.greeting()).await?.0)
    }

    pub(super) fn place(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.topic, self.version.level())
    }

    /// What CONNACK claims, where it can claim anything.
    pub(super) fn claims(&self) -> Option<Properties<'_>> {
        self.version.has_properties().then(|| self.welcome.properties.as_properties())
    }

    fn claimed_qos(&self) -> Option<QoS> {
        self.claims().map(|said| said.maximum_qos().unwrap_or(QoS::ExactlyOnce))
    }

    /// Subscribe to a topic and publish on it: what comes.
    async fn echo(&self, name: &str, filter: &str, qos: QoS, asked: &PropertiesBuf) -> Result<Echo, Trouble> {
        let (topic, nothing) = (self.place(name), PropertiesBuf::new());
        let (mut ear, mut mouth) = (self.line().await?, self.line().await?);
        let granted = ear.subscribe(filter, qos, asked).await?;
        if granted.is_error() {
            return Ok(Echo::Refused(granted));
        }
        let payload = name.as_bytes();
        let letter = Letter { topic: &topic, payload, qos, retain: false, properties: &nothing };
        let reason = mouth.publish(&letter).await?;
        if reason.is_error() {
            return Ok(Echo::Refused(reason));
        }
        let arrival = ear.arrival().await?;
        ear.goodbye().await;
        mouth.goodbye().await;
        Ok(arrival.map_or(Echo::Nothing, Echo::Came))
    }

    pub(super) async fn qos(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let levels = [("QoS 0", QoS::AtMostOnce), ("QoS 1", QoS::AtLeastOnce), ("QoS 2", QoS::ExactlyOnce)];
        for (name, qos) in levels {
            let place = format!("qos{}", qos as u8);
            let echo = self.echo(&place, &self.place(&place), qos, &PropertiesBuf::new()).await;
            let tried = echo.map_or_else(Err, |echo| match echo {
                Echo::Came(arrival) if arrival.qos == qos => Ok(Ok(String::new())),
                Echo::Came(arrival) => Ok(Err(format!("it came with QoS {}", arrival.qos as u8))),
                other => other.tried(),
            });
            findings.push(judged(name, self.claimed_qos().map(|maximum| maximum >= qos), tried));
        }
        findings
    }

    pub(super) async fn wildcards(&self) -> Finding {
        let claim = self.claims().map(|said| said.wildcard_subscription_available().unwrap_or(true));
        let mut tried = Ok(Ok(String::new()));
        for filter in ["wild/+/end", "wild/#"] {
            let echo =
                self.echo("wild/x/end", &self.place(filter), QoS::AtMostOnce, &PropertiesBuf::new()).await;
            tried = echo.map_or_else(Err, Echo::tried);
            if !matches!(tried, Ok(Ok(_))) {
                break;
            }
        }
        judged("wildcards", claim, tried)
    }

    pub(super) async fn identifiers(&self) -> Finding {
        const IDENTIFIER: u32 = 77;
        let claim = self.claims().map(|said| said.subscription_identifier_available().unwrap_or(true));
        let mut asked = PropertiesBuf::new();
        // It is neither zero nor too large.
        let _ = asked.subscription_identifier(IDENTIFIER);
        let echo = self.echo("identifier", &self.place("identifier"), QoS::AtMostOnce, &asked).await;
        let tried = echo.map_or_else(Err, |echo| match echo {
            Echo::Came(arrival) if arrival.identifiers == [IDENTIFIER] => Ok(Ok(String::new())),
            Echo::Came(_) => Ok(Err("the message comes without it".into())),
            other => other.tried(),
        });
        judged("subscription identifiers", claim, tried)
    }

    pub(super) async fn retained(&self) -> Finding {
        let claim = self.claims().map(|said| said.retain_available().unwrap_or(true));
        judged("retained messages", claim, self.try_retained().await)
    }

    async fn try_retained(&self) -> Tried {
        let (topic, nothing) = (self.place("retained"), PropertiesBuf::new());
        self.debts.retained(self.version, &topic);
        let letter = Letter {
            topic: &topic,
            payload: b"kept",
            qos: QoS::AtMostOnce,
            retain: true,
            properties: &nothing,
        };
        let mut mouth = self.line().await?;
        mouth.publish(&letter).await?;
        let mut ear = self.line().await?;
        let reason = ear.subscribe(&topic, QoS::AtMostOnce, &nothing).await?;
        if reason.is_error() {
            return refusal(reason);
        }
        let kept = ear.arrival().await?;
        ear.goodbye().await;
        let Some(kept) = kept else { return Ok(Err("it is not there for a later subscriber".into())) };
        if !kept.retain {
            return Ok(Err("it comes without the retain flag".into()));
        }
        mouth.publish(&Letter { payload: b"", ..letter }).await?;
        mouth.goodbye().await;
        let mut later = self.line().await?;
        later.subscribe(&topic, QoS::AtMostOnce, &nothing).await?;
        let still = later.arrived().await?;
        later.goodbye().await;
        if !still.is_empty() {
            return Ok(Err("an empty message does not remove it".into()));
        }
        self.debts.settled(&topic);
        Ok(Ok(String::new()))
    }

    pub(super) async fn shared(&self) -> Finding {
        let claim = self.claims().map(|said| said.shared_subscription_available().unwrap_or(true));
        judged("shared subscriptions", claim, self.try_shared().await)
    }

    /// Two share: every message comes once.
    async fn try_shared(&self) -> Tried {
        const MESSAGES: usize = 6;
        let (topic, nothing) = (self.place("shared"), PropertiesBuf::new());
        let filter = format!("$share/doctor/{topic}");
        let (mut one, mut other, mut mouth) = (self.line().await?, self.line().await?, self.line().await?);
        for ear in [&mut one, &mut other] {
            let reason = ear.subscribe(&filter, QoS::AtMostOnce, &nothing).await?;
            if reason.is_error() {
                return refusal(reason);
            }
        }
        for _ in 0..MESSAGES {
            let letter = Letter {
                topic: &topic,
                payload: b"",
                qos: QoS::AtMostOnce,
                retain: false,
                properties: &nothing,
            };
            mouth.publish(&letter).await?;
        }
        let until = Instant::now() + self.desk.patience;
        let (mut first, mut second) = (0, 0);
        while first + second < MESSAGES && Instant::now() < until {
            first += one.arrived().await?.len();
            second += other.arrived().await?.len();
        }
        first += one.arrived().await?.len();
        second += other.arrived().await?.len();
        for line in [one, other, mouth] {
            line.goodbye().await;
        }
        Ok(match first + second {
            MESSAGES => Ok(format!("{MESSAGES} messages as {first} and {second}")),
            0 => Err("the filter is taken, and nothing comes".into()),
            copies => Err(format!("{MESSAGES} messages came {copies} times")),
        })
    }

    /// The broker keeps a session over the end of a connection, and a message for it.
    pub(super) async fn sessions(&self) -> Finding {
        let ours = self.claims().and_then(Properties::session_expiry_interval);
        let finding = judged("kept sessions", None, self.try_session().await);
        match ours {
            Some(seconds) => Finding { claim: Some(format!("{seconds} s")), ..finding },
            None => finding,
        }
    }

    async fn try_session(&self) -> Tried {
        let (topic, nothing) = (self.place("session"), PropertiesBuf::new());
        let mut greeting = self.greeting();
        if self.version.has_properties() {
            greeting.properties.session_expiry_interval(EXPIRY);
        } else {
            greeting.clean = false;
        }
        self.debts.session(self.version, &greeting.id);
        let (mut sleeper, _) = self.desk.call(&greeting).await?;
        let reason = sleeper.subscribe(&topic, QoS::AtLeastOnce, &nothing).await?;
        if reason.is_error() {
            return refusal(reason);
        }
        sleeper.goodbye().await;
        let mut mouth = self.line().await?;
        let letter = Letter {
            topic: &topic,
            payload: b"",
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: &nothing,
        };
        let reason = mouth.publish(&letter).await?;
        mouth.goodbye().await;
        greeting.clean = false;
        let (mut sleeper, welcome) = self.desk.call(&greeting).await?;
        if !welcome.session_present {
            return Ok(Err("it is gone when the client comes back".into()));
        }
        if reason.is_error() {
            return Ok(Ok(format!("no message could be kept in it: {reason}")));
        }
        let kept = sleeper.arrival().await?;
        sleeper.goodbye().await;
        Ok(match kept {
            Some(_) => Ok("with the message for it".into()),
            None => Err("it is there, and the message for it is not".into()),
        })
    }

    pub(super) async fn will(&self) -> Finding {
        judged("will", None, self.try_will().await)
    }

    async fn try_will(&self) -> Tried {
        let (topic, nothing) = (self.place("will"), PropertiesBuf::new());
        let mut ear = self.line().await?;
        let reason = ear.subscribe(&topic, QoS::AtMostOnce, &nothing).await?;
        if reason.is_error() {
            return refusal(reason);
        }
        let greeting = Greeting { will: Some(topic), ..self.greeting() };
        // It goes without a word.
        drop(self.desk.call(&greeting).await?);
        let came = ear.arrival().await?;
        ear.goodbye().await;
        Ok(came.map(|_| String::new()).ok_or_else(|| "it does not come when the connection is lost".into()))
    }

    /// A client that is silent for longer than it said is given up.
    pub(super) async fn keep_alive(&self) -> Finding {
        const NAME: &str = "keep alive";
        const LONGEST: Duration = Duration::from_secs(15);
        let imposed = self.claims().and_then(Properties::server_keep_alive);
        let said = imposed.map(|seconds| format!("{seconds} s"));
        let greeting = Greeting { keep_alive: 1, ..self.greeting() };
        match self.desk.call(&greeting).await {
            Err(trouble) => Finding::unknown(NAME, said, trouble.to_string()),
            Ok((_, welcome))
                if welcome.properties.as_properties().server_keep_alive().is_some_and(|it| it > 5) =>
            {
                Finding::unknown(NAME, said, "the broker wants to wait for longer")
            }
            Ok((mut line, _)) => {
                let (found, verdict) = if let Some(after) = line.until_closed(LONGEST).await {
                    let after = after.as_secs_f64();
                    (format!("a silent client of 1 s is given up after {after:.1} s"), Verdict::Works)
                } else {
                    // [MQTT-3.1.2-22]: it must close the connection after one and a half intervals.
                    (format!("a silent client of 1 s is still connected after {LONGEST:?}"), Verdict::Differs)
                };
                Finding::measured(NAME, said, found, verdict)
            }
        }
    }

    pub(super) async fn nameless(&self) -> Finding {
        let greeting = Greeting { id: String::new(), ..self.greeting() };
        let tried = match self.desk.call(&greeting).await {
            Ok((line, welcome)) => {
                line.goodbye().await;
                let assigned = welcome.properties.as_properties().assigned_client_identifier().is_some();
                if self.version.has_properties() && !assigned {
                    Ok(Err("it is connected, and not told its identifier".into()))
                } else {
                    Ok(Ok(String::new()))
                }
            }
            Err(Trouble::Refused(reason)) => Ok(Err(reason.to_string())),
            Err(trouble) => Err(trouble),
        };
        judged("empty client identifier", None, tried)
    }
}

/// Seconds; the session is ended before.
pub(super) const EXPIRY: u32 = 300;

enum Echo {
    Came(Arrival),
    Nothing,
    Refused(Reason),
}

impl Echo {
    fn tried(self) -> Tried {
        match self {
            Self::Came(_) => Ok(Ok(String::new())),
            Self::Nothing => Ok(Err("the message does not come".into())),
            Self::Refused(reason) => refusal(reason),
        }
    }
}
