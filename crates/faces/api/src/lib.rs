//! REST and gRPC.
