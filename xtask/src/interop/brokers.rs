//! The brokers: where they come from, and how they are started. Fixed versions, since INTEROP.md speaks of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::context::Context;
use crate::prepare;
use crate::process;

pub(super) struct Broker {
    pub(super) name: &'static str,
    pub(super) install: fn(&Context, &Path) -> Result<(), String>,
    pub(super) command: fn(&Context, &Path, u16) -> Result<Command, String>,
    /// Whether it speaks QUIC too, on the same port, under an authority in [`AUTHORITY`].
    pub(super) quic: bool,
}

pub(super) const AUTHORITY: &str = "authority.pem";

pub(super) const BROKERS: [Broker; 6] = [
    Broker { name: "aedes", install: install_aedes, command: aedes, quic: false },
    Broker { name: "amqtt", install: install_amqtt, command: amqtt, quic: false },
    Broker { name: "rabbitmq", install: install_rabbitmq, command: rabbitmq, quic: false },
    Broker { name: "rmqtt", install: install_rmqtt, command: rmqtt, quic: true },
    // A port of it speaks one version.
    Broker { name: "rumqttd-v4", install: install_rumqttd, command: rumqttd_v4, quic: false },
    Broker { name: "rumqttd-v5", install: install_rumqttd, command: rumqttd_v5, quic: false },
];

const AEDES: &str = "aedes@1.2.0";
const AEDES_PROGRAM: &str = "\
import { createServer } from 'node:net'
import { Aedes } from 'aedes'

const broker = await Aedes.createBroker()
createServer(broker.handle).listen(Number(process.argv[2]), '127.0.0.1')
";

fn install_aedes(context: &Context, folder: &Path) -> Result<(), String> {
    let path = text(folder);
    if process::find(context, "npm").is_none() {
        prepare::debian_packages(context, &["nodejs", "npm"])?;
    }
    if folder.join("node_modules/aedes").is_dir() {
        return Ok(());
    }
    process::run(
        context,
        "npm",
        &["install", "--silent", "--no-audit", "--no-fund", "--prefix", &path, AEDES],
    )
}

fn aedes(context: &Context, folder: &Path, port: u16) -> Result<Command, String> {
    let program = write(folder, "broker.mjs", AEDES_PROGRAM)?;
    Ok(process::command(context, "node", &[&program, &port.to_string()]))
}

const AMQTT: &str = "amqtt==0.12.1";

fn install_amqtt(context: &Context, folder: &Path) -> Result<(), String> {
    if folder.join("bin/amqtt").exists() {
        return Ok(());
    }
    let environment = ["-m", "venv", &text(folder)];
    if process::run(context, "python3", &environment).is_err() {
        prepare::debian_packages(context, &["python3", "python3-venv"])?;
        process::run(context, "python3", &environment)?;
    }
    process::run(context, &text(&folder.join("bin/pip")), &["install", "--quiet", AMQTT])
}

fn amqtt(context: &Context, folder: &Path, port: u16) -> Result<Command, String> {
    let configuration = format!(
        "listeners:\n  default:\n    type: tcp\n    bind: 127.0.0.1:{port}\nplugins:\n  \
         amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: true\n"
    );
    let configuration = write(folder, "broker.yaml", &configuration)?;
    Ok(process::command(context, &text(&folder.join("bin/amqtt")), &["-c", &configuration]))
}

const RABBITMQ: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

fn install_rabbitmq(context: &Context, _: &Path) -> Result<(), String> {
    if Path::new(RABBITMQ).exists() {
        Ok(())
    } else {
        prepare::debian_packages(context, &["rabbitmq-server"])
    }
}

/// Everything of it in the folder, under names and ports of its own: another one may run here.
fn rabbitmq(context: &Context, folder: &Path, port: u16) -> Result<Command, String> {
    let configuration = format!(
        "listeners.tcp = none\nmqtt.listeners.tcp.default = 127.0.0.1:{port}\nmqtt.allow_anonymous = true\n"
    );
    let _ = std::fs::remove_dir_all(folder.join("data"));
    let configuration = write(folder, "rabbitmq.conf", &configuration)?;
    let plugins = write(folder, "plugins", "[rabbitmq_mqtt].\n")?;
    // Erlang's own list of names, which would otherwise outlive the broker.
    let mut command = process::command(context, "sh", &["-c", "epmd & exec \"$0\"", RABBITMQ]);
    command
        .env("HOME", folder)
        .env("ERL_EPMD_PORT", super::free_port()?.to_string())
        .env("RABBITMQ_DIST_PORT", super::free_port()?.to_string())
        .env("RABBITMQ_NODENAME", format!("interop-{port}@localhost"))
        .env("RABBITMQ_MNESIA_BASE", folder.join("data"))
        .env("RABBITMQ_LOG_BASE", folder.join("data"))
        .env("RABBITMQ_PID_FILE", folder.join("data/pid"))
        .env("RABBITMQ_CONFIG_FILE", configuration)
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", plugins);
    Ok(command)
}

fn install_rmqtt(context: &Context, _: &Path) -> Result<(), String> {
    build(context, "rmqtt-broker")
}

fn rmqtt(context: &Context, folder: &Path, port: u16) -> Result<Command, String> {
    built(context, "rmqtt-broker", &[&port.to_string(), &text(folder)])
}

fn install_rumqttd(context: &Context, _: &Path) -> Result<(), String> {
    build(context, "rumqttd-broker")
}

fn rumqttd_v4(context: &Context, _: &Path, port: u16) -> Result<Command, String> {
    built(context, "rumqttd-broker", &[&port.to_string(), "v4"])
}

fn rumqttd_v5(context: &Context, _: &Path, port: u16) -> Result<Command, String> {
    built(context, "rumqttd-broker", &[&port.to_string(), "v5"])
}

/// Brokers that are libraries: the programs are here.
const PROGRAMS: &str = "ci/brokers/Cargo.toml";

fn build(context: &Context, package: &str) -> Result<(), String> {
    let target = text(&programs_folder(context));
    let arguments = ["build", "--quiet", "--locked", "--manifest-path", PROGRAMS, "--package", package];
    process::cargo(context, &[&arguments[..], &["--target-dir", &target]].concat())
}

fn built(context: &Context, package: &str, arguments: &[&str]) -> Result<Command, String> {
    let program = programs_folder(context).join("debug").join(package);
    let program = program.canonicalize().map_err(|error| format!("{}: {error}", program.display()))?;
    Ok(process::command(context, &text(&program), arguments))
}

fn programs_folder(context: &Context) -> PathBuf {
    context.target_folder().join("interop/brokers")
}

fn write(folder: &Path, name: &str, contents: &str) -> Result<String, String> {
    let path = folder.join(name);
    std::fs::write(&path, contents).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text(&path))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
