//! Keys of a metric's metadata: as ganglia's extra data has them, and as graftd's tree does.

use std::borrow::Cow;

/// Keys that mean something to graftd. An extra pair of such a name would be taken for it, so it is written in capitals.
const MEANT: [&str; 11] =
    ["type", "units", "slope", "title", "description", "group", "format", "tmax", "dmax", "source", "spoof"];

/// What ganglia calls in capitals, and the tree does not.
const RENAMED: [(&str, &str); 3] = [("TITLE", "title"), ("DESC", "description"), ("GROUP", "group")];

/// A key of ganglia's extra data as the tree has it: some of them mean something there.
#[must_use]
pub fn tree_key(key: &str) -> Cow<'_, str> {
    match RENAMED.iter().find(|(name, _)| *name == key) {
        Some((_, renamed)) => Cow::Borrowed(renamed),
        None => extra_key(key),
    }
}

/// A key that a module made up, as the tree has it: none means anything there.
#[must_use]
pub fn extra_key(key: &str) -> Cow<'_, str> {
    if MEANT.contains(&key) { Cow::Owned(key.to_ascii_uppercase()) } else { Cow::Borrowed(key) }
}

/// A key of the tree's metadata as ganglia's extra data has it; `None` for what stands elsewhere in its XML.
///
/// What stands in capitals lest it be taken for something is as it was again. Who wrote `DMAX` himself finds `dmax`: ganglia
/// takes the two for one.
#[must_use]
pub fn ganglia_key(key: &str) -> Option<&str> {
    if let Some((name, _)) = RENAMED.iter().find(|(_, renamed)| *renamed == key) {
        return Some(name);
    }
    if MEANT.contains(&key) {
        return None;
    }
    let is_renamed = RENAMED.iter().any(|(name, _)| *name == key);
    let meant = MEANT.iter().find(|meant| !is_renamed && key.bytes().eq(meant.bytes().map(|b| b.to_ascii_uppercase())));
    Some(meant.map_or(key, |meant| meant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_there_and_back() {
        for key in
            ["TITLE", "DESC", "GROUP", "SPOOF_HOST", "CLUSTER", "Title", "x", "dmax", "units", "description", "source"]
        {
            assert_eq!(ganglia_key(&tree_key(key)), Some(key));
        }
        assert_eq!((&*tree_key("units"), ganglia_key("units")), ("UNITS", None));
        assert_eq!((&*tree_key("GROUP"), &*extra_key("GROUP"), &*extra_key("dmax")), ("group", "GROUP", "DMAX"));
    }
}
