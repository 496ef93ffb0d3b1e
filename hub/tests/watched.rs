//! Connections that are as files say.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{came, went, within};
use packetboat::QoS;
use packetboat_hub::{Difference, FollowError, Followed, Hub, PropertyFilter, Reading};
use packetboat_sim::net::Broker;
use tokio::sync::watch;

const OFTEN: Duration = Duration::from_millis(20);

/// A folder of its own, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("packetboat-hub-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// As careful editors do it.
    fn replace(&self, name: &str, text: &str) {
        let new = self.write(".new", text);
        fs::rename(new, self.0.join(name)).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn follow(hub: &Hub, path: &Path) -> (Followed, watch::Receiver<Reading>) {
    let followed = within(hub.follow(path).every(OFTEN).into_future()).await.unwrap();
    let readings = followed.readings();
    (followed, readings)
}

async fn read(readings: &mut watch::Receiver<Reading>) -> Result<String, String> {
    within(readings.changed()).await.unwrap();
    let reading = readings.borrow_and_update().clone();
    reading.result.map(|changes| text(&changes)).map_err(|error| error.to_string())
}

fn text(changes: &Difference) -> String {
    let (added, updated, removed) = (&changes.added, &changes.updated, &changes.removed);
    format!("+{} ~{} -{}", added.join(","), updated.join(","), removed.join(","))
}

fn ids(hub: &Hub) -> Vec<String> {
    hub.connections().iter().map(|connection| connection.id().to_owned()).collect()
}

fn pelix(broker: &Broker, more: &str) -> String {
    format!("host = \"127.0.0.1\"\nport = {}\n{more}", broker.port())
}

#[tokio::test]
async fn a_folder_has_a_file_for_each_connection_with_the_keys_of_pelix_and_ours() {
    let (one, two) = (Broker::start().await.unwrap(), Broker::start().await.unwrap());
    let folder = Folder::new("folder");
    let hub = Hub::new();
    let mut watch = hub.watch(PropertyFilter::all());
    hub.add("own", format!("mqtt://127.0.0.1:{}", one.port())).unwrap();
    assert_eq!(came(&mut watch).await, "own");
    folder.write("one.toml", &pelix(&one, "keepalive = 30\nclient_id = \"one\""));
    folder.write(".hidden.toml", "what = 1");
    folder.write("readme.txt", "no connection");
    let (followed, mut readings) = follow(&hub, &folder.0).await;
    assert_eq!(came(&mut watch).await, "one");
    let connection = hub.connection("one").unwrap();
    assert_eq!(&*connection.client().client_id(), "one");

    folder.write("two.json", &format!("{{\"server\": \"{}\", \"client_id\": \"two\"}}", two.url()));
    assert_eq!(read(&mut readings).await.unwrap(), "+two ~ -");
    assert_eq!(came(&mut watch).await, "two");

    // What needs no reconnect makes none.
    folder.replace(
        "one.toml",
        &pelix(&one, "keepalive = 30\nclient_id = \"one\"\nacknowledgement_timeout = 9"),
    );
    assert_eq!(read(&mut readings).await.unwrap(), "+ ~one -");
    connection.publish("a", "b").qos(QoS::AtLeastOnce).await.unwrap();
    assert_eq!(one.stats().connections, 2, "that of `own`, and one of `one`");

    // Pelix's own file, and one of its for something else.
    let pelix = format!(
        "{{\"host\": \"127.0.0.1\", \"port\": {}, \"service.pid\": \"mqtt.connector-1\", \
         \"service.factoryPid\": \"mqtt.connector\"}}",
        two.port()
    );
    folder.write("mqtt.connector-1.config.js", &pelix);
    folder.write("http.config.js", "{\"service.factoryPid\": \"http\", \"port\": 80}");
    assert_eq!(read(&mut readings).await.unwrap(), "+mqtt.connector-1 ~ -");
    assert_eq!(came(&mut watch).await, "mqtt.connector-1");

    fs::remove_file(folder.0.join("one.toml")).unwrap();
    assert_eq!(read(&mut readings).await.unwrap(), "+ ~ -one");
    assert_eq!(went(&mut watch).await, "one");
    folder.write("two.json", "{\"server\": \"mqtt://127.0.0.1\", \"enable\": false}");
    assert_eq!(read(&mut readings).await.unwrap(), "+ ~ -two");
    assert_eq!(ids(&hub), ["mqtt.connector-1", "own"], "what is not from here is not touched");
    drop(followed);
    assert_eq!(ids(&hub), ["mqtt.connector-1", "own"]);
    assert!(one.violations().is_empty() && two.violations().is_empty());
}

#[tokio::test]
async fn what_is_wrong_is_refused_whole_and_what_runs_goes_on() {
    let broker = Broker::start().await.unwrap();
    let folder = Folder::new("wrong");
    let hub = Hub::new();
    let path = folder.write(
        "hub.toml",
        &format!("[connections.one]\nserver = \"{}\"\nclient_id = \"one\"\n", broker.url()),
    );
    let (followed, mut readings) = follow(&hub, &path).await;
    within(broker.until(|broker| broker.connection("one").is_some())).await;

    let wrong = [
        ("[connections.one]\nserver = \"mqtt://127.0.0.1:1\"\n[connections.new]\nserver = 7\n", ":4:"),
        ("[connections.new]\nsever = \"mqtt://127.0.0.1\"\n", "server"),
        (
            "[connections.new]\nserver = \"mqtt://127.0.0.1\"\nsession = \"persistent\"\n",
            ":1:14: `connections.new` cannot be used",
        ),
        ("[connections.new]\nkeepalive = 60\n", "server"),
        ("[connections.one]\nserver = \"mqtt://127", "hub.toml:2"),
    ];
    for (text, message) in wrong {
        folder.replace("hub.toml", text);
        let error = read(&mut readings).await.unwrap_err();
        assert!(error.contains(message), "{text}: {error}");
        assert_eq!(ids(&hub), ["one"], "{text}");
    }
    fs::remove_file(&path).unwrap();
    let error = read(&mut readings).await.unwrap_err();
    assert!(
        error.contains("hub.toml") && matches!(followed.reload().await, Err(FollowError::Config(_))),
        "{error}"
    );
    assert_eq!(ids(&hub), ["one"]);
    assert_eq!(broker.stats().connections, 1);

    hub.add("new", "mqtt://127.0.0.1:1").unwrap();
    folder.write("hub.toml", "[connections.new]\nserver = \"mqtt://127.0.0.1:1\"\n");
    let error = read(&mut readings).await.unwrap_err();
    assert!(error.contains("not from these files"), "{error}");
    assert_eq!(ids(&hub), ["new", "one"]);
    hub.remove("new").await.unwrap();
    assert_eq!(text(&followed.reload().await.unwrap()), "+new ~ -one");
    assert_eq!(ids(&hub), ["new"]);

    // The first time nothing is there to go on with.
    let missing = within(hub.follow(folder.0.join("none.toml")).into_future()).await;
    assert!(matches!(missing, Err(FollowError::Config(_))));
    folder.write("new.json", "{}");
    folder.write("new.toml", "");
    let error = within(hub.follow(&folder.0).into_future()).await.unwrap_err().to_string();
    assert!(error.contains("is missing") || error.contains("another file"), "{error}");
}

/// Written a few bytes at a time, and looked at between: nothing counts before it is at rest.
#[tokio::test(start_paused = true)]
async fn a_file_that_is_half_written_changes_nothing() {
    let folder = Folder::new("half");
    let hub = Hub::new();
    let section = |number: u32| format!("[connections.c{number}]\nserver = \"mqtt://127.0.0.1:1\"\n");
    let path = folder.write("hub.toml", &(section(0) + &section(1) + &section(2)));
    let (_followed, mut readings) = follow(&hub, &path).await;
    let new = section(0) + &section(1) + &section(3);
    for end in (0..new.len()).step_by(3) {
        fs::write(&path, &new[..end]).unwrap();
        // By the paused clock: exactly one look.
        tokio::time::sleep(OFTEN).await;
        assert_eq!(ids(&hub), ["c0", "c1", "c2"]);
    }
    assert!(!readings.has_changed().unwrap());
    fs::write(&path, &new).unwrap();
    assert_eq!(read(&mut readings).await.unwrap(), "+c3 ~ -c2");
    assert_eq!(ids(&hub), ["c0", "c1", "c3"]);
    // One that stays broken is told of once, and read again when it is whole.
    fs::write(&path, &new[..new.len() - 2]).unwrap();
    assert!(read(&mut readings).await.is_err());
    tokio::time::sleep(OFTEN * 10).await;
    assert!(!readings.has_changed().unwrap());
    fs::write(&path, section(0)).unwrap();
    assert_eq!(read(&mut readings).await.unwrap(), "+ ~ -c1,c3");
}
