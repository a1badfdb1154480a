//! One request by HTTP/1.1, within a time: for collectors that ask a server how it is.
//!
//! Everything happens on the caller's thread and ends at a moment that the caller gives: looking the name up too, for which the
//! system's `getaddrinfo` knows no end. There are no other threads, also where many are asked at a time ([`Room`]): one
//! that was left behind would run on in a plugin that is unloaded. Nothing is kept from one request to the next.
//!
//! [`dial`] connects, [`exchange`] asks and reads. In between the caller may put TLS around the stream, as another [`Connection`].

mod dial;
mod dns;
mod exchange;
pub mod limits;
mod names;
mod room;
mod stream;
mod target;

pub use dial::{Dialled, dial};
pub use exchange::{Answer, Next, Wanted, exchange};
pub use room::{Room, Task};
pub use stream::{Connection, Stream, why};
pub use target::Target;
pub use ureq_proto::http;
