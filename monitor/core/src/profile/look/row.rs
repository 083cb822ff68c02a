//! One decoded sample as it lies in a recording.

use serde::{Deserialize, Serialize};

use super::{DecodedSample, SLOTS};
use crate::{
    event::Counters,
    isa::{CLASSES, marks::Mark},
    profile::Place,
};

/// A look as it lies in a recording: all of it, and no byte of code, register or
/// stack.
///
/// In order: its time (nanoseconds), thread, cache line of code, flags ([`Row`]'s
/// constants), place (its number in [`Place::ALL`]), then pairs: a class's number
/// and its instructions, a slot's number and the cache line it points to; and the
/// thread's counters: on-CPU nanoseconds, voluntary and involuntary switches,
/// faults, bytes moved; and the amounts and constants in its code, which older
/// recordings lack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row(
    u64,
    u32,
    u64,
    u8,
    u8,
    Vec<u8>,
    Vec<u32>,
    (u64, u64, u64, u64, Option<u64>),
    #[serde(default)] Vec<Mark>,
);

impl Row {
    const KERNEL: u8 = 1;
    const UNDECODABLE: u8 = 2;
    const MIXING: u8 = 4;
    /// The rounding mode was looked at, …
    const ROUNDING: u8 = 8;
    /// … and is not to nearest, …
    const ROUNDS: u8 = 16;
    /// … but the mode that is these two bits, which older recordings lack.
    const MODE: u8 = 32 + 64;
    const MODE_SHIFT: u32 = 5;
}

impl From<&DecodedSample> for Row {
    fn from(look: &DecodedSample) -> Self {
        let DecodedSample {
            time_ns,
            tid,
            line,
            kernel,
            place,
            undecodable,
            rounding,
            mix,
            marks,
            mixing,
            data,
            counters:
                Counters {
                    run_ns,
                    voluntary,
                    involuntary,
                    io_bytes,
                    faults,
                },
        } = *look;
        let flag = |set: bool, flag| if set { flag } else { 0 };
        let flags = flag(kernel, Self::KERNEL)
            | flag(undecodable, Self::UNDECODABLE)
            | flag(mixing, Self::MIXING)
            | flag(rounding.is_some(), Self::ROUNDING)
            | flag(rounding.is_some_and(|mode| mode != 0), Self::ROUNDS)
            | ((rounding.unwrap_or(0) << Self::MODE_SHIFT) & Self::MODE);
        let number = Place::ALL.iter().position(|known| *known == place);
        let place = number.and_then(|number| u8::try_from(number).ok());
        let classes = (0_u8..).zip(mix).filter(|(_, count)| *count != 0);
        let slots = (0_u32..).zip(data).filter(|(_, line)| *line != 0);
        Self(
            time_ns,
            tid,
            line,
            flags,
            place.unwrap_or(u8::MAX),
            classes.flat_map(<[u8; 2]>::from).collect(),
            slots.flat_map(<[u32; 2]>::from).collect(),
            (run_ns, voluntary, involuntary, faults, io_bytes),
            marks.iter().collect(),
        )
    }
}

/// A row that was written by no unjack of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sample has {0} that there is not")]
pub struct BadRow(&'static str);

impl TryFrom<Row> for DecodedSample {
    type Error = BadRow;

    fn try_from(row: Row) -> Result<Self, BadRow> {
        let Row(time_ns, tid, line, flags, place, classes, slots, counters, marks) = row;
        let (run_ns, voluntary, involuntary, faults, io_bytes) = counters;
        let (mut mix, mut data) = ([0; CLASSES], [0; SLOTS]);
        for pair in classes.chunks(2) {
            let [class, count] = pair else {
                return Err(BadRow("half a class"));
            };
            *mix.get_mut(usize::from(*class)).ok_or(BadRow("a class"))? = *count;
        }
        for pair in slots.chunks(2) {
            let [slot, line] = pair else {
                return Err(BadRow("half a slot"));
            };
            *data.get_mut(*slot as usize).ok_or(BadRow("a slot"))? = *line;
        }
        let is = |flag| flags & flag != 0;
        Ok(Self {
            time_ns,
            tid,
            line,
            kernel: is(Row::KERNEL),
            place: *(Place::ALL.get(usize::from(place))).ok_or(BadRow("a place"))?,
            undecodable: is(Row::UNDECODABLE),
            rounding: is(Row::ROUNDING).then_some((flags & Row::MODE) >> Row::MODE_SHIFT),
            mix,
            marks: marks
                .into_iter()
                .filter(|mark| mark.kind().is_some())
                .collect(),
            mixing: is(Row::MIXING),
            data,
            counters: Counters {
                run_ns,
                voluntary,
                involuntary,
                io_bytes,
                faults,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use monitor_ebpf::STACK_WORDS;

    use super::*;
    use crate::{event::Sample, isa::Arch};

    #[test]
    fn a_look_survives_its_row() {
        let process = crate::event::Process {
            tgid: 1,
            start_ns: 1,
        };
        // xor eax, ecx; rol eax, 5; add eax, edx
        let code = [0x31, 0xc8, 0xc1, 0xc0, 0x05, 0x01, 0xd0];
        for (kernel, rounding, io_bytes) in [
            (false, None, None),
            (false, Some(3), Some(0)),
            (true, Some(0), Some(u64::MAX)),
        ] {
            let mut sample = Sample::user(process, 7, u64::MAX - 1, 0x7fff_1234_5678, &code);
            (sample.kernel, sample.rounding) = (kernel, rounding);
            sample.counters.io_bytes = io_bytes;
            sample.registers[3] = 0x7fff_1234_5600;
            sample.stack[STACK_WORDS - 1] = 0x5555_1234_5600;
            for place in Place::ALL {
                let look = DecodedSample::new(Arch::X86_64, &sample, place);
                let text = serde_json::to_string(&Row::from(&look)).unwrap();
                let row: Row = serde_json::from_str(&text).unwrap();
                assert_eq!(DecodedSample::try_from(row), Ok(look), "{text}");
            }
        }
    }

    #[test]
    fn a_row_of_what_there_is_not_is_refused() {
        for (text, expected) in [
            ("[1,2,3,0,7,[],[],[0,0,0,0,null]]", "a place"),
            ("[1,2,3,0,0,[17,1],[],[0,0,0,0,null]]", "a class"),
            ("[1,2,3,0,0,[1],[],[0,0,0,0,null]]", "half a class"),
            ("[1,2,3,0,0,[],[79,1],[0,0,0,0,null]]", "a slot"),
            ("[1,2,3,0,0,[],[1,1,1],[0,0,0,0,null]]", "half a slot"),
        ] {
            let row: Row = serde_json::from_str(text).unwrap();
            assert_eq!(
                DecodedSample::try_from(row),
                Err(BadRow(expected)),
                "{text}"
            );
        }
    }
}
