//! Hits per browser and its major version: `br,Firefox,128`.

use plugin_api::{Access, Cache, Delta, Error, Field, Fields, Params, Pipe, Slot, export_pipe, limits};
use user_agent::{AGENT_BYTES_MAX, Classifier};

/// Agents whose slot is remembered: more than a busy site meets in an hour. In about 1.5 MB and at
/// most 5 where agents have no number, else in a tenth of that.
const CACHE_ENTRIES_MAX: usize = 8_192;

/// Counts requests by the browser that the `User-Agent` header names, and its major version. Requests without the
/// header are counted at `(none)`.
pub struct Browser {
    classifier: Classifier,
    slots: Cache<Slot>,
}

impl Pipe for Browser {
    const WANTS: Fields = Fields::of(&[Field::Agent]);

    fn new(_: &Params) -> Result<Browser, Error> {
        Ok(Browser { classifier: Classifier::new(), slots: Cache::new(CACHE_ENTRIES_MAX) })
    }

    fn process(&mut self, batch: &[Access<'_>], out: &mut Delta) {
        let Browser { classifier, slots } = self;
        for hit in batch {
            // What the classifier does not look at need not be remembered.
            let agent = || limits::cut(hit.agent().unwrap_or("-"), AGENT_BYTES_MAX);
            let slot = slots.get_numbered(out, hit.agent_number(), agent, |out, agent| {
                if agent == "-" {
                    return out.slot(&["(none)", "-"]);
                }
                let browser = classifier.browser(agent);
                out.slot(&[&browser.family, browser.major.as_deref().unwrap_or("-")])
            });
            out.add_at(slot, 1.0);
        }
    }
}

export_pipe!(Browser, path = "br");
