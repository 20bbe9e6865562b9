//! A Rust source taken apart as far as the checks need it: code, comments, and the paths that code names.
//!
//! This is a lexer, not a parser: it knows comments, strings, characters and braces, and no more of the language.

/// One source file, split so that every part keeps the line numbers of the whole.
pub struct Source {
    /// The code, with comments and the insides of strings blanked.
    pub code: String,
    /// The comments, with everything else blanked.
    pub comments: String,
}

/// A path as written, such as `std::fs::File`, with the line it stands on. Groups are spelled out.
#[derive(Debug, PartialEq, Eq)]
pub struct NamedPath {
    pub segments: Vec<String>,
    pub line: usize,
}

/// A word or one sign of punctuation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    Word(&'a str),
    Sign(char),
}

impl Source {
    /// Splits a source text.
    pub fn read(text: &str) -> Self {
        let characters = text.chars().collect::<Vec<_>>();
        let mut split = Splitter { characters: &characters, at: 0, code: String::new(), comments: String::new() };
        split.run();
        Self { code: split.code, comments: split.comments }
    }

    /// The code with every `#[cfg(test)]` item blanked, and the names of the test modules that are files of their own.
    pub fn without_tests(&self) -> (String, Vec<String>) {
        let mut code = self.code.clone();
        let mut modules = Vec::new();
        while let Some(start) = code.find("#[cfg(test)]") {
            let end = item_end(&code, start);
            let item = tokens(&code[start..end]).map(|(token, _)| token).collect::<Vec<_>>();
            if let [.., Token::Word("mod"), Token::Word(name), Token::Sign(';')] = item[..] {
                modules.push(name.to_owned());
            }
            let blank = code[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect::<String>();
            code.replace_range(start..end, &blank);
        }
        (code, modules)
    }
}

/// Where the item that begins at `start` with an attribute ends: after its block, or after its semicolon.
fn item_end(code: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, character) in code[start..].char_indices() {
        match character {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && character == '}' {
                    return start + at + 1;
                }
            }
            ';' if depth == 0 => return start + at + 1,
            _ => {}
        }
    }
    code.len()
}

