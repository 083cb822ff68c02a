//! Every change outside this process, the evidence that is kept before it, and
//! the operator's own program.

pub mod action;
pub mod evidence;
pub mod hook;
