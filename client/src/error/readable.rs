//! `Debug` of errors is for whoever reads it: `main` prints it when it returns one, `unwrap` and `expect` when they panic.

use std::error::Error;
use std::fmt;

/// Writes an error and what caused it, as far as its own words do not tell.
///
/// For the `Debug` of error types, which a `main` that returns one prints: see [`readable_debug`](crate::readable_debug).
#[doc(hidden)]
pub fn report(error: &dyn Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    f.write_str(&text)
}

/// Gives error types a `Debug` that says what `Display` says, and the causes that it leaves out.
#[doc(hidden)]
#[macro_export]
macro_rules! readable_debug {
    ($($error:path),+ $(,)?) => {$(
        impl ::std::fmt::Debug for $error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                $crate::report(self, f)
            }
        }
    )+};
}

#[cfg(feature = "serde")]
crate::readable_debug!(
    crate::typed::DecodeError,
    crate::typed::EncodeError,
    crate::typed::Problem,
    crate::typed::TemplateError,
);

crate::readable_debug!(
    crate::AuthenticationError,
    crate::CertificateProblem,
    crate::Closed,
    crate::ConnectError,
    crate::DialError,
    crate::NothingCame,
    crate::OptionsError,
    crate::PingError,
    crate::ProxyError,
    crate::ProxyUrlError,
    crate::PublishError,
    crate::ReauthenticateError,
    crate::RequestError,
    crate::Stale,
    crate::SubscribeError,
    crate::TlsError,
    crate::Undelivered,
    crate::UrlError,
    crate::WebSocketError,
);
