//! Generated wire types of the gRPC API.
