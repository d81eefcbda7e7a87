//! LATENCY: how long commands take.
//!
//! **Owns** the form of the answers. **Does not own** the measurements. **May use** `dispatch`, `metrics`, `resp`.

mod histogram;
mod latest;
mod reset;

use crate::dispatch::{Command, CommandTable};

/// The commands that `words` name, each with its subcommands; all for no words. Unknown words are passed over.
fn named<'w>(commands: &CommandTable, words: impl ExactSizeIterator<Item = &'w [u8]>) -> Vec<Command> {
    if words.len() == 0 {
        return commands.all().to_vec();
    }
    words.flat_map(|word| commands.find_with_subcommands(word).iter().copied()).collect()
}

use crate::command::help;
use crate::dispatch::{Group, Spec};

pub(super) static SPEC: Spec = help::container(
    "latency",
    "A container for commands on latency.",
    Group::Server,
    &[&histogram::SPEC, &latest::SPEC, &reset::SPEC, &HELP],
);

static HELP: Spec = help::help("latency|help", Group::Server);
