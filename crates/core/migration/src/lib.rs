//! Jobs, units and chunks: the pure decisions of a migration.
