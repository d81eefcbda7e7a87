//! The README's tables are those of the program: compares them, or rewrites them with `UPDATE_README=1`.

use std::fmt::Write as _;
use std::path::PathBuf;

/// The table of commands, by group.
fn commands() -> String {
    let table = quotad::command::table();
    let mut text = String::from("| command | what it does |\n| --- | --- |\n");
    for command in table.all() {
        let spec = command.spec;
        if !spec.subcommands.is_empty() {
            continue;
        }
        let name = spec.name.replace('|', " ").to_ascii_uppercase();
        let syntax = spec.syntax.replace('|', "\\|");
        let call = format!("{name} {syntax}");
        writeln!(text, "| `{}` | {} |", call.trim_end(), spec.summary).expect("a string takes all");
    }
    text
}

/// Puts `table` between the markers of `name` in `readme`.
fn with_table(readme: &str, name: &str, table: &str) -> String {
    let begin = readme.find(&format!("<!-- {name}:")).expect("the README has the marker");
    let begin = begin + readme[begin..].find("-->\n").expect("the marker ends") + "-->\n".len();
    let end = readme.find(&format!("<!-- end of {name} -->")).expect("the README has the end marker");
    format!("{}{table}{}", &readme[..begin], &readme[end..])
}

#[test]
fn the_readme_tells_the_commands_and_settings_there_are() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).expect("the README can be read");
    let mut expected = with_table(&readme, "commands", &commands());
    expected = with_table(&expected, "settings", &quotad::config::markdown());
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(&path, &expected).expect("the README can be written");
    } else {
        assert!(readme == expected, "the README is stale: run UPDATE_README=1 cargo test --test readme");
    }
}
