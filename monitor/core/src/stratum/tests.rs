//! Messages as published miners and pools send them, and what is none.

use monitor_ebpf::PAYLOAD_BYTES;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

/// What is found in the head of a packet.
fn head(text: &str) -> Option<&'static str> {
    recognise(&text.as_bytes()[..text.len().min(PAYLOAD_BYTES)])
}

#[track_caller]
fn sent(name: &str, text: &str) {
    assert_eq!(head(text), Some(known(name)), "{text}");
}

#[track_caller]
fn nothing(text: &str) {
    assert_eq!(head(text), None, "{text}");
}

fn known(name: &str) -> &'static str {
    SENT.into_iter()
        .chain(["submit", "keepalived", "login"])
        .find(|known| *known == name)
        .unwrap()
}

fn blob() -> String {
    "0707f5c0c3e806".repeat(12)
}

/// A pool checks shares by hashing, and the process that receives this did not ask
/// for it.
#[test]
fn what_a_pool_says_is_none() {
    let job = format!(
        r#"{{"blob":"{}","job_id":"x1","target":"b88d0600"}}"#,
        blob()
    );
    for text in [
        r#"{"id":null,"method":"mining.notify","params":["6f","ab",[],"20000000"]}"#,
        "{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[8192]}\n{\"id\":null,",
        &format!(r#"{{"jsonrpc":"2.0","method":"job","params":{job}}}"#),
        &format!(r#"{{"id":1,"error":null,"result":{{"id":"7","job":{job},"status":"OK"}}}}"#),
    ] {
        nothing(text);
    }
}

#[test]
fn a_message_behind_another_in_one_packet() {
    sent(
        "mining.authorize",
        "{\"id\":3,\"result\":true,\"error\":null}\n{\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"u",
    );
}

#[test]
fn a_miners_share_of_version_1() {
    sent(
        "mining.submit",
        "{\"method\": \"mining.submit\", \"params\": [\"user.1\", \"6f\", \"00000000\", \"5f3b\", \"7d\"], \"id\":4}\n",
    );
    sent(
        "mining.subscribe",
        r#"{"id": 1, "method": "mining.subscribe", "params": ["cpuminer/2.5.1"]}"#,
    );
    sent(
        "mining.authorize",
        r#"{"params": ["user", "x"], "id": 2, "method": "mining.authorize"}"#,
    );
}

#[test]
fn a_share_of_the_other_dialect() {
    let id = "e5a1b3c2-0000-4000-8000-000000000000";
    sent(
        "submit",
        &format!(
            r#"{{"id":2,"jsonrpc":"2.0","method":"submit","params":{{"id":"{id}","job_id":"x1","nonce":"7d9a0000","result":"{}"}}}}"#,
            blob()
        ),
    );
    sent(
        "keepalived",
        &format!(r#"{{"id":3,"jsonrpc":"2.0","method":"keepalived","params":{{"id":"{id}"}}}}"#),
    );
    sent(
        "login",
        r#"{"id":1,"jsonrpc":"2.0","method":"login","params":{"login":"wallet","pass":"x","agent":"XMRig/6.21.0","algo":["rx/0"]}}"#,
    );
}

#[test]
fn ethereums_dialect() {
    let get = r#"{"id":1,"jsonrpc":"2.0","method":"eth_getWork","params":[]}"#;
    sent("eth_getWork", get);
    sent(
        "eth_submitLogin",
        r#"{"id":1,"worker":"rig","jsonrpc":"2.0","method":"eth_submitLogin","params":["0xab"]}"#,
    );
}

#[test]
fn other_speech_is_none() {
    for text in [
        "",
        "{",
        "{}",
        "[]",
        "POST / HTTP/1.1\r\n\r\n",
        "{\"method\"",
        r#"{"method":"mining.notify""#,
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"processId":7,"rootUri":null}}"#,
        r#"{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":{"text":"mining.notify"}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["latest",false]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"eth_syncing","params":[]}"#,
        r#"{"id":1,"method":"login","params":{"login":"me","pass":"x"}}"#,
        r#"{"id":1,"method":"submit","params":{"job_id":"7","text":"x"}}"#,
        r#"{"id":1,"method":"job","params":{"job_id":"7","blob":"hello"}}"#,
        r#"{"id":1,"method":"keepalive","params":{"id":"7"}}"#,
        r#"{"from":"a","text":"{\"id\":1,\"method\":\"mining.notify\",\"params\":[]}"}"#,
        r#"{"method":"mining.submit","id":"7","path":"/","status":400}"#,
        r#"{"time":"12:00","method":"mining.subscribe","params":[],"id":1}"#,
        r#"{"text":"x","quoted":{"method":"mining.submit","params":[],"id":1}}"#,
        r#" {"method":"mining.submit","params":[],"id":1}"#,
        r#"GET /{"method":"mining.submit","params":[],"id":1}"#,
        r#"{"method":"mining.submit" "params":[],"id":1}"#,
        r#"{"method":"mining.submit","params":[}"#,
        r#"{"method":["mining.submit"],"params":[]}"#,
        r#"{"method":"mining.submitted","params":[]}"#,
        "chat: did you see mining.submit in the log?\n{\"method\":\"mining.submit\",\"id\":1}",
        "POST / HTTP/1.1\r\n\r\n{\"method\":\"mining.submit\",\"params\":[],\"id\":1}",
        "POST / HTTP/1.1\r\n\r\n{\"method\":\"eth_getWork\",\"params\":[],\"id\":1}",
        r#"{"id":1,"a":[[[[[[[[[0]]]]]]]]],"method":"mining.submit"}"#,
    ] {
        nothing(text);
    }
}

fn json_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
        Just(json!("mining.notify")),
        Just(json!("eth_getWork")),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("[a-z_]{1,6}|params|id|result|blob", inner, 0..4)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = recognise(&bytes);
        let _ = walk(&bytes, |_, _| ());
    }

    #[test]
    fn nor_do_almost_messages(text in r#"[{}\[\]",:\\ \na-z0-9]{0,80}"#) {
        let text = format!("{{{text}");
        let _ = recognise(text.as_bytes());
    }

    /// Whatever is said in it and wherever it is cut, a call by another name is
    /// no message.
    #[test]
    fn other_methods_are_none(
        name in "[a-zA-Z/._]{0,24}",
        params in json_value(),
        id in json_value(),
        cut in 0..=PAYLOAD_BYTES,
    ) {
        prop_assume!(!SENT.contains(&&*name));
        prop_assume!(!["submit", "keepalived", "login"].contains(&&*name));
        let text = json!({"jsonrpc": "2.0", "id": id, "method": name, "params": params}).to_string();
        let bytes = &text.as_bytes()[..cut.min(text.len())];
        prop_assert_eq!(recognise(bytes), None);
    }

    /// All JSON of a message's depth is read to its end.
    #[test]
    fn json_is_read(value in json_value()) {
        let text = json!({ "a": value }).to_string();
        prop_assert!(walk(text.as_bytes(), |_, _| ()).is_some());
    }

    /// Where it is cut does not make it another message.
    #[test]
    fn a_cut_message_is_the_same_or_none(cut in 0_usize..200) {
        let text = r#"{"id":4,"method":"mining.submit","params":["user.1","6f","00000000","5f3b","7d"]}"#;
        let found = recognise(&text.as_bytes()[..cut.min(text.len())]);
        prop_assert!(found.is_none() || found == Some("mining.submit"));
    }
}
