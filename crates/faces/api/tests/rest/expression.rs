//! As much of PromQL as it takes to see which metrics and labels an expression names.

use std::collections::BTreeSet;

/// Labels of a metric, and the value where one has to be equal.
pub type Matchers = Vec<(String, Option<String>)>;

/// What an expression names.
#[derive(Debug, Default, PartialEq)]
pub struct Named {
    pub metrics: Vec<(String, Matchers)>,
    /// Labels that it groups or joins by.
    pub groups: BTreeSet<String>,
}

const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
const WORDS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];
const AGGREGATIONS: [&str; 6] = ["sum", "min", "max", "avg", "count", "quantile"];

/// Reads an expression; what it cannot read is a panic, for the test that asks has failed then.
pub fn named(expression: &str) -> Named {
    let mut named = Named::default();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            rest = string(rest).1;
        } else if first.is_ascii_digit() {
            // A number, or a duration such as 5m.
            rest = rest.trim_start_matches(|each: char| each.is_ascii_alphanumeric() || each == '.');
        } else if is_letter(first) {
            let (word, after) = word(rest);
            rest = after.trim_start();
            if GROUPING.contains(&word) {
                let (list, after) = rest.strip_prefix('(').unwrap().split_once(')').unwrap();
                named.groups.extend(list.split(',').map(|label| label.trim().to_owned()));
                rest = after;
            } else if !WORDS.contains(&word) && !AGGREGATIONS.contains(&word) && !rest.starts_with('(') {
                let matchers;
                (matchers, rest) = matchers_of(rest);
                named.metrics.push((word.to_owned(), matchers));
            }
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    named
}

/// `{label="value", label!~"value"}`, or nothing.
fn matchers_of(text: &str) -> (Matchers, &str) {
    let Some(mut rest) = text.strip_prefix('{') else { return (Vec::new(), text) };
    let mut matchers = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', ',', '\n']);
        if let Some(after) = rest.strip_prefix('}') {
            return (matchers, after);
        }
        let (label, after) = word(rest);
        let quote = after.find('"').unwrap();
        let (value, after_value) = string(&after[quote..]);
        let is_equal = after[..quote].trim() == "=";
        matchers.push((label.to_owned(), is_equal.then(|| value.to_owned())));
        rest = after_value;
    }
}

fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|each| !is_letter(each) && !each.is_ascii_digit()).unwrap_or(text.len()))
}

fn is_letter(each: char) -> bool {
    each.is_ascii_alphabetic() || each == '_' || each == ':'
}

/// What lies between quotes, without escapes, and what follows.
fn string(text: &str) -> (&str, &str) {
    let inside = text.strip_prefix('"').unwrap();
    let (value, after) = inside.split_once('"').unwrap();
    assert!(!value.ends_with('\\'), "escapes are not read: {text}");
    (value, after)
}

#[test]
fn metrics_matchers_and_groups_of_an_expression_are_found() {
    let expression = r#"sum by (instance, le) (rate(a_total{status="5xx", route!~"x|\d"}[5m])) / on(job) b > 0.05 and c{} offset 5m"#;

    let found = named(expression);

    let matchers = vec![("status".to_owned(), Some("5xx".to_owned())), ("route".to_owned(), None)];
    assert_eq!(
        found.metrics,
        [("a_total".to_owned(), matchers), ("b".to_owned(), Vec::new()), ("c".to_owned(), Vec::new())]
    );
    assert_eq!(found.groups.iter().collect::<Vec<_>>(), ["instance", "job", "le"]);
}
