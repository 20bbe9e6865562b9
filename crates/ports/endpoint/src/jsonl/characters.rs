//! Strings: what lies between two double quotes, checked and unescaped in one pass.

use super::parse::{Parsed, Parser};

impl Parser<'_, '_> {
    /// Writes a string with its length before and its zero behind it.
    pub(super) fn string_value(&mut self) -> Parsed {
        let start = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
        self.characters()?;
        self.out.push(0);
        let length = (self.out.len() - start - 4) as u32;
        self.out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        Ok(())
    }

    /// Writes a field's name, without the zero behind it.
    pub(super) fn name(&mut self) -> Parsed {
        let (begin, start) = (self.at, self.out.len());
        self.characters()?;
        // Only an escape can bring a zero, and an escape makes the text longer than the name.
        if self.at - begin - 1 != self.out.len() - start && self.out[start..].contains(&0) {
            self.at = begin;
            return Err(self.wrong("a field name without NUL, which BSON cannot hold"));
        }
        Ok(())
    }

    /// Writes the characters of a string up to its closing quote, which is taken.
    fn characters(&mut self) -> Parsed {
        loop {
            let begin = self.at;
            let (length, ascii) = plain_run(&self.text[begin..]);
            self.at += length;
            let run = &self.text[begin..self.at];
            if !ascii && let Err(error) = std::str::from_utf8(run) {
                // A character cut by the end of the text may go on in what comes after it.
                self.at = begin + error.valid_up_to();
                let mut wrong = self.wrong("UTF-8");
                wrong.ended = error.error_len().is_none() && begin + length == self.text.len();
                return Err(wrong);
            }
            self.out.extend_from_slice(run);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.wrong("an escape such as \\n in place of a control character")),
                None => return Err(self.wrong("a closing double quote")),
            }
        }
    }

    fn escape(&mut self) -> Parsed {
        let begin = self.at;
        self.at += 1;
        let character = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => return self.escaped_character(begin),
            _ => return Err(self.wrong("one of \" \\ / b f n r t u after a backslash")),
        };
        self.at += 1;
        self.out.push(character);
        Ok(())
    }

    /// Writes `\uXXXX`, or two of them that make one character.
    fn escaped_character(&mut self, begin: usize) -> Parsed {
        let mut code = self.escaped_unit()?;
        if (0xd800..0xdc00).contains(&code) {
            if self.peek().is_none() || self.text[self.at..] == *b"\\" {
                self.at = self.text.len();
                return Err(self.wrong("the second half of a surrogate pair"));
            }
            if self.text[self.at..].starts_with(b"\\u") {
                self.at += 1;
                let low = self.escaped_unit()?;
                if (0xdc00..0xe000).contains(&low) {
                    code = 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                }
            }
        }
        let Some(character) = char::from_u32(code) else {
            self.at = begin;
            return Err(self.wrong("both halves of a surrogate pair"));
        };
        self.out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    /// The four digits behind the `u` at hand.
    fn escaped_unit(&mut self) -> Parsed<u32> {
        self.at += 1;
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else { return Err(self.wrong("four hexadecimal digits after \\u")) };
            code = code << 4 | digit;
            self.at += 1;
        }
        Ok(code)
    }
}

/// How many bytes need no attention (no quote, backslash or control character), and whether all of them are ASCII.
///
/// Eight at a time; the tricks with borrows and carries are those of Hacker's Delight, 6-1.
fn plain_run(text: &[u8]) -> (usize, bool) {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let mut length = 0;
    let mut seen = 0_u64;
    let (words, _) = text.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        let zero_byte = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes & HIGHS;
        let quote = zero_byte(word ^ (ONES * u64::from(b'"')));
        let backslash = zero_byte(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let special = quote | backslash | control;
        if special != 0 {
            // A borrow can only make false marks above a true one, so the lowest mark is true.
            let before = (special.trailing_zeros() / 8) as usize;
            seen |= word & ((1_u64 << (8 * before)) - 1);
            return (length + before, seen & HIGHS == 0);
        }
        seen |= word;
        length += 8;
    }
    for byte in &text[length..] {
        if *byte < 0x20 || matches!(byte, b'"' | b'\\') {
            break;
        }
        seen |= u64::from(*byte);
        length += 1;
    }
    (length, seen & HIGHS == 0)
}
