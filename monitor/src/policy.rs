//! What the operator decided: the validated flags, the rules, and what is never
//! acted on.

pub mod ancestry;
pub mod config;
pub mod guard;
pub(crate) mod judged;
pub mod only;
pub mod refusal;
