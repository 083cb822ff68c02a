use super::*;

const HEADER: &str =
    r#"{"unjack_recording":1,"arch":"x86_64","hostname":"secret","command":["/home/me/x"]}"#;

fn line(t: f64, pid: u32, samples: u32) -> String {
    format!(
        r#"{{"t":{t},"unit":"process","pid":{pid},"start_ns":{pid}00,"image":[1,2],"summary":{{"samples":{samples},"mix":[1,2],"rate":0.123456}}}}"#
    )
}

fn recording(lines: &[String]) -> Recording {
    let text = format!("{HEADER}\n{}\n", lines.join("\n"));
    Recording::parse(text.as_bytes()).unwrap()
}

fn times(recording: &Recording) -> Vec<Vec<f64>> {
    let times = |windows: Vec<&Window>| windows.iter().map(|window| window.t).collect();
    choose(recording).into_iter().map(times).collect()
}

fn program() -> Program {
    toml::from_str(
        "name = 'sha256d'\nlabel = 'miner'\nfamily = 'sha256d'\nsource = 'here'\n\
         run = '{threads} {duty}'\nvariants = true",
    )
    .unwrap()
}

#[test]
fn a_recording_becomes_a_head_and_windows_without_traces_of_the_host() {
    let program = program();
    let subject = program.subjects().next().unwrap();
    let recording = recording(&[line(1.0, 7, 90), line(2.000_04, 7, 99), line(7.0, 7, 98)]);
    let lines = lines(&subject, recording, &mut Vec::new()).unwrap();
    let origin = r#""program":"sha256d","label":"miner","family":"sha256d","variant":"t1d100""#;
    assert_eq!(
        lines,
        [
            format!(r#"{{{origin},"source":"here","header":{{"unjack_recording":1}}}}"#),
            format!(
                r#"{{{origin},"t":2.0,"pid_index":0,"summary":{{"mix":[1,2],"rate":0.1235,"samples":99}}}}"#
            ),
            format!(
                r#"{{{origin},"t":7.0,"pid_index":0,"summary":{{"mix":[1,2],"rate":0.1235,"samples":98}}}}"#
            ),
        ]
    );
}

#[test]
fn windows_of_a_process_are_five_seconds_apart_and_a_dozen_at_most() {
    // A recorder whose second is a little short or long.
    let second = |n: u32| f64::from(n) + if n.is_multiple_of(2) { 0.01 } else { -0.01 };
    let long: Vec<_> = (1..=90).map(|n| line(second(n), 7, 100)).collect();
    let times = times(&recording(&long));
    assert_eq!(times[0].len(), 12);
    assert!(
        times[0]
            .windows(2)
            .all(|pair| (pair[1] - pair[0] - 5.0).abs() < 0.1)
    );
}

#[test]
fn a_short_process_is_told_by_its_fullest_window() {
    let filling: Vec<_> = (1..=3).map(|n| line(f64::from(n), 7, 100 * n)).collect();
    assert_eq!(times(&recording(&filling)), [[3.0]]);
}

#[test]
fn processes_with_a_quarter_of_the_samples_count_and_helpers_do_not() {
    let lines =
        [(1, 24), (2, 25), (3, 100), (4, 50)].map(|(pid, n)| line(5.0 + f64::from(pid), pid, n));
    assert_eq!(times(&recording(&lines)), [[8.0], [9.0], [7.0]]);
}

#[test]
fn many_processes_of_one_kind_do_not_outvote_others() {
    let lines: Vec<_> = (1..=50).map(|pid| line(f64::from(pid), pid, 10)).collect();
    let times = times(&recording(&lines));
    assert_eq!(times.len(), PROCESSES);
    assert_eq!(times[0], [1.0], "of equals, the first");
}

#[test]
fn numbers_keep_four_digits_and_counts_all() {
    let value: Value =
        serde_json::from_str(r#"{"a":[123456,1234.56,-0.000012345],"b":null}"#).unwrap();
    assert_eq!(
        round(&value).to_string(),
        r#"{"a":[123456,1235.0,-0.00001234],"b":null}"#
    );
}

#[test]
fn what_is_no_recording_is_refused() {
    for (text, complaint) in [
        ("", "empty"),
        ("{}", "unjack_recording"),
        ("{\"unjack_recording\":1}\n{\"t\":1}", "line 2"),
        (
            "{\"unjack_recording\":1}\n{\"t\":1,\"unit\":\"process\",\"summary\":{}}",
            "line 2",
        ),
    ] {
        let error = Recording::parse(text.as_bytes()).err().unwrap();
        assert!(
            format!("{error:#}").contains(complaint),
            "{text}: {error:#}"
        );
    }
}

#[test]
fn other_units_are_left_out() {
    let group = r#"{"t":1,"unit":"cgroup","summary":{"samples":1000}}"#.to_owned();
    assert_eq!(times(&recording(&[group, line(1.0, 7, 1)])), [[1.0]]);
}
