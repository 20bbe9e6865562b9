//! What goes over the wire of the gRPC API, generated from `proto/capstan/v1/*.proto`.
//!
//! The comments of the `.proto` files are the documentation. Wire types are nobody's domain types: the server and the
//! client each convert at their border. `cargo xtask generate` writes the code; it is checked in, so that a build needs
//! no protocol buffer compiler, and compared in every test run.
//!
//! Limits stand here, because both ends must know them.
//!
//! ```
//! use capstan_proto::v1::{AcquireRequest, work_client::WorkClient};
//!
//! # async fn ask() -> Result<(), Box<dyn std::error::Error>> {
//! let mut work = WorkClient::new(tonic::transport::Endpoint::from_static("http://127.0.0.1:50050").connect_lazy());
//! let request = AcquireRequest { worker_id: "alice".into(), wait_ms: 20_000, ..Default::default() };
//! let leases = work.acquire(request).await?.into_inner().leases;
//! # Ok(())
//! # }
//! ```

/// Version 1 of the API: package `capstan.v1`.
#[allow(
    clippy::all,
    clippy::allow_attributes_without_reason,
    missing_docs,
    rustdoc::all,
    reason = "generated; its lints are its generator's"
)]
pub mod v1 {
    include!("generated/capstan.v1.rs");
}

/// All messages and services as a `FileDescriptorSet`, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!("generated/descriptors.bin");

/// The largest message either end takes, in bytes: a batch of 16 MiB and what is around it.
pub const MESSAGE_BYTES_MAX: usize = 17 * 1024 * 1024;
/// The most asks in one frame of an exchange.
pub const EXCHANGE_ASKS_MAX: usize = 4_096;
/// The most asks of one exchange that may wait for their answers; beyond it the server reads no further frame.
pub const EXCHANGE_IN_FLIGHT_MAX: usize = 16_384;
/// The most items or sessions of one page.
pub const PAGE_MAX: u32 = 1_000;
/// The size of a page where none was asked for.
pub const PAGE_DEFAULT: u32 = 100;

/// Metadata of a failed call: the error's stable code, such as `lease.expired`.
pub const CODE_METADATA: &str = "capstan-code";
/// Metadata of a failed call: its class, such as `conflict`.
pub const CLASS_METADATA: &str = "capstan-class";
/// Metadata of a failed call: when to try again, in milliseconds.
pub const RETRY_METADATA: &str = "retry-after-ms";
/// Metadata of a call that another server must answer: where the leader is.
pub const LEADER_METADATA: &str = "capstan-leader";
/// Metadata of a watch that begins too early: where it can begin.
pub const BEGIN_METADATA: &str = "capstan-begin-at";
