//! Every call, over a real socket, against a real server in this process.

mod conformance;
mod exchange;
mod leases;
mod server;
mod sessions;
mod standard;
mod watching;
