//! Where the nodes are: one arena, linked as a tree, and one index from (parent, key) to child.
//!
//! A node is 80 bytes, keys of up to 24 bytes included. One index for the whole tree rather than a map in every
//! node keeps a leaf small, and a look-up costs the same below a node with two children and with a million.

use super::value::Value;
use compact_str::CompactString;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use plugin_api::Action;
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

/// A node's place in the arena. Only good until the node is removed: it never leaves the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct NodeId(u32);

impl NodeId {
    pub(super) const ROOT: NodeId = NodeId(0);
    /// No node: the end of a list.
    const NONE: NodeId = NodeId(u32::MAX);

    pub(super) fn is_some(self) -> bool {
        self != NodeId::NONE
    }

    pub(super) fn at(self) -> usize {
        self.0 as usize
    }
}

/// What a node has on the side; most have nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(u8);

impl Marks {
    /// Its value has a lifetime.
    pub(super) const LIFETIME: u8 = 1;
    /// It counts for the rates.
    pub(super) const RATE: u8 = 2;
    /// It has metadata.
    pub(super) const META: u8 = 4;
    /// It or something below it has metadata, or had.
    pub(super) const META_BELOW: u8 = 8;
    /// It is a counter whose totals are told.
    pub(super) const TOTAL: u8 = 16;

    /// Whether it has this mark, or one of these.
    pub(super) fn has(self, mark: u8) -> bool {
        self.0 & mark != 0
    }

    pub(super) fn set(&mut self, mark: u8) {
        self.0 |= mark;
    }

    pub(super) fn clear(&mut self, mark: u8) {
        self.0 &= !mark;
    }
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) key: CompactString,
    pub(super) value: Value,
    parent: NodeId,
    first: NodeId,
    last: NodeId,
    next: NodeId,
    prev: NodeId,
    pub(super) children: u32,
    /// The tick in which its own value changed last, counted from the tree's first.
    pub(super) changed: u32,
    /// The tick in which its own value or one below it changed last.
    pub(super) below: u32,
    /// Which entry of `Rates` says what it was before it last grew; `u32::MAX` when it never did.
    pub(super) began: u32,
    /// Its own action, as a number of `Store::actions`; 0 is none.
    action: u8,
    pub(super) marks: Marks,
}

impl Node {
    /// Its own action, as a number that means the same for as long as the tree lives; 0 is none.
    pub(super) fn action_number(&self) -> u8 {
        self.action
    }
}

#[derive(Debug)]
pub(super) struct Store {
    nodes: Vec<Node>,
    free: Vec<NodeId>,
    index: HashTable<NodeId>,
    /// Seeded by each process for itself, so that nobody can prepare keys that collide.
    hasher: RandomState,
    /// The actions in use: the seven that have one form each, then every `top(K)` that came. A handful, so a byte in
    /// each node says which.
    actions: Vec<Action>,
    /// Bytes of keys and values that lie outside the nodes.
    heap_bytes: usize,
}

/// All actions but `top(K)`, which has as many forms as there are K.
const SINGLE_FORMS: [Action; 7] =
    [Action::Add, Action::Average, Action::Min, Action::Max, Action::Last, Action::Quantiles, Action::Distinct];

fn blank(key: CompactString, parent: NodeId) -> Node {
    Node {
        key,
        value: Value::None,
        parent,
        first: NodeId::NONE,
        last: NodeId::NONE,
        next: NodeId::NONE,
        prev: NodeId::NONE,
        children: 0,
        changed: 0,
        below: 0,
        began: u32::MAX,
        action: 0,
        marks: Marks::default(),
    }
}

fn key_heap_bytes(key: &CompactString) -> usize {
    if key.is_heap_allocated() { key.capacity() } else { 0 }
}

impl Store {
    pub(super) fn new() -> Store {
        Store {
            nodes: vec![blank(CompactString::default(), NodeId::NONE)],
            free: Vec::new(),
            index: HashTable::new(),
            hasher: RandomState::default(),
            actions: SINGLE_FORMS.to_vec(),
            heap_bytes: 0,
        }
    }

