//! The store in which a snapshot's objects lie.
