//! Base64 (RFC 4648, section 4) as it stands in `$binary`.

/// Decodes padded base64; `None` where it is anything else, stray bits behind the last byte included.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let (groups, rest) = text.as_chunks::<4>();
    if !rest.is_empty() {
        return None;
    }
    let Some((last, groups)) = groups.split_last() else { return Some(Vec::new()) };
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for group in groups {
        out.extend_from_slice(&word(group)?.to_be_bytes()[1..]);
    }
    let padding = last.iter().rev().take_while(|b| **b == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut filled = *last;
    filled[4 - padding..].fill(b'A');
    let bytes = word(&filled)?.to_be_bytes();
    let (kept, stray) = bytes[1..].split_at(3 - padding);
    out.extend_from_slice(kept);
    stray.iter().all(|b| *b == 0).then_some(out)
}

fn word(group: &[u8; 4]) -> Option<u32> {
    group.iter().try_fold(0, |word, byte| Some(word << 6 | u32::from(digit(*byte)?)))
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_strictly() {
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar"), ("+/+/", "\u{0}")]
        {
            let decoded = decode(text.as_bytes()).unwrap();
            if text == "+/+/" {
                assert_eq!(decoded, [0xfb, 0xff, 0xbf]);
            } else {
                assert_eq!(decoded, bytes.as_bytes(), "{text}");
            }
        }
        for bad in ["Z", "Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zm-v", "Zm9v\n", "Zg==Zg==", " Zg=="] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
