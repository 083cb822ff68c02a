//! How listings are checked, and what holds on both architectures.

use super::{Arch, Class, Decoded, Mix, disassemble, marks::Marks};

const ARCHES: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];

/// Checks a window of `bytes | disassembly | class` lines, first each line by
/// itself and then all of them as one window. The class `unread` marks what
/// lies behind the end of the straight line.
pub(super) fn check(arch: Arch, listing: &str) {
    let mut window = Vec::new();
    let mut expected = Mix::default();
    for (line, bytes, class) in lines(listing) {
        window.extend_from_slice(&bytes);
        let Some(class) = class else { continue };
        expected.add(class);
        let mut alone = Mix::default();
        alone.add(class);
        assert_eq!(decode(arch, 0x1000, &bytes), read(alone), "{line}");
    }
    assert_eq!(decode(arch, 0x1000, &window), read(expected), "{listing}");
    let text = disassemble(arch, 0x1000, &window);
    assert_eq!(text.len() as u64, u64::from(expected.total()), "{text:#?}");
}

/// What [`decode`] makes of the instructions in some listings.
pub(super) fn classes_in(arch: Arch, listings: &[&str]) -> Mix {
    let mut mix = Mix::default();
    for (_, bytes, _) in listings.iter().flat_map(|listing| lines(listing)) {
        mix.merge(&decode(arch, 0x1000, &bytes).mix);
    }
    mix
}

fn lines(listing: &str) -> impl Iterator<Item = (&str, Vec<u8>, Option<Class>)> {
    listing.trim().lines().map(|line| {
        let [bytes, _, class] = line.split('|').collect::<Vec<_>>()[..] else {
            panic!("not `bytes | disassembly | class`: {line}");
        };
        let bytes = bytes
            .split_whitespace()
            .map(|byte| u8::from_str_radix(byte, 16).expect(line))
            .collect();
        let class = match class.trim() {
            "unread" => None,
            name => Some(
                Class::ALL
                    .into_iter()
                    .find(|class| class.name() == name)
                    .expect(line),
            ),
        };
        (line, bytes, class)
    })
}

fn read(mix: Mix) -> Decoded {
    Decoded {
        mix,
        ..Decoded::default()
    }
}

/// What a window holds, its marks aside: those have tests of their own.
fn decode(arch: Arch, ip: u64, code: &[u8]) -> Decoded {
    Decoded {
        marks: Marks::default(),
        ..super::decode(arch, ip, code)
    }
}

#[test]
fn classes_are_listed_in_order_under_different_names() {
    for (place, class) in Class::ALL.into_iter().enumerate() {
        assert_eq!(class as usize, place);
        let namesakes = Class::ALL.iter().filter(|c| c.name() == class.name());
        assert_eq!(namesakes.count(), 1, "{}", class.name());
    }
}

#[test]
fn an_empty_mix_has_no_shares() {
    assert_eq!(Mix::default().total(), 0);
    assert!(Mix::default().shares().all(|(_, share)| share == 0.0));
}

#[test]
fn mixes_add_up() {
    let mut mix = Mix::default();
    mix.add(Class::Xor);
    let mut other = mix;
    other.add(Class::Rotate);
    other.add(Class::Rotate);
    mix.merge(&other);
    assert_eq!((mix.count(Class::Xor), mix.count(Class::Rotate)), (2, 2));
    assert_eq!(mix.total(), 4);
    let shares: Vec<_> = mix.shares().filter(|&(_, share)| share > 0.0).collect();
    assert_eq!(shares, [(Class::Rotate, 0.5), (Class::Xor, 0.5)]);
}

#[test]
fn counts_stop_at_their_limit() {
    let mut mix = Mix::default();
    mix.add(Class::Move);
    for _ in 0..32 {
        let same = mix;
        mix.merge(&same);
    }
    mix.add(Class::Move);
    mix.add(Class::Xor);
    assert_eq!(mix.count(Class::Move), u32::MAX);
    assert_eq!(mix.total(), u32::MAX);
}

#[test]
fn an_empty_window_holds_nothing() {
    for arch in ARCHES {
        assert_eq!(decode(arch, 0x1000, &[]), Decoded::default());
        assert!(disassemble(arch, 0x1000, &[]).is_empty());
    }
}

/// A process may put an instruction pointer anywhere, on any bytes.
#[test]
fn any_bytes_at_any_address_are_survived() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for arch in ARCHES {
        let (mut decodable, mut undecodable) = (0, 0);
        for round in 0..20_000 {
            let code: Vec<u8> = (0..8).flat_map(|_| random().to_le_bytes()).collect();
            let code = &code[..round % 65];
            let ip = u64::MAX - random() % 128;
            let decoded = decode(arch, ip, code);
            let text = disassemble(arch, ip, code);
            assert_eq!(text.len() as u64, u64::from(decoded.mix.total()));
            assert!(text.len() <= code.len());
            if decoded.undecodable {
                undecodable += 1;
            } else {
                decodable += 1;
            }
        }
        assert!(decodable > 0 && undecodable > 0, "{arch:?}");
    }
}
