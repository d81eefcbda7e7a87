//! INFO: facts about the server.

use crate::dispatch::args::is_keyword;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};
use crate::resp::VerbatimFormat;
use std::fmt::Write as _;

pub(super) static SPEC: Spec = Spec {
    name: "info",
    syntax: "[section [section ...]]",
    summary: "Answers facts about the server by section.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(N) with the number of facts.",
    arity: Arity::AtLeast(1),
    flags: Flags::LOADING.with(Flags::DANGEROUS),
    keys: Keys::NONE,
    examples: &[example("INFO server", "\"# Server\\r\\nredis_version:7.0.15\\r\\n\"")
        .resp3("# Server\r\nredis_version:7.0.15\r\n")],
    subcommands: &[],
    run,
};

/// Sections that only `all`, `everything` or their own name show: they grow with the number of commands.
const ON_REQUEST: [&str; 2] = ["commandstats", "latencystats"];

/// Names that stand for every section.
const EVERY: [&str; 2] = ["all", "everything"];

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    let facts = context.ports.lifecycle.info();
    let mut text = String::new();
    for (section, lines) in facts.iter().filter(|(section, _)| is_asked(section, args)) {
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        let _infallible = write!(text, "# {}\r\n", title(section));
        for (name, value) in lines {
            let _infallible = write!(text, "{name}:{value}\r\n");
        }
    }
    context.reply.verbatim(VerbatimFormat::Text, &text);
    Ok(Outcome::Reply)
}

fn is_asked(section: &str, args: Args<'_>) -> bool {
    let by_default = !ON_REQUEST.contains(&section);
    if args.left() == 0 {
        return by_default;
    }
    args.rest().any(|word| {
        is_keyword(word, section)
            || EVERY.iter().any(|every| is_keyword(word, every))
            || (by_default && is_keyword(word, "default"))
    })
}

fn title(section: &str) -> String {
    if section == "cpu" {
        return section.to_ascii_uppercase();
    }
    let mut title = section.to_owned();
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::testing::Harness;
    use crate::resp::write_request;

    #[test]
    fn sections() {
        let check = |words: &str, section: &str, expected: bool| {
            let words: Vec<_> = words.split_whitespace().collect();
            let mut input = Vec::new();
            write_request(&mut input, &words);
            let mut parser = crate::resp::RequestParser::new();
            parser.parse(&input, &crate::resp::RequestLimits::AUTHENTICATED_DEFAULT).unwrap().unwrap();
            let args = Args::new(parser.request(&input), 1);
            assert_eq!(is_asked(section, args), expected, "{words:?} {section}");
        };
        check("INFO", "server", true);
        check("INFO", "commandstats", false);
        check("INFO default", "commandstats", false);
        check("INFO DEFAULT commandstats", "commandstats", true);
        check("INFO all", "commandstats", true);
        check("INFO everything", "server", true);
        check("INFO Replication Server", "server", true);
        check("INFO replication", "server", false);
        check("INFO nothing", "server", false);
    }

    #[test]
    fn text() {
        let mut harness = Harness::new(crate::command::table());
        let expected = b"$32\r\n# Server\r\nredis_version:7.0.15\r\n\r\n";
        assert_eq!(String::from_utf8(harness.call("INFO")).unwrap(), String::from_utf8_lossy(expected));
        assert_eq!(harness.call("INFO nothing"), b"$0\r\n\r\n");
        harness.speak_resp3();
        assert!(harness.call("INFO").starts_with(b"=36\r\ntxt:# Server\r\n"));
        assert_eq!((title("cpu"), title("keyspace")), ("CPU".to_owned(), "Keyspace".to_owned()));
    }
}
