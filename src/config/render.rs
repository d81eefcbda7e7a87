//! The settings as texts: a file that can be fed back, and the README's table.

use std::fmt::Write as _;

use super::{Change, Config, SETTINGS, Setting};

/// The settings as a TOML file that gives the same settings when it is read. Passwords are not in it, only the path of
/// their file.
#[must_use]
pub fn print_config(config: &Config) -> String {
    let mut file = String::new();
    for setting in SETTINGS.iter().filter(|setting| setting.name != "config") {
        let texts = setting.kind.texts(config);
        let is_unset = texts.iter().all(String::is_empty);
        let comment = if is_unset { "# " } else { "" };
        let value = toml_value(setting, &texts);
        writeln!(file, "# {}\n{comment}{} = {value}", setting.help, setting.name)
            .expect("a string can always be written to");
    }
    file
}

fn toml_value(setting: &Setting, texts: &[String]) -> String {
    let quoted = |text: &String| toml::Value::String(text.clone()).to_string();
    if setting.kind.is_list() {
        return format!("[{}]", texts.iter().map(quoted).collect::<Vec<_>>().join(", "));
    }
    // A TOML integer has 63 bits; the few larger numbers of bytes are told as strings.
    let text = texts.concat();
    if setting.kind.is_bare() && text.parse::<i64>().is_ok() { text } else { quoted(&text) }
}

/// The README's table of settings, in Markdown.
#[must_use]
pub fn readme_table() -> String {
    let mut table =
        String::from("| setting | default | CONFIG SET | what it does |\n| --- | --- | --- | --- |\n");
    for setting in SETTINGS {
        let default =
            if setting.default.is_empty() { String::new() } else { format!("`{}`", setting.default_text()) };
        let live = match setting.change {
            Change::Live => "yes",
            Change::AtStart => "",
        };
        let help = setting.help.replace('|', "\\|");
        writeln!(table, "| `{}` | {default} | {live} | {help} |", setting.name)
            .expect("a string can always be written to");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_toml_with_a_key_for_every_setting() {
        let table: toml::Table = print_config(&Config::default()).parse().expect("the file is TOML");
        for setting in SETTINGS.iter().filter(|setting| setting.name != "config") {
            let is_unset = setting.kind.show(&Config::default()).is_empty();
            assert_eq!(table.contains_key(setting.name), !is_unset, "{}", setting.name);
        }
    }
}
