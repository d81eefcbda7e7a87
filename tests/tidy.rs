//! Checks the house rules that no compiler or linter checks: layers, file headers, file lengths, one command per file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Which module may use which: the table of ARCHITECTURE.md. `app`, `main` and `lib` know everything.
const LAYERS: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("metrics", &[]),
    ("essential", &[]),
    ("resp", &[]),
    ("config", &[]),
    ("quota", &["clock"]),
    ("engine", &["quota", "clock", "metrics"]),
    ("dispatch", &["resp", "engine", "quota", "clock", "metrics"]),
    ("command", &["dispatch", "engine", "quota", "resp", "clock", "metrics"]),
    ("persist", &["engine", "quota", "clock", "metrics", "essential"]),
    ("snapshot", &["engine", "persist", "quota", "clock", "metrics", "essential"]),
    ("server", &["dispatch", "resp", "clock", "metrics"]),
    (
        "admin",
        &["metrics", "dispatch::ports", "dispatch::Ports", "dispatch::CommandTable", "engine::MemoryReport"],
    ),
];

/// Lines a file may have without a word on why.
const MAX_FILE_LINES: usize = 500;

/// What the header of a longer file says.
const LONG_FILE_REASON: &str = "Longer than 500 lines";

/// Lines of a `mod.rs`: about a screen and a half of declarations. Code lives in named files.
const MAX_MOD_LINES: usize = 300;

/// Folders whose files others made.
const NOT_OURS: &[&str] = &["target", "node_modules", ".venv", "artifacts", "corpus", ".git", "quotad-data"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("the folder can be read").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            if path.is_dir() && !NOT_OURS.contains(&name.as_str()) {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("the file is in the project").display().to_string()
}

/// The text without comments and string literals, so that only code is searched.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        let mut in_string = false;
        let mut previous = ' ';
        let mut kept = String::new();
        let mut chars = line.chars().peekable();
        while let Some(char) = chars.next() {
            if !in_string && char == '/' && chars.peek() == Some(&'/') {
                break;
            }
            if char == '"' && previous != '\\' && previous != '\'' {
                in_string = !in_string;
            }
            if !in_string {
                kept.push(char);
            }
            previous = char;
        }
        code.push_str(&kept);
        code.push('\n');
    }
    code
}

/// The paths behind `crate::` in `code`, groups taken apart: `crate::{a, b::c}` gives `a` and `b::c`.
fn crate_paths(code: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for (start, _) in code.match_indices("crate::") {
        let rest = &code[start + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for char in group.chars() {
                match char {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        paths.insert(word.trim().to_owned());
                        word.clear();
                        continue;
                    }
                    _ => {}
                }
                word.push(char);
            }
            paths.insert(word.trim().to_owned());
        } else if let Some((module, group)) =
            rest.split_once("::{").filter(|(module, _)| module.chars().all(char::is_alphanumeric))
        {
            let items = group.split('}').next().unwrap_or_default();
            for item in items.split(',').filter(|item| !item.trim().is_empty()) {
                paths.insert(format!("{module}::{}", item.trim()));
            }
        } else {
            let end = rest.find(|char: char| !(char.is_alphanumeric() || char == '_' || char == ':'));
            paths.insert(rest[..end.unwrap_or(rest.len())].trim_end_matches(':').to_owned());
        }
    }
    paths
}

#[test]
fn paths_are_found_in_every_form() {
    let check = |code: &str, expected: &[&str]| {
        assert_eq!(crate_paths(code).iter().map(String::as_str).collect::<Vec<_>>(), expected, "{code}");
    };
    check("use crate::quota::Limit;", &["quota::Limit"]);
    check(
        "use crate::{clock::Timestamp, quota::{Limit, Rule}};",
        &["clock::Timestamp", "quota::{Limit, Rule}"],
    );
    check("let x = crate::engine::Engine::new();", &["engine::Engine::new"]);
    check(
        "use crate::dispatch::{Context, ports::Clients};",
        &["dispatch::Context", "dispatch::ports::Clients"],
    );
    assert!(crate_paths(&code_of("// crate::engine\nlet a = \"crate::server\";")).is_empty());
}

