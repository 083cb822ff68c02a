//! The policy of `unjack replay`, validated.

use super::{Action, BreakerLimits, Policy};
use crate::detect::reputation::Files;

/// What a recording is judged by.
#[derive(Clone, Debug)]
pub struct Replay {
    /// What would have been done with a miner.
    pub action: Action,
    /// Who is one.
    pub policy: Policy,
    /// What is left to a throttled miner, as a fraction of one core.
    pub throttle_to: f64,
    /// How much is acted on in a minute before the breaker opens.
    pub breaker: BreakerLimits,
    /// The built-in list of images and units is not protected.
    pub no_builtin_protection: bool,
    /// The lists.
    pub lists: Files,
}
