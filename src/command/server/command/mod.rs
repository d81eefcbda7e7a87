//! COMMAND: the command table, as clients read it.
//!
//! **Owns** the forms in which commands are told. **Does not own** the table. **May use** `dispatch`, `resp`.

mod category;
mod count;
mod describe;
mod docs;
mod getkeys;
mod getkeysandflags;
mod info;
mod keys;
mod list;
mod syntax;

use crate::command::help;
use crate::dispatch::{Args, Arity, Context, Flags, Group, Handled, Keys, Outcome, Spec};

pub(super) static SPEC: Spec = Spec {
    name: "command",
    syntax: "[subcommand [argument ...]]",
    summary: "Answers details of every command.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(N) with the number of commands.",
    arity: Arity::AtLeast(1),
    flags: Flags::LOADING,
    keys: Keys::NONE,
    examples: &[],
    subcommands: &[
        &count::SPEC,
        &docs::SPEC,
        &getkeys::SPEC,
        &getkeysandflags::SPEC,
        &info::SPEC,
        &list::SPEC,
        &HELP,
    ],
    run,
};

static HELP: Spec = help::help("command|help", Group::Server);

fn run(context: &mut Context<'_>, _args: Args<'_>) -> Handled {
    describe::write_all(context);
    Ok(Outcome::Reply)
}
