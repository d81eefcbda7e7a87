//! ACL: users, of which there is one so far.
//!
//! **Owns** nothing but WHOAMI. **Does not own** authentication. **May use** `dispatch`.

mod whoami;

use crate::command::help;
use crate::dispatch::{Group, Spec};

pub(super) static SPEC: Spec =
    help::container("acl", "A container for commands on users.", Group::Server, &[&whoami::SPEC, &HELP]);

static HELP: Spec = help::help("acl|help", Group::Server);
