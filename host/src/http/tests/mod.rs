//! The whole server, over real connections.

mod fuzz;
mod get;
mod graph;
mod limits;
mod pull;
mod push;
mod routes;
mod tls;
