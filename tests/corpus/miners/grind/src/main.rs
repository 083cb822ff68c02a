//! Grinds a nonce with the hash that is named, until killed.
//!
//! Usage: grind NAME

use std::process::ExitCode;

/// Hashes in a piece.
const PIECE: u32 = 1 << 10;

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    let Some(mut hash) = grind::number(&name).and_then(grind::hash) else {
        eprintln!("no hash is called {name:?}");
        return ExitCode::FAILURE;
    };
    let mut header = [0x5a; 80];
    let mut nonce = 0_u32;
    loop {
        if let Some(found) = grind::search(&mut hash, &mut header, nonce, PIECE, 0) {
            println!("found {found}");
        }
        nonce = nonce.wrapping_add(PIECE);
    }
}
