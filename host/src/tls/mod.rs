//! TLS between a socket and whoever reads it.
//!
//! [`Acceptor`] is the side that has a certificate, [`Connector`] the one that checks it; both give a [`Stream`], which is a
//! plain socket as well. A certificate that is renewed on the disk is taken up while the daemon runs ([`Acceptor::follow`]).

mod accept;
mod connect;
mod files;
mod make;
mod names;
mod stream;

pub(crate) use accept::{Acceptor, NotTaken};
pub(crate) use connect::{Connector, authorities};
#[cfg(test)]
use make::Made;
pub(crate) use make::{made_for, make};
pub(crate) use stream::Stream;

use rustls::crypto::{CryptoProvider, ring};
use std::sync::Arc;

/// What all ciphers come from.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
