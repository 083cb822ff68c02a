//! The policy of `unjack replay`, validated.

use super::{
    Action, ConfigError, Policy, parse_passwd,
    response::{kills, throttle},
};
use crate::{commands::cli::ReplayArgs, detect::reputation::Files};

/// What a recording is judged by.
#[derive(Clone, Debug)]
pub struct Replay {
    /// What would have been done with a miner.
    pub action: Action,
    /// Who is one.
    pub policy: Policy,
    /// What is left to a throttled miner, as a fraction of one core.
    pub throttle_to: f64,
    /// Processes acted on in a minute before the breaker opens.
    pub max_kills: u32,
    /// The same of one image.
    pub max_kills_per_image: u32,
    /// The built-in list of images and units is not spared.
    pub allow_none: bool,
    /// The lists.
    pub lists: Files,
}

impl Replay {
    /// Validates the flags of `unjack replay`. `passwd` is the content of
    /// `/etc/passwd`, for rules that name a user; it may be empty.
    ///
    /// # Errors
    /// Names the flag, its value and what is accepted.
    pub fn from_cli(args: &ReplayArgs, passwd: &str) -> Result<Self, ConfigError> {
        let ReplayArgs {
            file: _,
            action,
            policy,
            throttle_to,
            max_kills,
            max_kills_per_image,
            allow_none,
            deny_file,
            allow_file,
            json: _,
        } = args;
        Ok(Self {
            action: *action,
            policy: Policy::from_cli(policy, &parse_passwd(passwd))?,
            throttle_to: throttle(*throttle_to)?,
            max_kills: kills("--max-kills", *max_kills)?,
            max_kills_per_image: kills("--max-kills-per-image", *max_kills_per_image)?,
            allow_none: *allow_none,
            lists: Files {
                deny: deny_file.clone(),
                allow: allow_file.clone(),
                ..Files::default()
            },
        })
    }
}
