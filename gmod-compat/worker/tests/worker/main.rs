//! `graftd-gmod` as the daemon sees it: the real binary, told by the protocol what to run.

mod driver;
mod faults;
mod gmond;
mod manners;
mod pipes;
