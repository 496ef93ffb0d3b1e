//! The pages of the documentation. Every snippet of Rust in them compiles, or these doctests fail.

/// The pages, in the folder above.
pub const PAGES: &[&str] = &[
    "README.md",
    "cloud.md",
    "command-line.md",
    "configuration.md",
    "delivery.md",
    "from-amqtt.md",
    "from-mongoose-os.md",
    "from-paho.md",
    "from-panorama.md",
    "from-pelix.md",
    "from-rumqttc.md",
    "from-zerynth.md",
    "getting-started.md",
    "hub.md",
    "performance.md",
    "reconnecting.md",
    "tls.md",
    "troubleshooting.md",
];

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Index;

#[cfg(doctest)]
#[doc = include_str!("../cloud.md")]
pub struct Cloud;

#[cfg(doctest)]
#[doc = include_str!("../command-line.md")]
pub struct CommandLine;

#[cfg(doctest)]
#[doc = include_str!("../configuration.md")]
pub struct Configuration;

#[cfg(doctest)]
#[doc = include_str!("../delivery.md")]
pub struct Delivery;

#[cfg(doctest)]
#[doc = include_str!("../from-amqtt.md")]
pub struct FromAmqtt;

#[cfg(doctest)]
#[doc = include_str!("../from-mongoose-os.md")]
pub struct FromMongooseOs;

#[cfg(doctest)]
#[doc = include_str!("../from-paho.md")]
pub struct FromPaho;

#[cfg(doctest)]
#[doc = include_str!("../from-panorama.md")]
pub struct FromPanorama;

#[cfg(doctest)]
#[doc = include_str!("../from-pelix.md")]
pub struct FromPelix;

#[cfg(doctest)]
#[doc = include_str!("../from-rumqttc.md")]
pub struct FromRumqttc;

#[cfg(doctest)]
#[doc = include_str!("../from-zerynth.md")]
pub struct FromZerynth;

#[cfg(doctest)]
#[doc = include_str!("../getting-started.md")]
pub struct GettingStarted;

#[cfg(doctest)]
#[doc = include_str!("../hub.md")]
pub struct Hub;

#[cfg(doctest)]
#[doc = include_str!("../performance.md")]
pub struct Performance;

#[cfg(doctest)]
#[doc = include_str!("../reconnecting.md")]
pub struct Reconnecting;

#[cfg(doctest)]
#[doc = include_str!("../tls.md")]
pub struct Tls;

#[cfg(doctest)]
#[doc = include_str!("../troubleshooting.md")]
pub struct Troubleshooting;
