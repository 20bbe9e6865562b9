//! JSON values as YAML: blocks and dashes, and text in quotes wherever a reader could take it for something else.

use serde_json::Value;

/// A document, with a line break at its end.
pub fn document(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(fields) if !fields.is_empty() => block(&mut text, value, 0),
        Value::Array(items) if !items.is_empty() => block(&mut text, value, 0),
        flat => {
            text.push_str(&scalar(flat));
            text.push('\n');
        }
    }
    text
}

fn block(text: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                text.push_str(&indent);
                text.push_str(&quoted(name));
                text.push(':');
                after(text, value, depth);
            }
        }
        Value::Array(items) => {
            for item in items {
                text.push_str(&indent);
                text.push('-');
                match item {
                    Value::Object(fields) if !fields.is_empty() => {
                        // The first field stands beside its dash.
                        let mut inner = String::new();
                        block(&mut inner, item, depth + 1);
                        text.push(' ');
                        text.push_str(inner.trim_start());
                    }
                    other => after(text, other, depth),
                }
            }
        }
        flat => {
            text.push_str(&scalar(flat));
            text.push('\n');
        }
    }
}

/// What follows a colon or a dash.
fn after(text: &mut String, value: &Value, depth: usize) {
    let nested = matches!(value, Value::Object(fields) if !fields.is_empty())
        || matches!(value, Value::Array(items) if !items.is_empty());
    if nested {
        text.push('\n');
        block(text, value, depth + 1);
    } else {
        text.push(' ');
        text.push_str(&scalar(value));
        text.push('\n');
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        // Numbers, true, false, null, [] and {} are the same in both.
        other => other.to_string(),
    }
}

/// Plain where nothing else could be meant, else as JSON has it, which YAML reads too.
fn quoted(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./ ".contains(c))
        && !text.ends_with(' ')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_lowercase().as_str())
        && !text.to_lowercase().starts_with(".inf");
    if plain { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nested_values_become_blocks() {
        let value =
            json!({ "job": "shop", "pools": [{ "kind": "dump", "size": null }, []], "empty": {}, "percent": 99.5 });
        insta::assert_snapshot!(document(&value), @r#"
        empty: {}
        job: shop
        percent: 99.5
        pools:
          - kind: dump
            size: null
          - []
        "#);
        assert_eq!(document(&json!([])), "[]\n");
        assert_eq!(document(&json!("x")), "x\n");
    }

    #[test]
    fn text_that_could_be_something_else_is_quoted() {
        for (text, shown) in [
            ("no", "\"no\""),
            ("12", "\"12\""),
            ("", "\"\""),
            ("a: b", "\"a: b\""),
            ("- a", "\"- a\""),
            ("2026-01-31T12:00:00.000000Z", "\"2026-01-31T12:00:00.000000Z\""),
            ("line\nbreak", "\"line\\nbreak\""),
            ("shop.orders", "shop.orders"),
        ] {
            assert_eq!(quoted(text), shown);
        }
    }
}
