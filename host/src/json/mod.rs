//! JSON at the edge: documents in, answers out. Nothing inside the tree knows these shapes.

mod meta;
mod read;
mod write;

pub use meta::{MetaRoom, write_metas};
pub use read::{Documents, Fault, read_documents};
pub(crate) use write::QUANTILES;
pub use write::{Room, Shape, View, write_number, write_reading, write_string, write_view, write_view_in};
