//! A recording that an older unjack made.

use super::*;

/// Three seconds of a shell that counts, made by unjack 0.1.0 on 2026-11-30, before a
/// rename of the code changed the word that a recording ends with. Most of its samples
/// were left out.
const OLD: &str = include_str!("format-2.jsonl");

#[test]
fn an_old_recording_is_read_line_by_line() {
    let (header, mut reader) = Reader::new(OLD.as_bytes()).unwrap();
    assert_eq!((header.unjack_recording, header.sample_hz), (2, 99));
    let (mut rows, mut ticks, mut last) = (0, 0, None);
    while let Some(line) = reader.next_line().unwrap() {
        match &line {
            Line::Samples(samples) => rows += samples.rows.len(),
            Line::Tick(_) => ticks += 1,
            Line::Who(who) => assert_eq!(who.facts.exe, "/usr/bin/dash"),
            _ => {}
        }
        last = Some(line);
    }
    assert_eq!((rows, ticks), (42, 3));
    let why = Why::Done;
    assert_eq!(last, Some(Line::End(End { why, lost: 0 })));
}

#[test]
fn an_old_recording_is_judged() {
    let rule = ["--window", "1s", "--deny", "exe=/usr/bin/dash"];
    let report = judged(OLD.as_bytes(), &rule);
    let recording = &report.recording;
    assert_eq!((&*recording.unjack, recording.ended), ("0.1.0", "done"));
    assert!((2.5..3.5).contains(&recording.seconds), "{recording:?}");
    let [entry] = &report.verdicts[..] else {
        panic!("{:?}", report.verdicts)
    };
    let verdict = &entry.verdict;
    assert_eq!((verdict.pid, verdict.verdict), (16933, "miner"));
    assert!((1.6..1.7).contains(&verdict.burn_seconds), "{verdict:?}");
    assert!((50.0..55.0).contains(&verdict.cpu_percent), "{verdict:?}");
    assert_eq!(judged(OLD.as_bytes(), &[]).verdicts.len(), 0);
}

/// What is written has the same names as what was written then.
#[test]
fn recordings_keep_their_words() {
    let units = |text: &str| -> BTreeSet<String> {
        let lines = text.lines().skip(1);
        lines
            .map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                let fields = line.as_object().unwrap().keys();
                let fields: Vec<&str> = fields.map(String::as_str).collect();
                format!("{} {} {}", line["unit"], line["why"], fields.join(" "))
            })
            .collect()
    };
    let (header, mut reader) = Reader::new(OLD.as_bytes()).unwrap();
    let mut again = serde_json::to_string(&header).unwrap() + "\n";
    while let Some(line) = reader.next_line().unwrap() {
        again += &(serde_json::to_string(&line).unwrap() + "\n");
    }
    assert_eq!(units(&again), units(OLD));
}
