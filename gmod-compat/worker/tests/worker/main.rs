//! `graftd-gmod` as the daemon sees it: the real binary, told by the protocol what to run.

mod c_modules;
mod driver;
mod faults;
mod gmond;
mod manners;
mod pipes;
mod shared;
mod sources;
