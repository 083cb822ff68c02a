//! What the files of a crate name, read from their text.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// A module's path from the root of its crate, which is empty.
pub(super) type Module = Vec<String>;

/// What a file says of modules.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Paths it names, from the root of the crate.
    pub(super) named: BTreeSet<Module>,
    /// Names it imports, and what each stands for.
    pub(super) imported: BTreeMap<String, Module>,
}

/// Modules and what their files name.
pub(super) type Sources = BTreeMap<Module, Source>;

/// Reads all files of a crate but those of tests.
pub(super) fn read(root: &Path) -> Sources {
    let mut texts = BTreeMap::new();
    collect(root, &Module::new(), &mut texts);
    let skipped: Vec<Module> = texts
        .iter()
        .flat_map(|(module, tokens)| {
            let found = test_modules(tokens);
            found.map(|name| [&module[..], &[name]].concat())
        })
        .collect();
    texts
        .iter()
        .filter(|(module, _)| !skipped.iter().any(|test| module.starts_with(test)))
        .map(|(module, tokens)| (module.clone(), source(module, tokens)))
        .collect()
}

fn collect(folder: &Path, above: &Module, texts: &mut BTreeMap<Module, Vec<String>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            collect(&path, &[&above[..], &[name]].concat(), texts);
        } else if path.extension().is_some_and(|it| it == "rs") && name != "main" {
            let module = match name.as_str() {
                "lib" => Module::new(),
                _ => [&above[..], &[name]].concat(),
            };
            texts.insert(module, tokens(&fs::read_to_string(path).unwrap()));
        }
    }
}

/// The words and signs of a source, without comments and without what is quoted.
/// `::` is one sign.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut tokens, mut i) = (Vec::new(), 0);
    while i < chars.len() {
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                i += 2;
                while i < chars.len() && !(at(i) == '*' && at(i + 1) == '/') {
                    i += 1;
                }
                i += 2;
            }
            '"' => i = end_of_text(&chars, i + 1),
            // `r"…"`, `br#"…"#` and so on; `r#name` is a name.
            'r' if !(i > 0 && is_word(at(i - 1)) && at(i - 1) != 'b')
                && raw_hashes(&chars, i + 1).is_some() =>
            {
                let hashes = raw_hashes(&chars, i + 1).unwrap_or(0);
                i += 2 + hashes;
                let ends = |i: usize| (1..=hashes).all(|n| at(i + n) == '#');
                while i < chars.len() && !(at(i) == '"' && ends(i)) {
                    i += 1;
                }
                i += 1 + hashes;
            }
            // A character, or else a lifetime.
            '\'' if at(i + 1) == '\\' => {
                i += 3;
                while i < chars.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            }
            '\'' if at(i + 2) == '\'' => i += 3,
            ':' if at(i + 1) == ':' => {
                tokens.push("::".to_owned());
                i += 2;
            }
            c if is_word(c) => {
                let begun = i;
                // `b` of a quoted text goes with it.
                while is_word(at(i)) {
                    i += 1;
                }
                tokens.push(chars[begun..i].iter().collect());
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push(c.to_string());
                }
                i += 1;
            }
        }
    }
    tokens
}

/// How many `#` are between the `r` and the quotation mark; `None` if none follows.
fn raw_hashes(chars: &[char], from: usize) -> Option<usize> {
    let hashes = chars[from..].iter().take_while(|c| **c == '#').count();
    (chars.get(from + hashes) == Some(&'"')).then_some(hashes)
}

fn end_of_text(chars: &[char], mut i: usize) -> usize {
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

const TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];

/// Names of the modules that are declared for tests alone and have a file.
fn test_modules(tokens: &[String]) -> impl Iterator<Item = String> {
    tokens.windows(TEST.len() + 3).filter_map(|window| {
        let (test, rest) = window.split_at(TEST.len());
        (test == TEST && rest[0] == "mod" && rest[2] == ";").then(|| rest[1].clone())
    })
}

/// What a file names, but for its modules of tests.
fn source(module: &Module, tokens: &[String]) -> Source {
    let mut found = Source::default();
    let mut i = 0;
    while i < tokens.len() {
        let rest = &tokens[i..];
        if rest.starts_with(&TEST.map(str::to_owned))
            && rest.get(TEST.len() + 2) == Some(&"{".into())
        {
            i += TEST.len() + 2;
            i += block(&tokens[i..]);
        } else if rest[0] == "use" {
            let length = rest
                .iter()
                .position(|token| token == ";")
                .unwrap_or(rest.len());
            for (path, name) in tree(&rest[1..length]) {
                if let Some(path) = absolute(module, &path) {
                    found.imported.insert(name, path.clone());
                    found.named.insert(path);
                }
            }
            i += length;
        } else if ["crate", "super", "self"].contains(&rest[0].as_str())
            && rest.get(1).is_some_and(|token| token == "::")
            && (i == 0 || tokens[i - 1] != "::")
        {
            let mut path = vec![rest[0].clone()];
            while rest
                .get(2 * path.len() - 1)
                .is_some_and(|token| token == "::")
            {
                let Some(name) = rest.get(2 * path.len()).filter(|name| is_name(name)) else {
                    break;
                };
                path.push(name.clone());
            }
            i += 2 * path.len() - 1;
            found.named.extend(absolute(module, &path));
        } else {
            i += 1;
        }
    }
    found
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// How many tokens a block has, its brackets included.
fn block(tokens: &[String]) -> usize {
    let mut depth = 0_usize;
    for (i, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i + 1;
        }
    }
    tokens.len()
}

/// The paths of a `use`, each with the name it gets here.
fn tree(tokens: &[String]) -> Vec<(Module, String)> {
    let mut path = Module::new();
    let mut i = 0;
    while i < tokens.len() {
        match tokens[i].as_str() {
            "::" => i += 1,
            "{" => {
                let inside = &tokens[i + 1..i + block(&tokens[i..]) - 1];
                return parts(inside)
                    .flat_map(tree)
                    .map(|(below, name)| {
                        let own = below == ["self"];
                        let name = path.last().filter(|_| own).cloned().unwrap_or(name);
                        let below = if own { Module::new() } else { below };
                        ([&path[..], &below[..]].concat(), name)
                    })
                    .collect();
            }
            "as" => {
                let name = tokens.get(i + 1).cloned().unwrap_or_default();
                return vec![(path, name)];
            }
            name => {
                path.push(name.to_owned());
                i += 1;
            }
        }
    }
    let name = path.last().cloned().unwrap_or_default();
    vec![(path, name)]
}

/// What is between commas, but for those in brackets.
fn parts(tokens: &[String]) -> impl Iterator<Item = &[String]> {
    let mut depth = 0_usize;
    tokens
        .split(move |token| {
            match token.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            token == "," && depth == 0
        })
        .filter(|part| !part.is_empty())
}

/// A path from the root of the crate; `None` for one of another crate.
fn absolute(module: &Module, path: &Module) -> Option<Module> {
    let mut from = module.clone();
    let (first, mut rest) = path.split_first()?;
    match first.as_str() {
        "crate" => from.clear(),
        "self" => {}
        "super" => {
            from.pop();
        }
        _ => return None,
    }
    while let Some((_, below)) = rest.split_first().filter(|(name, _)| *name == "super") {
        from.pop();
        rest = below;
    }
    from.extend_from_slice(rest);
    Some(from)
}
