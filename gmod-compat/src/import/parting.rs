//! The text of one module's `.on`, made of a configuration that speaks of several.

use super::owners::may_own;
use crate::conf::{Item, Metric, Module, Section, Tree, Warnings};

/// A `module { … }` as it was read.
#[derive(Clone, Debug)]
pub(super) struct Block<'a> {
    pub(super) module: &'a Module,
    pub(super) section: &'a Section,
}

/// A `collection_group { … }` as it was read, and what it means.
#[derive(Clone, Debug)]
pub(super) struct Group<'a> {
    pub(super) section: &'a Section,
    pub(super) metrics: &'a [Metric],
}

/// The first line of every file that is made.
pub(super) fn origin(from: &str) -> String {
    // A path may hold anything but ends of lines, which would end the comment.
    format!("# imported by graftd from {}\n", from.replace(['\n', '\r'], "?"))
}

/// A file as it stands, under a line that says where it came from.
pub(super) fn whole(from: &str, text: &[u8]) -> Vec<u8> {
    // A mark of the byte order is for the start of a file alone.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut out = origin(from).into_bytes();
    out.extend_from_slice(text);
    out
}

/// A module's block, and of the groups what may be its own. `taken` is called for each metric that is in the text.
pub(super) fn parted(
    block: &Block<'_>,
    groups: &[Group<'_>],
    others: &[&str],
    mut taken: impl FnMut(&Metric),
) -> Vec<u8> {
    let modules = Section {
        name: "modules".to_owned(),
        title: None,
        items: vec![Item::Section(block.section.clone())],
        pos: block.section.pos.clone(),
    };
    let mut items = vec![Item::Section(modules)];
    for group in groups {
        let mine = |item: &Item| match item {
            Item::Section(section) => group
                .metrics
                .iter()
                .find(|metric| metric.pos == section.pos)
                .filter(|metric| may_own(block.module, metric, others.iter().copied())),
            _ => None,
        };
        let is_section = |item: &&Item| matches!(item, Item::Section(_));
        if !group.section.items.iter().filter(is_section).any(|item| mine(item).is_some()) {
            continue;
        }
        let mut section = group.section.clone();
        section.items.retain(|item| match (item, mine(item)) {
            (Item::Section(_), None) => false,
            (Item::Section(_), Some(metric)) => {
                taken(metric);
                true
            }
            _ => true,
        });
        items.push(Item::Section(section));
    }
    let tree = Tree { items, warnings: Warnings::default(), tokens: 0 };
    format!("{}{tree}", origin(&block.section.pos.to_string())).into_bytes()
}