#[test]
fn every_arrow_between_modules_is_in_the_table() {
    let mut wrong = Vec::new();
    for file in rust_files("src") {
        let name = relative(&file);
        if name.ends_with("/tests.rs") {
            // A module's own tests may build what surrounds it.
            continue;
        }
        let module = name.trim_start_matches("src/").split(['/', '.']).next().unwrap_or_default().to_owned();
        if ["app", "main", "lib"].contains(&module.as_str()) {
            continue;
        }
        let allowed = LAYERS.iter().find(|(layer, _)| *layer == module);
        let Some((_, allowed)) = allowed else {
            wrong.push(format!("{name}: the module {module} is not in the table of layers"));
            continue;
        };
        let code = code_of(&fs::read_to_string(&file).expect("the file can be read"));
        for path in crate_paths(&code) {
            let is_own = path.split("::").next() == Some(&module);
            let fits = |layer: &&str| path == **layer || path.starts_with(&format!("{layer}::"));
            if !is_own && !allowed.iter().any(fits) {
                wrong.push(format!("{name}: {module} may not use crate::{path}"));
            }
        }
        let depth = name.matches('/').count() - usize::from(name.ends_with("/mod.rs"));
        // From a test module inside a file, one more `super` only leaves the file.
        let climbs = "super::".repeat(depth + 1);
        let leaves = code.contains(&climbs)
            || (depth > 1 && !code.contains("mod tests {") && code.contains(&climbs[7..]));
        if leaves {
            wrong.push(format!("{name}: {climbs} leaves its module; write crate:: instead"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn files_say_what_they_provide_and_stay_short() {
    let mut wrong = Vec::new();
    for folder in ["src", "tests", "benches", "fuzz"] {
        for file in rust_files(folder) {
            let name = relative(&file);
            let text = fs::read_to_string(&file).expect("the file can be read");
            if !text.trim_start_matches("#![no_main]").trim_start().starts_with("//!") {
                wrong.push(format!("{name}: begin with a //! sentence on what the file provides"));
            }
            let lines = text.lines().count();
            if lines > MAX_FILE_LINES && !text.contains(LONG_FILE_REASON) {
                wrong.push(format!(
                    "{name}: {lines} lines; divide it, or say why in its header ({LONG_FILE_REASON} ..)"
                ));
            }
            if name.ends_with("/mod.rs") && lines > MAX_MOD_LINES {
                wrong.push(format!("{name}: {lines} lines; a mod.rs is at most {MAX_MOD_LINES}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn module_headers_say_what_is_owned() {
    let mut wrong = Vec::new();
    for (layer, _) in LAYERS {
        let file = root().join(format!("src/{layer}/mod.rs"));
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for word in ["**Owns**", "**Does not own**", "**May use**"] {
            if !text.contains(word) {
                wrong.push(format!("src/{layer}/mod.rs: the header lacks {word}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_file_holds_one_command() {
    for file in rust_files("src/command") {
        let text = fs::read_to_string(&file).expect("the file can be read");
        let specs = text.matches("static SPEC: Spec").count();
        assert!(specs <= 1, "{}: {specs} commands in one file", relative(&file));
    }
}

#[test]
fn nothing_is_left_open_and_no_test_sleeps() {
    let mut wrong = Vec::new();
    for folder in ["src", "tests", "benches", "fuzz"] {
        for file in rust_files(folder) {
            let name = relative(&file);
            if name == "tests/tidy.rs" {
                continue;
            }
            let text = fs::read_to_string(&file).expect("the file can be read");
            for word in ["TODO", "FIXME", "XXX", "#[ignore"] {
                if text.contains(word) {
                    wrong.push(format!("{name}: {word}"));
                }
            }
            if folder == "tests" && code_of(&text).contains("thread::sleep") {
                wrong.push(format!("{name}: sleeps; wait for a condition with a deadline"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn top_level_folders_are_the_known_ones() {
    // proptest puts the inputs that failed a test into proptest-regressions, and tries them first from then on.
    const KNOWN: &[&str] =
        &["src", "benches", "fuzz", "migrations", "deploy", "tests", "target", "proptest-regressions"];
    for entry in fs::read_dir(root()).expect("the project can be read") {
        let entry = entry.expect("the project can be read");
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() && !name.starts_with('.') && name != "quotad-data" {
            assert!(KNOWN.contains(&name.as_str()), "{name}/ is no top-level folder of this project");
        }
    }
}

/// A merge that was not finished is told by its marks, which no compiler sees in a page of text.
#[test]
fn no_page_or_script_holds_the_marks_of_a_merge() {
    let mut wrong = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() {
                if !NOT_OURS.contains(&name) {
                    folders.push(path);
                }
                continue;
            }
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let marks = ["<<<<<<< ", ">>>>>>> "];
            if text.lines().any(|line| marks.iter().any(|mark| line.starts_with(mark))) {
                wrong.push(relative(&path));
            }
        }
    }
    assert!(wrong.is_empty(), "a merge is not finished in {wrong:?}");
}
