//! What containers such as CLIENT share: their own entry in the table, and HELP, derived from the table.

use crate::dispatch::{Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec};

/// The entry of a container: a command that does nothing without a subcommand.
pub(super) const fn container(
    name: &'static str,
    summary: &'static str,
    group: Group,
    subcommands: &'static [&'static Spec],
) -> Spec {
    Spec {
        name,
        syntax: "subcommand [argument ...]",
        summary,
        group,
        since: "0.1.0",
        complexity: "As the subcommand's.",
        arity: Arity::AtLeast(2),
        flags: Flags::LOADING,
        keys: Keys::NONE,
        examples: &[],
        subcommands,
        run: without_subcommand,
    }
}

/// The entry of a container's HELP; `name` is the container's with `|help`.
pub(super) const fn help(name: &'static str, group: Group) -> Spec {
    Spec {
        name,
        syntax: "",
        summary: "Prints this help.",
        group,
        since: "0.1.0",
        complexity: "O(N) with the number of subcommands.",
        arity: Arity::Exactly(2),
        flags: Flags::LOADING,
        keys: Keys::NONE,
        examples: &[],
        subcommands: &[],
        run: print,
    }
}

/// Unreachable while every container demands two words; an error is right in any case.
fn without_subcommand(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    Err(CommandError::WrongArity(context.name().to_owned()).into())
}

fn print(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    let container = context.name().split('|').next().unwrap_or_default();
    let subcommands =
        context.ports.commands.find(container.as_bytes()).map_or(&[][..], |command| command.spec.subcommands);
    let title = container.to_ascii_uppercase();
    context.reply.array(1 + 2 * subcommands.len());
    context.reply.simple(&format!("{title} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for subcommand in subcommands {
        let word = subcommand.name.rsplit('|').next().unwrap_or_default().to_ascii_uppercase();
        context.reply.simple(format!("{word} {}", subcommand.syntax).trim_end());
        context.reply.simple(&format!("    {}", subcommand.summary));
    }
    Ok(Outcome::Reply)
}

#[cfg(test)]
mod tests {
    use crate::dispatch::testing::Harness;

    #[test]
    fn help_lists_every_subcommand_of_every_container() {
        let mut harness = Harness::new(crate::command::table());
        let containers: Vec<_> = harness.ports().commands.top_level().map(|command| command.spec).collect();
        for container in containers.into_iter().filter(|spec| !spec.subcommands.is_empty()) {
            let reply = harness.call(&format!("{} HELP", container.name));
            let reply = String::from_utf8(reply).unwrap();
            for subcommand in container.subcommands {
                let word = subcommand.name.rsplit('|').next().unwrap().to_ascii_uppercase();
                assert!(
                    reply.contains(&format!("\n+{word}")),
                    "{} HELP leaves out {word}: {reply}",
                    container.name
                );
            }
            let one_too_many = harness.call(&format!("{} HELP me", container.name));
            assert!(one_too_many.starts_with(b"-ERR wrong number of arguments"), "{}", container.name);
        }
    }
}
