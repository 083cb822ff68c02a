//! tmp
/// tmp
#[derive(Debug,Default)] pub struct Judgement;
