//! What a worker asks of a coordinator, whoever answers.