    #[inline]
    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.at()]
    }

    #[inline]
    pub(super) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.at()]
    }

    /// How many nodes there are, the root not counted.
    pub(super) fn len(&self) -> usize {
        self.nodes.len() - self.free.len() - 1
    }

    /// Memory held, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + self.free.capacity() * size_of::<NodeId>()
            + self.index.allocation_size()
            + self.heap_bytes
    }

    #[inline]
    fn hash(&self, parent: NodeId, key: &str) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u32(parent.0);
        hasher.write(key.as_bytes());
        hasher.finish()
    }

    #[inline]
    pub(super) fn child(&self, parent: NodeId, key: &str) -> Option<NodeId> {
        let hash = self.hash(parent, key);
        self.index
            .find(hash, |id| {
                let node = self.node(*id);
                node.parent == parent && node.key == key
            })
            .copied()
    }

    /// The child of that key, if it is the one behind `before`, or the first where there is none before: without a look into the
    /// index.
    #[inline]
    pub(super) fn child_near(&self, parent: NodeId, key: &str, before: Option<NodeId>) -> Option<NodeId> {
        let near = match before {
            // It hangs at the same node, unless it was pruned meanwhile.
            Some(before) => self.node(before).next,
            None => self.node(parent).first,
        };
        let node = self.nodes.get(near.at())?;
        (node.parent == parent && node.key == key).then_some(near)
    }

    /// Hangs a new child behind its siblings. The caller knows that there is none of that key.
    pub(super) fn hang(&mut self, parent: NodeId, key: &str) -> NodeId {
        let hash = self.hash(parent, key);
        let key = CompactString::new(key);
        self.heap_bytes += key_heap_bytes(&key);
        let mut node = blank(key, parent);
        node.prev = self.node(parent).last;
        let id = match self.free.pop() {
            Some(id) => {
                *self.node_mut(id) = node;
                id
            }
            None => {
                self.nodes.push(node);
                NodeId((self.nodes.len() - 1) as u32)
            }
        };
        let before = self.node(parent).last;
        if before.is_some() {
            self.node_mut(before).next = id;
        } else {
            self.node_mut(parent).first = id;
        }
        let parent = self.node_mut(parent);
        parent.last = id;
        parent.children += 1;
        let Store { nodes, hasher, index, .. } = self;
        index.insert_unique(hash, id, |id| {
            let node = &nodes[id.at()];
            let mut state = hasher.build_hasher();
            state.write_u32(node.parent.0);
            state.write(node.key.as_bytes());
            state.finish()
        });
        id
    }

    /// Takes a childless node out of the tree.
    pub(super) fn unhang(&mut self, id: NodeId) {
        debug_assert!(id != NodeId::ROOT && self.node(id).children == 0);
        let hash = self.hash(self.node(id).parent, &self.node(id).key);
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        let node = std::mem::replace(self.node_mut(id), blank(CompactString::default(), NodeId::NONE));
        self.heap_bytes -= key_heap_bytes(&node.key) + node.value.heap_bytes();
        let Node { parent, prev, next, .. } = node;
        if prev.is_some() {
            self.node_mut(prev).next = next;
        } else {
            self.node_mut(parent).first = next;
        }
        if next.is_some() {
            self.node_mut(next).prev = prev;
        } else {
            self.node_mut(parent).last = prev;
        }
        self.node_mut(parent).children -= 1;
        self.free.push(id);
    }

    /// Changes a node's value, keeping count of the memory.
    #[inline]
    pub(super) fn change<R>(&mut self, id: NodeId, change: impl FnOnce(&mut Value) -> R) -> R {
        let node = &mut self.nodes[id.at()];
        if let Value::Number(_) = node.value {
            // The common case, a number that stays one, has nothing outside the node.
            let result = change(&mut node.value);
            self.heap_bytes += node.value.heap_bytes();
            return result;
        }
        let before = node.value.heap_bytes();
        let result = change(&mut node.value);
        self.heap_bytes = self.heap_bytes + node.value.heap_bytes() - before;
        result
    }

    pub(super) fn parent(&self, id: NodeId) -> Option<NodeId> {
        let parent = self.node(id).parent;
        parent.is_some().then_some(parent)
    }

    /// The children in the order in which they came.
    pub(super) fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let mut next = self.node(id).first;
        std::iter::from_fn(move || {
            let id = next;
            id.is_some().then(|| {
                next = self.node(id).next;
                id
            })
        })
    }

    /// The keys from the root to a node.
    pub(super) fn keys(&self, id: NodeId) -> Vec<&str> {
        let mut keys = Vec::new();
        let mut at = id;
        while at != NodeId::ROOT && at.is_some() {
            keys.push(self.node(at).key.as_str());
            at = self.node(at).parent;
        }
        keys.reverse();
        keys
    }

    /// How many places the arena has, the root's and free ones among them.
    pub(super) fn places(&self) -> usize {
        self.nodes.len()
    }

    /// The nodes in these places, the root left out. Whoever looks at all places by and by meets each node that stays; one that comes or
    /// goes meanwhile perhaps, and one that comes back twice.
    pub(super) fn in_places(&self, places: Range<usize>) -> impl Iterator<Item = (NodeId, &Node)> {
        let end = places.end.min(self.nodes.len());
        let begin = places.start.min(end);
        let nodes = (begin..).zip(&self.nodes[begin..end]);
        nodes.filter(|(_, node)| node.parent.is_some()).map(|(at, node)| (NodeId(at as u32), node))
    }

    pub(super) fn own_action(&self, id: NodeId) -> Option<Action> {
        match self.node(id).action {
            0 => None,
            n => Some(self.actions[usize::from(n) - 1]),
        }
    }

    /// The action in force at a node: its own, or the nearest ancestor's.
    pub(super) fn action(&self, id: NodeId) -> Option<Action> {
        let mut at = id;
        while at.is_some() {
            if let Some(action) = self.own_action(at) {
                return Some(action);
            }
            at = self.node(at).parent;
        }
        None
    }

    /// Gives a node an action of its own, and gives back which: of more than 248 different `top(K)`s, the later ones
    /// become the one that is nearest to them.
    pub(super) fn set_action(&mut self, id: NodeId, action: Action) -> Action {
        let known = self.actions.iter().position(|other| *other == action);
        let number = known.unwrap_or_else(|| {
            if self.actions.len() == usize::from(u8::MAX) {
                return self.nearest_top(action);
            }
            self.actions.push(action);
            self.actions.len() - 1
        });
        self.node_mut(id).action = (number + 1) as u8;
        self.actions[number]
    }

    /// Of the `top(K)`s in use, the one whose K is nearest. The full table holds them and nothing else behind
    /// the `SINGLE_FORMS`.
    fn nearest_top(&self, action: Action) -> usize {
        let k_of = |action: &Action| if let Action::Top { k } = action { *k } else { 0 };
        let wanted = k_of(&action);
        let tops = SINGLE_FORMS.len()..self.actions.len();
        tops.min_by_key(|at| k_of(&self.actions[*at]).abs_diff(wanted)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_no_larger_than_its_doc_says() {
        assert_eq!(size_of::<Node>(), 80);
    }

    #[test]
    fn only_a_top_ever_becomes_another_top() {
        let mut store = Store::new();
        for k in 1..=300 {
            store.set_action(NodeId::ROOT, Action::Top { k });
        }
        assert_eq!(store.own_action(NodeId::ROOT), Some(Action::Top { k: 248 }));
        for action in SINGLE_FORMS {
            assert_eq!(store.set_action(NodeId::ROOT, action), action);
            assert_eq!(store.own_action(NodeId::ROOT), Some(action));
        }
        store.set_action(NodeId::ROOT, Action::Top { k: 7 });
        assert_eq!(store.own_action(NodeId::ROOT), Some(Action::Top { k: 7 }));
    }

    #[test]
    fn a_child_that_is_near_is_found_and_no_other_is_taken_for_it() {
        let mut store = Store::new();
        let (a, b) = (store.hang(NodeId::ROOT, "a"), store.hang(NodeId::ROOT, "b"));
        let [x, y] = ["x", "y"].map(|key| store.hang(a, key));
        store.hang(b, "x");
        assert_eq!(store.child_near(a, "x", None), Some(x));
        assert_eq!(store.child_near(a, "y", Some(x)), Some(y));
        assert_eq!(store.child_near(a, "y", None), None);
        assert_eq!(store.child_near(a, "x", Some(y)), None);
        // What was before has gone, or hangs elsewhere now.
        assert_eq!(store.child_near(b, "y", Some(x)), None);
        store.unhang(x);
        assert_eq!((store.child_near(a, "y", Some(x)), store.child_near(a, "y", None)), (None, Some(y)));
        assert_eq!(store.hang(b, "z"), x);
        assert_eq!(store.child_near(a, "y", Some(x)), None);
    }

    #[test]
    fn nodes_come_and_go() {
        let mut store = Store::new();
        let a = store.hang(NodeId::ROOT, "a");
        let long = "x".repeat(100);
        let children: Vec<NodeId> = ["b", &long, "d"].iter().map(|key| store.hang(a, key)).collect();
        let full = store.heap_bytes;
        assert!(full >= 100);
        store.unhang(children[1]);
        assert_eq!(store.heap_bytes, 0);
        assert_eq!(store.children(a).collect::<Vec<_>>(), [children[0], children[2]]);
        assert_eq!(store.child(a, &long), None);
        assert_eq!(store.hang(a, "e"), children[1]);
        assert_eq!(store.keys(children[1]), ["a", "e"]);
        for id in store.children(a).collect::<Vec<_>>() {
            store.unhang(id);
        }
        store.unhang(a);
        assert_eq!((store.len(), store.children(NodeId::ROOT).count()), (0, 0));
    }
}
