//! Two network namespaces with links between them, and what can be done to a link.

use std::process::Command;

/// The first link stays well.
pub(crate) const LINKS: usize = 6;

/// The namespaces of client and broker. They go with it.
pub(crate) struct Lab {
    pub(crate) near: String,
    pub(crate) far: String,
}

impl Lab {
    pub(crate) fn build() -> Result<Self, String> {
        let name = |side| format!("packetboat-{}-{side}", std::process::id());
        let lab = Self { near: name("near"), far: name("far") };
        for (namespace, side) in [(&lab.near, 1), (&lab.far, 2)] {
            ip(&["netns", "add", namespace])?;
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
            if side == 2 {
                for index in 0..LINKS {
                    lab.connect(index)?;
                }
            }
        }
        Ok(lab)
    }

    fn connect(&self, index: usize) -> Result<(), String> {
        let (here, there) = (near_end(index), far_end(index));
        let peer = ["type", "veth", "peer", "name", &there, "netns", &self.far];
        ip(&[&["-n", &self.near, "link", "add", &here], &peer[..]].concat())?;
        for (namespace, end, host) in [(&self.near, &here, 1), (&self.far, &there, 2)] {
            let address = format!("10.77.{index}.{host}/30");
            ip(&["-n", namespace, "address", "add", &address, "dev", end])?;
            ip(&["-n", namespace, "link", "set", end, "up"])?;
        }
        Ok(())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for namespace in [&self.near, &self.far] {
            let _ = ip(&["netns", "delete", namespace]);
        }
    }
}

/// Where the broker is, over a link.
pub(crate) fn broker_address(link: usize) -> String {
    format!("10.77.{link}.2")
}

/// A link, as seen from the near namespace.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) far: String,
    pub(crate) index: usize,
}

impl Link {
    /// The cable is out.
    pub(crate) fn cut(&self) -> Result<(), String> {
        ip(&["-n", &self.far, "link", "set", &far_end(self.index), "down"])
    }

    pub(crate) fn join(&self) -> Result<(), String> {
        ip(&["-n", &self.far, "link", "set", &far_end(self.index), "up"])
    }

    /// Packets are lost on the way to the broker or from it, all of them or at random. Where the kernel has netfilter, but
    /// no netem, this is how.
    pub(crate) fn lose(&self, to_broker: Loss, to_client: Loss) -> Result<(), String> {
        let end = far_end(self.index);
        let mut rules = format!("add table inet {end};");
        for (hook, interface, loss) in [("input", "iifname", to_broker), ("output", "oifname", to_client)] {
            let random = match loss {
                Loss::None => continue,
                Loss::Percent(percent) => format!("numgen random mod 100 < {percent}"),
                Loss::All => String::new(),
            };
            rules.extend([
                format!("add chain inet {end} {hook} {{ type filter hook {hook} priority 0; }};"),
                format!("add rule inet {end} {hook} {interface} {end} {random} drop;"),
            ]);
        }
        run("ip", &["netns", "exec", &self.far, "nft", &rules])
    }

    pub(crate) fn lose_nothing(&self) -> Result<(), String> {
        run("ip", &["netns", "exec", &self.far, "nft", "delete", "table", "inet", &far_end(self.index)])
    }

    /// Slow with a short queue, and late where the kernel has netem. Tells which.
    pub(crate) fn slow_down(&self) -> Result<&'static str, String> {
        let bucket = "tbf rate 512kbit burst 4kb latency 400ms";
        if self.shape("root handle 1: netem delay 100ms").is_err() {
            return self.shape(&format!("root {bucket}")).map(|()| "512 kbit/s");
        }
        self.shape(&format!("parent 1:1 handle 10: {bucket}")).map(|()| "512 kbit/s, 100 ms late each way")
    }

    fn shape(&self, how: &str) -> Result<(), String> {
        let how: Vec<&str> = how.split(' ').collect();
        let (here, there) = (near_end(self.index), far_end(self.index));
        run("tc", &[&["qdisc", "replace", "dev", &here], &how[..]].concat())?;
        run("tc", &[&["-n", &self.far, "qdisc", "replace", "dev", &there], &how[..]].concat())
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    None,
    Percent(u8),
    All,
}

fn near_end(index: usize) -> String {
    format!("near{index}")
}

fn far_end(index: usize) -> String {
    format!("far{index}")
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    run("ip", arguments)
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let line = || format!("{program} {}", arguments.join(" "));
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{}: {error}", line()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}: {}", line(), String::from_utf8_lossy(&output.stderr).trim()))
}
