//! The command table: found by name, numbered for metrics.

use std::hash::{BuildHasher, Hasher};

use hashbrown::HashTable;

use super::Spec;

/// The longest name a command can have, its subcommand not counted. Longer words are unknown at once.
pub const MAX_NAME_BYTES: usize = 24;

/// A command of the table.
#[derive(Clone, Copy)]
pub struct Command {
    /// Its number: commands in the table's order, subcommands behind their container.
    pub number: u16,
    /// What it says of itself.
    pub spec: &'static Spec,
}

/// Every command.
pub struct CommandTable {
    commands: Vec<Command>,
    by_name: HashTable<(Folded, u16)>,
    hashing: foldhash::fast::FixedState,
}

/// A name in lower case, filled up with zeros, so that comparing takes three words.
type Folded = [u8; MAX_NAME_BYTES];

impl CommandTable {
    /// Numbers `specs` and their subcommands.
    ///
    /// # Panics
    /// When two commands share a name, or a name is longer than [`MAX_NAME_BYTES`]: the table is part of the program.
    #[must_use]
    pub fn new(specs: &[&'static Spec]) -> Self {
        let mut table = Self {
            commands: Vec::new(),
            by_name: HashTable::new(),
            hashing: foldhash::fast::FixedState::default(),
        };
        for spec in specs {
            let folded = fold(spec.name.as_bytes()).expect("names are short");
            assert!(table.find(spec.name.as_bytes()).is_none(), "two commands are called {}", spec.name);
            let number = table.push(spec);
            for subcommand in spec.subcommands {
                table.push(subcommand);
            }
            let hashing = table.hashing.clone();
            let hash = hash_of(&hashing, &folded);
            table.by_name.insert_unique(hash, (folded, number), |(folded, _)| hash_of(&hashing, folded));
        }
        table
    }

    fn push(&mut self, spec: &'static Spec) -> u16 {
        let number = u16::try_from(self.commands.len()).expect("there are under 65,536 commands");
        self.commands.push(Command { number, spec });
        number
    }

    /// The command called `name`, in any case.
    #[must_use]
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<Command> {
        let folded = fold(name)?;
        let found = self.by_name.find(hash_of(&self.hashing, &folded), |(known, _)| *known == folded);
        found.map(|&(_, number)| self.commands[usize::from(number)])
    }

    /// The subcommand of `container` called `name`, in any case.
    #[must_use]
    pub fn find_subcommand(&self, container: Command, name: &[u8]) -> Option<Command> {
        let first = usize::from(container.number) + 1;
        let subcommands = &self.commands[first..first + container.spec.subcommands.len()];
        let is_called = |command: &&Command| {
            command
                .spec
                .name
                .rsplit('|')
                .next()
                .is_some_and(|word| name.eq_ignore_ascii_case(word.as_bytes()))
        };
        subcommands.iter().find(is_called).copied()
    }

    /// The command called `name`, where a subcommand is written with its container's name: `client|list`.
    #[must_use]
    pub fn find_full(&self, name: &[u8]) -> Option<Command> {
        let Some(bar) = name.iter().position(|&byte| byte == b'|') else { return self.find(name) };
        let container = self.find(&name[..bar])?;
        self.find_subcommand(container, &name[bar + 1..])
    }

    /// As [`find_full`](Self::find_full), with the subcommands of a container behind it; empty for an unknown name.
    #[must_use]
    pub fn find_with_subcommands(&self, name: &[u8]) -> &[Command] {
        let Some(command) = self.find_full(name) else { return &[] };
        let first = usize::from(command.number);
        &self.commands[first..=first + command.spec.subcommands.len()]
    }

    /// All commands and subcommands, in the order of their numbers.
    #[must_use]
    pub fn all(&self) -> &[Command] {
        &self.commands
    }

    /// The commands that are no subcommands.
    pub fn top_level(&self) -> impl Iterator<Item = Command> {
        self.commands.iter().copied().filter(|command| !command.spec.name.contains('|'))
    }

    /// The command with this number.
    #[must_use]
    pub fn by_number(&self, number: u16) -> Option<Command> {
        self.commands.get(usize::from(number)).copied()
    }
}

#[inline]
fn fold(name: &[u8]) -> Option<Folded> {
    if name.len() > MAX_NAME_BYTES {
        return None;
    }
    let mut folded = [0; MAX_NAME_BYTES];
    for (folded, byte) in folded.iter_mut().zip(name) {
        *folded = byte.to_ascii_lowercase();
    }
    Some(folded)
}

#[inline]
fn hash_of(hashing: &foldhash::fast::FixedState, folded: &Folded) -> u64 {
    let mut hasher = hashing.build_hasher();
    hasher.write(folded);
    hasher.finish()
}
