//! The dictionary of the fuzz target `connection` is made of the command table: every name and every keyword is in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Words that no command names: where a request's meaning changes, and what belongs to the target's own connections.
const FURTHER_WORDS: &[&str] = &[
    "\\x0d\\x0a",
    "*1\\x0d\\x0a$",
    "*3\\x0d\\x0a$",
    "secret",
    "default",
    "-1",
    "0",
    "9223372036854775807",
    "1e400",
    "+inf",
    "60s",
    "500ms",
    "Europe/Berlin",
    "requests",
    "tokens",
    "POST",
    "Host:",
];

/// The words that a client types as they are: the names, and what a syntax writes in capitals.
fn words() -> BTreeSet<String> {
    let commands = quotad::command::table();
    let mut words: BTreeSet<String> = FURTHER_WORDS.iter().map(|&word| word.to_owned()).collect();
    for command in commands.all() {
        words.extend(command.spec.name.split('|').map(str::to_owned));
        let plain = |byte: char| !byte.is_ascii_alphanumeric() && byte != '-' && byte != '_';
        let keywords = command.spec.syntax.split(plain);
        let in_capitals =
            |word: &&str| word.len() > 1 && !word.chars().any(|letter| letter.is_ascii_lowercase());
        words.extend(keywords.filter(in_capitals).map(str::to_owned));
    }
    words
}

#[test]
fn the_dictionary_is_the_command_table() {
    let lines: Vec<String> = words().into_iter().map(|word| format!("\"{word}\"\n")).collect();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/dictionaries/connection.dict");
    let written = fs::read_to_string(&file).unwrap_or_default();
    let expected = lines.concat();
    if written != expected {
        let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("connection.dict");
        fs::write(&made, expected).expect("the target folder can be written");
        panic!("the dictionary is not the command table's; copy {} to {}", made.display(), file.display());
    }
}
