//! Builders, fixtures and generated data for tests and demonstrations.
