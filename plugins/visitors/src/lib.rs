//! How many different client addresses: `visitors`.

use plugin_api::{Access, Delta, Error, Field, Fields, Params, Pipe, export_pipe};

/// Feeds the client's address to a sketch of the set of them. A record without an address feeds nothing.
#[derive(Debug)]
pub struct Visitors;

impl Pipe for Visitors {
    const WANTS: Fields = Fields::of(&[Field::Addr]);

    fn new(_: &Params) -> Result<Visitors, Error> {
        Ok(Visitors)
    }

    fn process(&mut self, batch: &[Access<'_>], out: &mut Delta) {
        // At the branch itself: the number stands at `visitors`, there is nothing below it.
        let slot = out.slot_of_distinct(&[]);
        for hit in batch {
            if let Some(addr) = hit.addr() {
                out.distinct_at(slot, addr);
            }
        }
    }
}

export_pipe!(Visitors, path = "visitors", action = "distinct");
