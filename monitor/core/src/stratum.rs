//! Is Stratum spoken here? Pure: bytes in, the name of a message out.
//!
//! Three dialects are known, each an object of JSON on a line: Stratum version 1
//! (`mining.…`), the one that `RandomX` and `CryptoNight` are mined with
//! (`login`, `job`, `submit`, `keepalived`), and that of Ethereum and its like
//! (`eth_submitLogin`, `eth_getWork`, …). What is posted to HTTP servers is not
//! looked at: whatever is uploaded is.
//!
//! Only what a miner says counts, such as a share: a pool checks shares by hashing,
//! and says the other half. What a process receives proves nothing: a server could
//! make any client that downloads from it look like a miner.
//!
//! The bytes are hostile and cut at any place. They are read once, front to
//! back, as JSON and nothing else; what is no JSON is no message. Nothing is
//! allocated and nothing of what was read leaves here.

/// Objects and arrays in each other, at most: a login's list of algorithms is the
/// third.
const MAX_DEPTH: usize = 6;
/// Digits of a share's nonce: four bytes or eight.
const NONCE_DIGITS: [usize; 2] = [8, 16];

/// The members of a call. Whatever has others, such as a log's line, is none.
const MEMBERS: [&[u8]; 5] = [b"id", b"jsonrpc", b"method", b"params", b"worker"];

/// What only a miner sends.
const SENT: [&str; 11] = [
    "mining.subscribe",
    "mining.authorize",
    "mining.submit",
    "mining.configure",
    "mining.extranonce.subscribe",
    "mining.suggest_difficulty",
    "mining.suggest_target",
    "eth_submitLogin",
    "eth_getWork",
    "eth_submitWork",
    "eth_submitHashrate",
];

/// The message of a miner's that the head of the payload of a packet that was sent
/// is, if it is one.
#[must_use]
pub fn recognise(payload: &[u8]) -> Option<&'static str> {
    payload
        .split(|byte| *byte == b'\n')
        .take_while(|line| line.starts_with(b"{"))
        .find_map(message)
}

/// The message that an object, or the beginning of one, is.
fn message(line: &[u8]) -> Option<&'static str> {
    let mut facts = Facts::default();
    walk(line, |path, value| facts.add(path, value))?;
    let Facts {
        method,
        called,
        foreign,
        job_id,
        nonce,
        id,
        login,
        pass,
        agent,
    } = facts;
    if foreign {
        return None;
    }
    let method = str::from_utf8(method.unwrap_or_default()).ok()?;
    if called && let Some(name) = SENT.iter().find(|name| **name == method) {
        return Some(name);
    }
    match method {
        "submit" if job_id && nonce => Some("submit"),
        "keepalived" if id => Some("keepalived"),
        "login" if login && pass && agent => Some("login"),
        _ => None,
    }
}

/// What was found in a message.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is another member that is there or not"
)]
struct Facts<'a> {
    method: Option<&'a [u8]>,
    /// There are parameters or an id, as in every call.
    called: bool,
    /// There is a member that no call has: it is a record of something else.
    foreign: bool,
    /// Of the parameters.
    job_id: bool,
    nonce: bool,
    id: bool,
    login: bool,
    pass: bool,
    agent: bool,
}

impl<'a> Facts<'a> {
    fn add(&mut self, path: &[&'a [u8]], value: Value<'a>) {
        if let [name] = path {
            self.foreign |= !MEMBERS.contains(name);
        }
        match (path, value) {
            ([b"params" | b"id"], _) => self.called = true,
            ([b"method"], Value::Text(text)) => self.method = Some(text),
            ([b"params", name], Value::Text(text)) => match *name {
                b"job_id" => self.job_id = true,
                b"nonce" => self.nonce = is_hex(text) && NONCE_DIGITS.contains(&text.len()),
                b"id" => self.id = true,
                b"login" => self.login = true,
                b"pass" => self.pass = true,
                b"agent" => self.agent = true,
                _ => {}
            },
            _ => {}
        }
    }
}

fn is_hex(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_hexdigit)
}

/// A value that was met.
#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    /// A string, as it is written.
    Text(&'a [u8]),
    /// The beginning of one.
    Cut,
    /// Anything else: of an object or array, its beginning.
    Other,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Value,
    Key,
    Colon,
    /// A comma, or the end of what is open.
    Comma,
}

/// Calls `visit` with every value and the keys that lead to it (an array's are
/// empty), until the object ends or the text does. Nothing if it is no JSON, or
/// deeper than any message.
fn walk<'a>(text: &'a [u8], mut visit: impl FnMut(&[&'a [u8]], Value<'a>)) -> Option<()> {
    let mut keys: [&[u8]; MAX_DEPTH] = [b""; MAX_DEPTH];
    let mut objects = [false; MAX_DEPTH];
    let mut depth = 0;
    let mut next = Next::Value;
    // Whether what was opened last may be closed at once.
    let mut fresh = false;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let from = at + 1;
        at = from;
        let was_fresh = std::mem::take(&mut fresh);
        match (byte, next) {
            (b' ' | b'\t' | b'\r' | b'\n', _) => fresh = was_fresh,
            (b'"', Next::Key | Next::Value) => {
                let (string, end) = string(&text[from..])?;
                at = from + end;
                match (next, string) {
                    (Next::Key, Value::Text(key)) => {
                        keys[depth - 1] = key;
                        next = Next::Colon;
                    }
                    // The text ends within it.
                    (Next::Key, _) => {}
                    (_, value) => {
                        visit(&keys[..depth], value);
                        next = Next::Comma;
                    }
                }
            }
            (b'{' | b'[', Next::Value) => {
                if depth == MAX_DEPTH {
                    return None;
                }
                visit(&keys[..depth], Value::Other);
                let object = byte == b'{';
                (objects[depth], keys[depth]) = (object, b"");
                depth += 1;
                next = if object { Next::Key } else { Next::Value };
                fresh = true;
            }
            (b'}' | b']', _) if next == Next::Comma || was_fresh => {
                if depth == 0 || objects[depth - 1] != (byte == b'}') {
                    return None;
                }
                depth -= 1;
                next = Next::Comma;
            }
            (b':', Next::Colon) => next = Next::Value,
            (b',', Next::Comma) => {
                let object = objects[..depth].last()?;
                next = if *object { Next::Key } else { Next::Value };
            }
            (b'-' | b'0'..=b'9' | b't' | b'f' | b'n', Next::Value) => {
                let rest = &text[from..];
                let more = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                at += rest.iter().take_while(|byte| more(byte)).count();
                visit(&keys[..depth], Value::Other);
                next = Next::Comma;
            }
            _ => return None,
        }
        if depth == 0 {
            break;
        }
    }
    Some(())
}

/// The string that begins after a quote, and where it ends after its own.
fn string(text: &[u8]) -> Option<(Value<'_>, usize)> {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => return Some((Value::Text(&text[..at]), at + 1)),
            b'\\' => at += 2,
            0..=0x1f => return None,
            _ => at += 1,
        }
    }
    Some((Value::Cut, text.len()))
}

#[cfg(test)]
mod tests;
