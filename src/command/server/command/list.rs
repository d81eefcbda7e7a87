//! COMMAND LIST: the names of commands.

use super::category::categories;
use crate::command::glob;
use crate::dispatch::args::is_keyword;
use crate::dispatch::{
    Args, Arity, CommandError, Context, Flags, Group, Handled, Keys, Outcome, Spec, example,
};

pub(super) static SPEC: Spec = Spec {
    name: "command|list",
    syntax: "[FILTERBY MODULE module-name | ACLCAT category | PATTERN pattern]",
    summary: "Answers the names of all commands and subcommands, or of those that fit.",
    group: Group::Server,
    since: "0.1.0",
    complexity: "O(N) with the number of commands.",
    arity: Arity::AtLeast(2),
    flags: Flags::LOADING,
    keys: Keys::NONE,
    examples: &[
        example("COMMAND LIST FILTERBY PATTERN ech*", "1) \"echo\""),
        example("COMMAND LIST FILTERBY COLOR red", "(error) ERR syntax error"),
    ],
    subcommands: &[],
    run,
};

fn run(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let filter = Filter::read(&mut args)?;
    let names: Vec<&str> = context
        .ports
        .commands
        .all()
        .iter()
        .map(|command| command.spec)
        .filter(|spec| filter.fits(spec))
        .map(|spec| spec.name)
        .collect();
    context.reply.array(names.len());
    names.iter().for_each(|name| context.reply.text(name));
    Ok(Outcome::Reply)
}

enum Filter {
    All,
    /// There are no modules, so no command is of one.
    Module,
    Category(Vec<u8>),
    Pattern(Vec<u8>),
}

impl Filter {
    fn read(args: &mut Args<'_>) -> Result<Self, CommandError> {
        if args.left() == 0 {
            return Ok(Self::All);
        }
        if !args.take_keyword("filterby") {
            return Err(CommandError::Syntax);
        }
        let kind = args.next_bytes()?;
        let value = args.next_bytes()?.to_ascii_lowercase();
        args.finish()?;
        match kind {
            _ if is_keyword(kind, "module") => Ok(Self::Module),
            _ if is_keyword(kind, "aclcat") => Ok(Self::Category(value)),
            _ if is_keyword(kind, "pattern") => Ok(Self::Pattern(value)),
            _ => Err(CommandError::Syntax),
        }
    }

    fn fits(&self, spec: &Spec) -> bool {
        match self {
            Self::All => true,
            Self::Module => false,
            Self::Category(category) => {
                categories(spec).iter().any(|name| name.trim_start_matches('@').as_bytes() == category)
            }
            Self::Pattern(pattern) => glob::matches(pattern, spec.name.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::dispatch::testing::Harness;

    #[test]
    fn filters() {
        let mut harness = Harness::new(crate::command::table());
        let all = harness.ports().commands.all().len();
        assert!(harness.call("COMMAND LIST").starts_with(format!("*{all}\r\n").as_bytes()));
        let list = |harness: &mut Harness, filter: &str| {
            String::from_utf8(harness.call(&format!("COMMAND LIST FILTERBY {filter}"))).unwrap()
        };
        assert_eq!(list(&mut harness, "pattern PIN*"), "*1\r\n$4\r\nping\r\n");
        assert_eq!(list(&mut harness, "PATTERN *|whoami"), "*1\r\n$10\r\nacl|whoami\r\n");
        assert!(list(&mut harness, "ACLCAT connection").contains("\r\nhello\r\n"));
        assert_eq!(list(&mut harness, "ACLCAT nothing"), "*0\r\n");
        assert_eq!(list(&mut harness, "MODULE any"), "*0\r\n");
        for bad in ["", "ACLCAT", "COLOR red", "PATTERN a b"] {
            assert_eq!(list(&mut harness, bad), "-ERR syntax error\r\n", "{bad}");
        }
    }
}
