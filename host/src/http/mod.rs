//! HTTP: one file a family of URLs.
//!
//! `serve` accepts connections, `route` is the one warp filter with the table of all URLs, `guard` says who may ask.
//! Handlers give an `Answer` or a `Refusal`, and know nothing of warp.

mod answer;
mod api;
mod args;
mod assets;
mod body;
mod figure;
mod find;
mod get;
mod graph;
mod guard;
mod health;
mod live;
mod login;
mod ls;
mod metrics;
mod modules;
mod openapi;
mod ownlog;
mod pace;
mod page;
mod pull;
mod push;
mod route;
mod seat;
mod seats;
mod serve;
mod setting;
mod trend;
mod turn;
mod wait;
mod web;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(crate) use serve::serve;
