//! What a responder answers.

use packetboat_core::wire::PropertiesBuf;

use crate::body::Body;

/// An answer with properties: its content type, or user properties such as a trace context. A handler that has nothing to
/// say besides the payload returns the payload, which is as good.
///
/// ```no_run
/// use packetboat::{PropertiesBuf, PropertyError, Reply};
///
/// # async fn example(client: packetboat::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let responder = client
///     .respond_to("boiler/temperature", async |_request| {
///         let mut properties = PropertiesBuf::new();
///         properties.content_type("application/json")?.payload_format_indicator(true);
///         Ok::<_, PropertyError>(Reply::new("21.5").properties(properties))
///     })
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Reply {
    pub(super) body: Body<'static>,
    pub(super) properties: PropertiesBuf,
}

impl Reply {
    /// An answer without properties.
    #[must_use]
    pub fn new(payload: impl Into<Body<'static>>) -> Self {
        Self { body: payload.into().into_owned(), properties: PropertiesBuf::new() }
    }

    /// Its PUBLISH properties; correlation data is that of the request. Default: none. Who asked by 3.1.1 gets the answer
    /// without.
    #[must_use]
    pub fn properties(mut self, properties: PropertiesBuf) -> Self {
        self.properties = properties;
        self
    }
}

impl<B: Into<Body<'static>>> From<B> for Reply {
    fn from(payload: B) -> Self {
        Self::new(payload)
    }
}
