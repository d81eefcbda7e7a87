//! The command table: found by name, numbered for metrics.

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
}

/// A name in lower case, filled up with zeros, in words: comparing bytes through memory that was just written would wait for
/// the writes.
type Folded = [u64; MAX_NAME_BYTES / 8];

impl CommandTable {
    /// Numbers `specs` and their subcommands.
    ///
    /// # Panics
    /// When two commands share a name, or a name is longer than [`MAX_NAME_BYTES`]: the table is part of the program.
    #[must_use]
    pub fn new(specs: &[&'static Spec]) -> Self {
        let mut table = Self { commands: Vec::new(), by_name: HashTable::new() };
        for spec in specs {
            let folded = fold(spec.name.as_bytes()).expect("names are short");
            assert!(table.find(spec.name.as_bytes()).is_none(), "two commands are called {}", spec.name);
            let number = table.push(spec);
            for subcommand in spec.subcommands {
                table.push(subcommand);
            }
            let hash = hash_of(&folded);
            table.by_name.insert_unique(hash, (folded, number), |(folded, _)| hash_of(folded));
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
        let found = self.by_name.find(hash_of(&folded), |(known, _)| *known == folded);
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
    let mut folded = Folded::default();
    for (folded, bytes) in folded.iter_mut().zip(name.chunks(8)) {
        *folded = lower_case(word_of(bytes));
    }
    Some(folded)
}

/// Up to 8 bytes as a word, filled up with zeros.
#[inline]
fn word_of(bytes: &[u8]) -> u64 {
    match bytes.try_into() {
        Ok(bytes) => u64::from_le_bytes(bytes),
        Err(_) => bytes.iter().rev().fold(0, |word, &byte| (word << 8) | u64::from(byte)),
    }
}

/// Each byte of the word in lower case where it is an ASCII letter.
#[inline]
const fn lower_case(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    let low_bits = word & !HIGH;
    // The high bit of each byte tells whether it is at least 'A', and whether it is over 'Z'.
    let from_a = low_bits + (0x80 - b'A' as u64) * ONES;
    let over_z = low_bits + (0x7f - b'Z' as u64) * ONES;
    let is_upper = !word & HIGH & (from_a ^ over_z);
    word | (is_upper >> 2)
}

#[inline]
fn hash_of(folded: &Folded) -> u64 {
    folded.iter().fold(0, |hash: u64, word| (hash ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_as_ascii() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                let mut bytes = *b"aZ.|-z[@";
                bytes[place] = byte;
                assert_eq!(
                    lower_case(u64::from_le_bytes(bytes)).to_le_bytes(),
                    bytes.to_ascii_lowercase()[..]
                );
            }
        }
        assert_eq!(fold(b"QUOTA.TAKE"), fold(b"quota.take"));
        assert_ne!(fold(b"get"), fold(b"get "));
        assert_eq!(fold(&[b'x'; MAX_NAME_BYTES + 1]), None);
    }
}
