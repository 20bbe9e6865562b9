//! What is left over from work in progress is refused: tests that do not run, code that is not there, notes to oneself.

use std::path::Path;

use super::Fault;
use super::source::{Source, Token, tokens};

const MACROS: [&str; 3] = ["todo", "unimplemented", "dbg"];
const NOTES: [&str; 3] = ["TODO", "FIXME", "XXX"];

/// Every leftover in one source file.
pub fn faults(file: &Path, source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    let tokens = tokens(&source.code).collect::<Vec<_>>();
    for (at, (token, line)) in tokens.iter().enumerate() {
        let Token::Word(word) = token else { continue };
        let after = tokens.get(at + 1).map(|(token, _)| *token);
        if MACROS.contains(word) && after == Some(Token::Sign('!')) {
            faults.push(Fault::at(file, *line, format!("`{word}!` is left over")));
        }
        let in_attribute = at >= 2 && tokens[at - 1].0 == Token::Sign('[') && tokens[at - 2].0 == Token::Sign('#');
        if *word == "ignore" && in_attribute {
            faults.push(Fault::at(
                file,
                *line,
                "a test that does not run proves nothing; let it say what it lacks and skip",
            ));
        }
    }
    for (at, comment) in source.comments.lines().enumerate() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        for note in comment.split(|c| !is_word(c)).filter(|word| NOTES.contains(word)) {
            faults.push(Fault::at(
                file,
                at + 1,
                format!("{note}: do it, or open an issue and say in the comment what holds now"),
            ));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        let faults = faults(Path::new("a.rs"), &Source::read(text));
        faults.iter().map(|fault| fault.place.rsplit(':').next().unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn every_leftover_is_refused_at_its_line() {
        let text = "#[test]\n#[ignore]\nfn a() { todo!() }\n// TODO later\nfn b() { dbg!(1); }\n#[ignore = \"slow\"]\n/* FIXME */";

        assert_eq!(lines(text), [2, 3, 5, 6, 4, 7]);
    }

    #[test]
    fn words_that_only_look_like_leftovers_pass() {
        let text = "fn ignore() {}\nfn todo() { let s = \"TODO dbg!()\"; }\n// the XXXL size\nlet x = [ignore];";

        assert_eq!(lines(text), Vec::<usize>::new());
    }
}