/// The words and signs of a code text with their lines, counted from one.
pub fn tokens(code: &str) -> impl Iterator<Item = (Token<'_>, usize)> {
    let mut rest = code;
    let mut line = 1;
    std::iter::from_fn(move || {
        let skipped = rest.len() - rest.trim_start().len();
        line += rest[..skipped].matches('\n').count();
        rest = &rest[skipped..];
        let first = rest.chars().next()?;
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let length = if is_word(first) { rest.find(|c| !is_word(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
        let (word, after) = rest.split_at(length);
        rest = after;
        Some((if is_word(first) { Token::Word(word) } else { Token::Sign(first) }, line))
    })
}

/// Every path that a code text names; `use a::{b, c::d}` names `a::b` and `a::c::d`.
pub fn paths(code: &str) -> Vec<NamedPath> {
    let tokens = tokens(code).collect::<Vec<_>>();
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        at = match tokens[at].0 {
            Token::Word(_) => read_path(&tokens, at, &[], &mut found),
            Token::Sign(_) => at + 1,
        };
    }
    found
}

fn read_path(tokens: &[(Token<'_>, usize)], start: usize, prefix: &[String], found: &mut Vec<NamedPath>) -> usize {
    let token = |at: usize| tokens.get(at).map(|(token, _)| *token);
    let mut segments = prefix.to_vec();
    let line = tokens[start].1;
    let mut at = start;
    loop {
        match token(at) {
            Some(Token::Word(word)) => segments.push(word.to_owned()),
            Some(Token::Sign('*')) => segments.push("*".to_owned()),
            Some(Token::Sign('{')) => {
                at += 1;
                while !matches!(token(at), None | Some(Token::Sign('}'))) {
                    at = match token(at) {
                        Some(Token::Word(_) | Token::Sign('*')) => read_path(tokens, at, &segments, found),
                        _ => at + 1,
                    };
                }
                return at + 1;
            }
            _ => break,
        }
        at += 1;
        if token(at) != Some(Token::Sign(':')) || token(at + 1) != Some(Token::Sign(':')) {
            break;
        }
        at += 2;
    }
    found.push(NamedPath { segments, line });
    at.max(start + 1)
}

struct Splitter<'a> {
    characters: &'a [char],
    at: usize,
    code: String,
    comments: String,
}

impl Splitter<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.at + ahead).copied()
    }

    fn run(&mut self) {
        while let Some(character) = self.peek(0) {
            match character {
                '/' if self.peek(1) == Some('/') => self.line_comment(),
                '/' if self.peek(1) == Some('*') => self.block_comment(),
                '"' => self.string(),
                'r' if self.begins_raw_string() => self.raw_string(),
                '\'' => self.character_or_lifetime(),
                _ => self.keep_as_code(),
            }
        }
    }

    fn keep_as_code(&mut self) {
        let character = self.characters[self.at];
        self.code.push(character);
        self.comments.push(if character == '\n' { '\n' } else { ' ' });
        self.at += 1;
    }

    fn keep_as_comment(&mut self) {
        let character = self.characters[self.at];
        self.comments.push(character);
        self.code.push(if character == '\n' { '\n' } else { ' ' });
        self.at += 1;
    }

    fn blank(&mut self) {
        let blank = if self.characters[self.at] == '\n' { '\n' } else { ' ' };
        self.code.push(blank);
        self.comments.push(blank);
        self.at += 1;
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.keep_as_comment();
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while self.peek(0).is_some() {
            let pair = (self.peek(0), self.peek(1));
            let step = match pair {
                (Some('/'), Some('*')) => 1,
                (Some('*'), Some('/')) => -1,
                _ => 0,
            };
            self.keep_as_comment();
            if step != 0 {
                self.keep_as_comment();
                depth += step;
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.keep_as_code();
        while let Some(character) = self.peek(0) {
            match character {
                '"' => return self.keep_as_code(),
                '\\' if self.peek(1).is_some() => {
                    self.blank();
                    self.blank();
                }
                _ => self.blank(),
            }
        }
    }

    /// `r"…"` and `r#"…"#`, also after a `b` or `c`; but not the end of a word, and not a raw identifier.
    fn begins_raw_string(&self) -> bool {
        let before = self.at.checked_sub(1).map(|at| self.characters[at]);
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        if before.is_some_and(|c| is_word(c) && c != 'b' && c != 'c') {
            return false;
        }
        let hashes = (1..).take_while(|ahead| self.peek(*ahead) == Some('#')).count();
        self.peek(1 + hashes) == Some('"')
    }

    fn raw_string(&mut self) {
        self.keep_as_code();
        let hashes = (0..).take_while(|ahead| self.peek(*ahead) == Some('#')).count();
        for _ in 0..hashes {
            self.blank();
        }
        self.keep_as_code();
        while let Some(character) = self.peek(0) {
            if character == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#')) {
                self.keep_as_code();
                for _ in 0..hashes {
                    self.blank();
                }
                return;
            }
            self.blank();
        }
    }

    fn character_or_lifetime(&mut self) {
        let is_character = self.peek(1) == Some('\\') || self.peek(2) == Some('\'');
        self.blank();
        if !is_character {
            return;
        }
        if self.peek(0) == Some('\\') {
            self.blank();
        }
        if self.peek(0).is_some() {
            self.blank();
        }
        while self.peek(0).is_some_and(|c| c != '\'') {
            self.blank();
        }
        if self.peek(0).is_some() {
            self.blank();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(code: &str) -> Vec<String> {
        paths(&Source::read(code).code).iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn code_comments_and_strings_are_told_apart_on_their_lines() {
        let text = "let a = \"// no\"; // yes\nlet b = r#\"\" dbg!\"#; /* two\nlines */ let c = '\"'; let d: &'a str;";

        let source = Source::read(text);

        assert_eq!(source.comments.split_whitespace().collect::<Vec<_>>(), ["//", "yes", "/*", "two", "lines", "*/"]);
        assert!(!source.code.contains("dbg"), "{}", source.code);
        assert!(source.code.lines().nth(2).unwrap().contains("let c ="), "{}", source.code);
        assert!(source.code.contains("let d"), "a quote in a character ends nothing: {}", source.code);
    }

    #[test]
    fn groups_globs_and_renames_are_spelled_out() {
        let code = "use std::{fs::{self, File}, time::*, sync::Arc as Shared}; fn f() { ::std::env::var(x); }";

        let named = named(code);

        for path in ["std::fs::self", "std::fs::File", "std::time::*", "std::sync::Arc", "std::env::var"] {
            assert!(named.iter().any(|found| found == path), "{path} in {named:?}");
        }
    }

    #[test]
    fn test_items_are_left_out_and_test_files_are_named() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests { use std::fs; fn b() { [1; 2]; } }\nfn c() {}\n#[cfg(test)] mod far;\n";

        let (code, files) = Source::read(text).without_tests();

        assert_eq!(files, ["far"]);
        assert!(!code.contains("std"), "{code}");
        assert!(code.lines().nth(3).unwrap().contains("fn c()"), "{code}");
    }
}
