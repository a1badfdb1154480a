//! What of `[limits]` bounds those who push and ask, rather than the tree.

use super::error::ConfError;
use super::table::Table;

/// What each source may have. A source is an address, or a network of 64 bits of IPv6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IntakeLimits {
    /// Bytes a second that it may push; any number, unless it is given.
    pub push_per_source: Option<u64>,
    /// Connections that it may have, by HTTP, and as many to push by TCP.
    pub connections_per_source: Option<usize>,
}

impl IntakeLimits {
    pub(super) const KEYS: [&'static str; 2] = ["push_per_source", "connections_per_source"];

    /// Reads them out of the table.
    pub(super) fn read(limits: &mut Table<'_>) -> Result<IntakeLimits, ConfError> {
        let mut intake = IntakeLimits::default();
        if let Some(given) = limits.take("push_per_source") {
            let rate = given.size()?;
            if !(1_000..=1_000_000_000_000).contains(&rate) {
                return Err(
                    given.error("\"push_per_source\" must be between 1kB and 1TB, bytes a second, such as \"1MiB\"")
                );
            }
            intake.push_per_source = Some(rate);
        }
        if let Some(given) = limits.take("connections_per_source") {
            let most = usize::try_from(given.count()?).ok().filter(|most| (1..=100_000).contains(most));
            let most = most.ok_or_else(|| given.error("\"connections_per_source\" must be between 1 and 100,000"))?;
            intake.connections_per_source = Some(most);
        }
        Ok(intake)
    }
}
