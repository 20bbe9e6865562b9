//! Which options of an address are secrets: one list, for whoever keeps, hides or refuses them.

use std::ops::Range;

/// What the name of an option ends with whose value is a secret, in lower case, without `-` and `_`.
const ENDINGS: [&str; 4] = ["password", "secret", "token", "key"];
/// An option of MongoDB's that holds several values, and what one of them begins with that is a secret.
const PROPERTIES: &str = "authmechanismproperties";
const SESSION_TOKEN: [&str; 2] = ["aws_session_token:", "aws_session_token%3a"];

/// Where the secrets in the options of an address are, in bytes of the whole address, as far as they stand there
/// themselves: `secret:NAME` stands for one and is none.
///
/// ```
/// use capstan_ids::secrets_in_options;
/// let url = "mongodb://h/?tls=true&proxyPassword=hunter2&authMechanismProperties=SERVICE_NAME:x,AWS_SESSION_TOKEN:t";
/// assert_eq!(secrets_in_options(url).map(|found| &url[found]).collect::<Vec<_>>(), ["hunter2", "t"]);
/// assert_eq!(secrets_in_options("mongodb://h/?proxyPassword=secret:proxy").count(), 0);
/// ```
pub fn secrets_in_options(url: &str) -> impl Iterator<Item = Range<usize>> {
    let from = url.find('?').map_or(url.len(), |at| at + 1);
    let mut next = from;
    url[from..].split('&').filter_map(move |pair| {
        let start = next;
        next += pair.len() + 1;
        let (name, value) = pair.split_once('=')?;
        let begin = start + name.len() + 1;
        let found = secret_in(name, value)?;
        let found = begin + found.start..begin + found.end;
        (!found.is_empty() && !stands_for_a_secret(&url[found.clone()])).then_some(found)
    })
}

/// Whether it is `secret:NAME` and nothing more: a password that merely begins so is one itself.
pub fn stands_for_a_secret(text: &str) -> bool {
    let name = text.strip_prefix("secret:");
    name.is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)))
}

fn secret_in(name: &str, value: &str) -> Option<Range<usize>> {
    let plain: String = name.to_ascii_lowercase().replace(['-', '_'], "");
    if plain == PROPERTIES {
        let lower = value.to_ascii_lowercase();
        let begin = SESSION_TOKEN.iter().find_map(|word| lower.find(word).map(|at| at + word.len()))?;
        let end = lower[begin..].find([',']).or_else(|| lower[begin..].find("%2c"));
        return Some(begin..end.map_or(value.len(), |end| begin + end));
    }
    ENDINGS.iter().any(|ending| plain.ends_with(ending)).then_some(0..value.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_that_is_a_secret_is_found_and_no_other() {
        for (url, found) in [
            ("mongodb://h/?tlsCertificateKeyFilePassword=a%40b&tls=true", vec!["a%40b"]),
            ("mongodb://h/?sslClientCertificateKeyPassword=a&proxyPassword=b", vec!["a", "b"]),
            ("mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN%3Ax%2CA:b", vec!["x"]),
            ("mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:secret:aws", vec![]),
            ("mongodb://h/?authMechanismProperties=SERVICE_NAME:mongodb", vec![]),
            ("mongodb://h/?tlsCertificateKeyFile=/etc/key&readConcernLevel=local&password=", vec![]),
            ("s3://b?access-key=x&secret_access_key=y", vec!["x", "y"]),
            ("kv://shop?token=secret:x/y", vec!["secret:x/y"]),
            ("dump:./a", vec![]),
        ] {
            assert_eq!(secrets_in_options(url).map(|at| &url[at]).collect::<Vec<_>>(), found, "{url}");
        }
    }
}
