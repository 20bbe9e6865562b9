//! The real databases that the environment names, with a journal of each test's own in them.

/// The address of a journal in PostgreSQL; none, and the test is noted as skipped, where there is no database.
pub fn postgres(test: &str) -> Option<String> {
    let url = named("CAPSTAN_TEST_POSTGRES_URL", test)?;
    let and = if url.contains('?') { '&' } else { '?' };
    Some(format!("{url}{and}schema=cli_{}_{test}", std::process::id()))
}

/// The same in Cassandra. Making a keyspace takes seconds, so all tests share one.
pub fn cassandra(test: &str) -> Option<String> {
    let url = named("CAPSTAN_TEST_CASSANDRA_URL", test)?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Some(format!("{url}/capstan_test?log=cli_{}_{}_{test}", now.as_secs(), std::process::id()))
}

fn named(variable: &str, test: &str) -> Option<String> {
    let url = std::env::var(variable).ok();
    if url.is_none() {
        capstan_testkit::skipped(test, &format!("{variable} is not set"));
    }
    url
}
