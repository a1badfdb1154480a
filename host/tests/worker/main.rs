//! Plugins in a process of their own: what they find arrives, and what they do there costs nobody else anything.

mod fence;
mod kit;
mod work;
