//! The contract between graftd and its plugins.
//!
//! A plugin is a shared object that provides one module: a [`Pipe`], which folds the records of access logs, or a
//! [`Collector`], which samples something on an interval. Dropped into `plugins/`, it runs within a second, and
//! what it finds hangs in the live tree below its branch. This crate is all that a plugin knows of the daemon.
//!
//! # A pipe
//!
//! ```
//! use plugin_api::{Access, Delta, Error, Fields, Field, Params, Pipe, export_pipe};
//!
//! /// Hits per status code: its branch is `status`, its paths are relative to it.
//! struct Status;
//!
//! impl Pipe for Status {
//!     const WANTS: Fields = Fields::of(&[Field::Status]);
//!
//!     fn new(_: &Params) -> Result<Self, Error> {
//!         Ok(Status)
//!     }
//!
//!     fn process(&mut self, batch: &[Access<'_>], out: &mut Delta) {
//!         for hit in batch {
//!             out.add(&[hit.status_text()], 1.0);
//!         }
//!     }
//! }
//!
//! export_pipe!(Status, path = "status");
//!
//! // Tested without a daemon:
//! let mut kit = plugin_api::testkit::PipeKit::<Status>::new(&Params::new()).unwrap();
//! kit.line(r#"10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 12 "-" "curl/8""#);
//! kit.line(r#"10.0.0.2 - - [17/May/2015:10:05:04 +0000] "GET /x HTTP/1.1" 404 0 "-" "curl/8""#);
//! let found = kit.flush();
//! assert_eq!(found.number("200"), Some(1.0));
//! assert_eq!(found.number("404"), Some(1.0));
//! ```
//!
//! The crate is a `cdylib`:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib", "rlib"]   # rlib: for its own tests
//!
//! [dependencies]
//! plugin-api = "0.1"
//! ```
//!
//! # What holds
//!
//! * A pipe gets hundreds to thousands of records a call and folds them into its [`Delta`]; the host takes that
//!   once a tick. The boundary is crossed per batch and per tick, never per value.
//! * There is one instance of each pipe per log (and, where its `.on` groups lines with `by`, per group, which is flushed only
//!   at ticks in which it got lines), and one of each collector per `.on` file: keep no globals.
//! * Parameters are checked in `new`, and only there.
//! * A panic is caught inside the plugin and shown as its error; the module is made anew.
//! * Return errors, do not log them; take the time from [`Delta::clock`], not from the system.
//! * Start no threads, and wait for none on the caller's: std notes on a thread that asks for itself (`thread::current`, scopes,
//!   channels that wait) what of the plugin is to be cleaned up when that ends, and the plugin may be gone by then.
//! * Paths are an interface that others rely on: add freely, rename and remove never.

pub mod abi;
mod access;
mod action;
mod cache;
mod clock;
pub mod delta;
mod error;
mod export;
pub mod limits;
mod params;
pub mod sketch;
pub mod testkit;
mod varint;

pub use access::{Access, Field, Fields, Span};
pub use action::{Action, UnknownAction};
pub use cache::{CACHE_KEY_BYTES_MAX, Cache};
pub use clock::Clock;
pub use delta::{Delta, Slot};
pub use error::{Error, ErrorKind};
pub use params::{Entry, ParamDecl, Params, Value, parse_duration};

/// Folds records of access logs.
pub trait Pipe: Sized + Send + 'static {
    /// The fields it reads. The others need not be there: the host does not decode what no pipe wants.
    const WANTS: Fields = Fields::ALL;

    /// The parameters it takes; the host refuses others.
    const PARAMS: &'static [ParamDecl] = &[];

    /// Makes the pipe for one log.
    ///
    /// # Errors
    /// A parameter is missing or wrong, or what the pipe needs is not there.
    fn new(params: &Params) -> Result<Self, Error>;

    /// Folds a batch of records into the delta.
    fn process(&mut self, batch: &[Access<'_>], out: &mut Delta);

    /// Called at a tick, before the delta is taken: for a pipe that keeps something back until then.
    fn flush(&mut self, out: &mut Delta) {
        let _ = out;
    }
}

/// Samples something on an interval.
pub trait Collector: Sized + Send + 'static {
    /// The parameters it takes; the host refuses others.
    const PARAMS: &'static [ParamDecl] = &[];

    /// Makes the collector.
    ///
    /// # Errors
    /// A parameter is missing or wrong, or what the collector needs is not there.
    fn new(params: &Params) -> Result<Self, Error>;

    /// Samples once.
    ///
    /// # Errors
    /// This time it failed, or there is nothing to sample here ([`Error::no_data`]). What was fed to the delta
    /// before is dropped.
    fn collect(&mut self, out: &mut Delta) -> Result<(), Error>;
}

#[doc(hidden)]
pub mod __private {
    pub use abi_stable::library::{__call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult};
    pub use abi_stable::prefix_type::WithMetadata;
    pub use abi_stable::std_types::{RSlice, RStr};
}
