//! Reads what ganglia's users already have.
//!
//! A shelf of gmond modules is a shelf of `NAME.py` and `NAME.pyconf`. This crate knows the second: the grammar of
//! `gmond.conf` and `*.pyconf`, whole, and what it means to gmond. It knows what gmond says to others too: its packets
//! ([`xdr`]) and its XML ([`xml`]). It runs nothing and writes nothing, links no Python and waits for nobody.
//!
//! ```
//! use gmod_compat::conf::{Gmond, parse};
//!
//! let text = br#"
//! modules {
//!   module {
//!     name = "redis"
//!     language = "python"
//!     param host { value = "127.0.0.1" }
//!     param port { value = ${REDIS_PORT:-6379} }
//!   }
//! }
//! collection_group {
//!   collect_every = 10
//!   colect_once = no      # a slip: kept as a warning
//!   metric { name_match = "redis_(.+)" title = "Redis \\1" value_threshold = 0 }
//! }
//! "#;
//! let tree = parse("redis.pyconf", text, &|_| None)?;
//! let gmond = Gmond::from_tree(&tree)?;
//!
//! let redis = gmond.python_module("redis").expect("is configured");
//! assert_eq!(redis.param[1].value.as_deref(), Some("6379"));
//! let group = &gmond.collection_groups[0];
//! assert_eq!((group.collect_every, group.time_threshold), (10, 3600));
//! assert_eq!(group.metrics[0].title.as_deref(), Some(r"Redis \1"));
//! assert_eq!(
//!     gmond.warnings.list()[0].to_string(),
//!     "redis.pyconf:12:3: unknown key `colect_once` in collection_group; did you mean `collect_once`?"
//! );
//! # Ok::<(), gmod_compat::conf::Error>(())
//! ```
//!
//! From the disk, includes and all: [`conf::load`] with [`conf::Disk`]. Which shared objects are modules for gmond
//! says [`celf`].

pub mod celf;
pub mod conf;
pub mod descriptor;
pub mod groups;
pub mod import;
pub mod keys;
pub mod protocol;
mod source;
mod text;
pub mod xdr;
pub mod xml;

pub use source::{SourceKind, source_kind};
pub use text::text;
