//! The lab: what unjack's model is made from, and what unjack is measured by.
//!
//! Its programs take minutes to hours and are in no suite. They use the harness
//! of the suites (the crate `tests`): the daemon as a child, the pool, containers.
//!
//! | module | program | what it owns |
//! |---|---|---|
//! | [`corpus`] | `corpus` | what the model is trained from: installed, recorded, packed |
//! | [`code`] | | the code that was sampled, as it is kept |
//! | [`fit`] | `fit` | the model: fitted to the corpus, and judged by it |
//! | [`honest`] | `honest` | hours of an honest machine's jobs beside a daemon that kills |
//!
//! The program `bench` measures what unjack costs, and how soon it judges.

pub mod code;
pub mod corpus;
pub mod fit;
pub mod honest;
