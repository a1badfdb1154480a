//! Hits per operating system and its version: `os,Windows,10`.

use plugin_api::{Access, Cache, Delta, Error, Field, Fields, Params, Pipe, Slot, export_pipe, limits};
use user_agent::{AGENT_BYTES_MAX, Classifier};

/// Agents whose slot is remembered: more than a busy site meets in an hour. In about 1.5 MB and at
/// most 5 where agents have no number, else in a tenth of that.
const CACHE_ENTRIES_MAX: usize = 8_192;

/// Counts requests by the system that the `User-Agent` header names, and its version: `10` for Windows, `10.15` for
/// Mac OS X. Requests without the header are counted at `(none)`.
pub struct Os {
    classifier: Classifier,
    slots: Cache<Slot>,
}

impl Pipe for Os {
    const WANTS: Fields = Fields::of(&[Field::Agent]);

    fn new(_: &Params) -> Result<Os, Error> {
        Ok(Os { classifier: Classifier::new(), slots: Cache::new(CACHE_ENTRIES_MAX) })
    }

    fn process(&mut self, batch: &[Access<'_>], out: &mut Delta) {
        let Os { classifier, slots } = self;
        for hit in batch {
            // What the classifier does not look at need not be remembered.
            let agent = || limits::cut(hit.agent().unwrap_or("-"), AGENT_BYTES_MAX);
            let slot = slots.get_numbered(out, hit.agent_number(), agent, |out, agent| {
                if agent == "-" {
                    return out.slot(&["(none)", "-"]);
                }
                let os = classifier.os(agent);
                match (&os.major, &os.minor) {
                    (Some(major), Some(minor)) => out.slot(&[&os.family, &format!("{major}.{minor}")]),
                    (Some(major), None) => out.slot(&[&os.family, major]),
                    (None, _) => out.slot(&[&os.family, "-"]),
                }
            });
            out.add_at(slot, 1.0);
        }
    }
}

export_pipe!(Os, path = "os");
