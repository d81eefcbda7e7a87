//! MEMORY: what keys weigh.
//!
//! **Owns** what these commands read and answer. **Does not own** the measuring. **May use** `dispatch`, `engine`.

mod usage;

use crate::command::help;
use crate::dispatch::{Group, Spec};

pub(super) static SPEC: Spec =
    help::container("memory", "A container for commands on memory.", Group::Server, &[&usage::SPEC, &HELP]);

static HELP: Spec = help::help("memory|help", Group::Server);
