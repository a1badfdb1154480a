//! The whole server, over real connections.

mod get;
mod limits;
mod pull;
mod push;
mod routes;
