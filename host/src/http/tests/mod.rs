//! The whole server, over real connections.

mod fuzz;
mod get;
mod graph;
mod limits;
mod ls;
mod openapi;
mod pages;
mod pull;
mod push;
mod routes;
mod setting;
mod tls;
