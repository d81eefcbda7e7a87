//! COMMAND DOCS: what commands say of themselves.

use super::syntax::{Part, parts};
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec, example};
use crate::resp::ReplyWriter;

pub(super) static SPEC: Spec = Spec {
    name: "command|docs",
    syntax: "[command-name [command-name ...]]",
    summary: "Answers the documentation of these commands, of all for no names.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(N) with the number of commands.",
    arity: Arity::AtLeast(2),
    flags: Flags::LOADING,
    keys: Keys::NONE,
    examples: &[example("COMMAND DOCS nothing", "(empty array)").resp3("(empty hash)")],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, args: Args<'_>) -> Handled {
    let commands = &context.ports.commands;
    let chosen: Vec<_> = if args.left() == 0 {
        commands.top_level().collect()
    } else {
        args.rest().filter_map(|name| commands.find_full(name)).collect()
    };
    context.reply.map(chosen.len());
    for command in chosen {
        context.reply.text(command.spec.name);
        write(&mut context.reply, command.spec);
        if context.reply.is_over() {
            break;
        }
    }
    Ok(Outcome::Reply)
}

/// Writes the documentation of one command. `syntax` is a field that Redis does not have: the whole line, for people.
fn write(reply: &mut ReplyWriter<'_>, spec: &Spec) {
    let parts = parts(spec.syntax);
    let fields = [
        ("summary", spec.summary),
        ("since", spec.since),
        ("group", spec.group.name()),
        ("complexity", spec.complexity),
        ("syntax", spec.syntax),
    ];
    let is_container = !spec.subcommands.is_empty();
    let has_arguments = !parts.is_empty() && !is_container;
    reply.map(fields.len() + usize::from(has_arguments) + usize::from(is_container));
    for (name, value) in fields {
        reply.text(name);
        reply.text(value);
    }
    if has_arguments {
        reply.text("arguments");
        reply.array(parts.len());
        parts.iter().for_each(|part| write_argument(reply, part));
    }
    if is_container {
        reply.text("subcommands");
        reply.map(spec.subcommands.len());
        for subcommand in spec.subcommands {
            reply.text(subcommand.name);
            write(reply, subcommand);
        }
    }
}

/// Writes one part of the syntax line; what is inside it is its name, as it is written for people.
fn write_argument(reply: &mut ReplyWriter<'_>, part: &Part<'_>) {
    reply.map(2 + usize::from(part.optional));
    reply.text("name");
    reply.text(part.text);
    reply.text("type");
    reply.text("string");
    if part.optional {
        reply.text("flags");
        reply.set(1);
        reply.simple("optional");
    }
}

#[cfg(test)]
mod tests {
    use crate::dispatch::testing::Harness;

    #[test]
    fn documentation() {
        let mut harness = Harness::new(crate::command::table());
        let text = |harness: &mut Harness, call: &str| String::from_utf8(harness.call(call)).unwrap();
        let get = text(&mut harness, "COMMAND DOCS get nothing");
        assert!(get.starts_with("*2\r\n$3\r\nget\r\n*12\r\n$7\r\nsummary\r\n"), "{get}");
        assert!(get.ends_with(
            "$9\r\narguments\r\n*1\r\n*4\r\n$4\r\nname\r\n$3\r\nkey\r\n$4\r\ntype\r\n$6\r\nstring\r\n"
        ));
        assert!(text(&mut harness, "COMMAND DOCS client").contains("$11\r\nsubcommands\r\n"));
        assert_eq!(text(&mut harness, "COMMAND DOCS nothing"), "*0\r\n");
        harness.speak_resp3();
        let count = harness.ports().commands.top_level().count();
        assert!(text(&mut harness, "COMMAND DOCS").starts_with(&format!("%{count}\r\n")));
    }
}
