//! Lines of logs that travel as they are (`forward = "raw"`): the daemon at their end folds them.
//!
//! ```text
//! agent: log's thread ─ pieces ─► core ─► outbox ─ commit ─► spool, with how far the log was read
//!                                                                │ as every entry
//! between: core ◄── receive.rs ◄─────────────────────────────────┤ passed on: outbox, with the sender's number
//! end:     core ◄── frames ── logs.rs: a log's pipes ◄── receive.rs ◄┘ merged, with the sender's number
//! ```
//!
//! `piece.rs` is what travels, and its form in an entry; `logs.rs` folds it; `room.rs` holds logs back whose lines nobody can take: their
//! files are the buffer, so nothing of them is ever dropped.

mod logs;
mod piece;
mod room;

pub(crate) use logs::RawLogs;
pub(super) use logs::Unfolded;
pub(super) use piece::unpack_raw;
pub(crate) use piece::{Outgoing, Piece, RawLines, RawOrigin, is_raw, pack_raw};
pub(crate) use room::RawRoom;
