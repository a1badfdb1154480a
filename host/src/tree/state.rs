//! What a tree holds that was set, not added: for who begins to follow it.

use super::Tree;
use super::store::{Marks, NodeId};
use super::value::Value;
use plugin_api::Action;
use plugin_api::delta::meta::Pairs;
use plugin_api::delta::wire::Op;

/// Told of each.
type Each<'e> = dyn FnMut(&[&str], Op<'_>) + 'e;

impl Tree {
    /// Calls `each` with all that stands at and below a path and was set: actions, gauges, texts, totals, and what is told beside
    /// values. What was added to is left out unless it is to be told `whole`; sketches are then told too.
    pub(crate) fn each_state(&self, path: &[&str], whole: bool, each: &mut Each<'_>) {
        let mut id = NodeId::ROOT;
        for key in path {
            match self.store.child(id, key) {
                Some(child) => id = child,
                None => return,
            }
        }
        self.state_below(id, whole, &mut path.to_vec(), each);
    }

    fn state_below<'t>(&'t self, id: NodeId, whole: bool, way: &mut Vec<&'t str>, each: &mut Each<'_>) {
        self.state_of(id, whole, way, each);
        for child in self.store.children(id) {
            way.push(self.store.node(child).key.as_str());
            self.state_below(child, whole, way, each);
            way.pop();
        }
    }

    fn state_of(&self, id: NodeId, whole: bool, way: &[&str], each: &mut Each<'_>) {
        let node = self.store.node(id);
        if let Some(action) = self.store.own_action(id) {
            each(way, Op::Action(action));
        }
        let mut bytes = Vec::new();
        match &node.value {
            Value::None => {}
            Value::Number(x) if node.marks.has(Marks::TOTAL) => each(way, Op::Total(*x)),
            Value::Number(x) => {
                if !matches!(self.store.action(id), None | Some(Action::Add | Action::Top { .. })) {
                    each(way, Op::Set(*x));
                } else if whole {
                    each(way, Op::Add(*x));
                }
            }
            Value::Bool(flag) => each(way, Op::Bool(*flag)),
            Value::Text(text) => each(way, Op::Text(text)),
            Value::Quantiles(sketch) if whole => {
                sketch.total().encode(&mut bytes);
                each(way, Op::Quantiles(&bytes));
            }
            Value::Distinct(sketch) if whole => {
                sketch.total().encode(&mut bytes);
                each(way, Op::Distinct(&bytes));
            }
            Value::Quantiles(_) | Value::Distinct(_) => {}
        }
        if node.marks.has(Marks::LIFETIME)
            && let Some(life) = self.lifetimes.life(id)
        {
            each(way, Op::Lifetime(life));
        }
        if let Some(meta) = self.meta(id) {
            each(way, Op::Meta(Pairs::reread(meta.encoded())));
        }
    }

    /// The action that holds at a path, or would if there were a node.
    pub(crate) fn action_at(&self, path: &[&str]) -> Option<Action> {
        let mut id = NodeId::ROOT;
        for key in path {
            match self.store.child(id, key) {
                Some(child) => id = child,
                None => break,
            }
        }
        self.store.action(id)
    }
}
