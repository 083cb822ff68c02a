//! The evaluation for a person: a few lines for the terminal, and a document
//! with a row for every program.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result};
use monitor::{score::ModelData, verdict::Verdict};

use super::{Corpus, Evaluation, Judged, Label};

const LABELS: [Label; 3] = [Label::Miner, Label::Hashing, Label::Other];
const VERDICTS: [Verdict; 3] = [Verdict::Miner, Verdict::Hashing, Verdict::None];

/// Reads why programs fail, by name; none if the file is not there.
///
/// # Errors
/// The file is not of its form.
pub(super) fn reasons(path: &Path) -> Result<BTreeMap<String, String>> {
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text = fs::read_to_string(path)?;
    toml::from_str(&text).with_context(|| format!("{} is not name = \"reason\"", path.display()))
}

/// The result in a few lines.
pub(super) fn summary(evaluation: &Evaluation) -> String {
    let mut text = table(evaluation);
    let miners = of(evaluation, Label::Miner);
    let count = |found: fn(&Judged) -> bool| miners.iter().filter(|p| found(p)).count();
    let percent = |found: usize| 100.0 * found as f64 / miners.len() as f64;
    let found = count(|p| p.verdict == Verdict::Miner);
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "\nEvery program judged by a model that never saw it: {found} of {} miners found \
         ({:.1} %), area under the ROC curve {:.4}. {} of them had a pool to mine at, and {} were \
         heard to speak Stratum with it.",
        miners.len(),
        percent(found),
        evaluation.auc,
        count(|p| p.pool),
        count(|p| p.heard),
    );
    let honest: Vec<_> = (evaluation.programs.iter())
        .filter(|p| p.label != Label::Miner)
        .collect();
    let _ = writeln!(
        text,
        "No honest program speaks Stratum. If each did, on a connection that it began itself and \
         without serving anybody, {} of {} would be judged `miner`.",
        honest
            .iter()
            .filter(|p| p.speaking == Verdict::Miner)
            .count(),
        honest.len()
    );
    let users = |label| -> Vec<&str> {
        let programs = honest.iter().filter(|p| p.label == label);
        let taken = programs.filter(|p| p.users == Verdict::Miner);
        taken.map(|p| p.name.as_str()).collect()
    };
    let (hashing, other) = (users(Label::Hashing), users(Label::Other));
    let _ = writeln!(
        text,
        "Had users installed the honest programs, and not root, {} would be judged `miner`: {} \
         that hash, and {} others ({}).",
        hashing.len() + other.len(),
        hashing.len(),
        other.len(),
        other.join(", ")
    );
    let found = count(|p| p.unheard == Verdict::Miner);
    let _ = writeln!(
        text,
        "Without counting Stratum: {found} of {} miners found ({:.1} %), area {:.4}.",
        miners.len(),
        percent(found),
        evaluation.unheard_auc
    );
    let _ = writeln!(
        text,
        "Every family judged by a model that saw none of it, Stratum not counted: {} of {} miners \
         found.",
        count(|p| p.strange == Some(Verdict::Miner)),
        miners.len()
    );
    let alarms = evaluation.programs.iter();
    let alarms = alarms.filter(|p| p.label != Label::Miner && p.shipped == Verdict::Miner);
    let alarms: Vec<&str> = alarms.map(|p| p.name.as_str()).collect();
    let names = if alarms.is_empty() {
        String::new()
    } else {
        format!(": {}", alarms.join(", "))
    };
    let _ = writeln!(
        text,
        "The shipped model, which saw them all: {} of {} miners found ({} without counting \
         Stratum), and {} honest programs taken for miners{}.",
        count(|p| p.shipped == Verdict::Miner),
        miners.len(),
        count(|p| p.shipped_unheard == Verdict::Miner),
        alarms.len(),
        names
    );
    let programs = evaluation.programs.iter();
    for program in programs.filter(|p| !p.is_right() || !p.is_right_unheard()) {
        let verdict = if program.is_right() {
            format!("right, but without Stratum `{}`", program.unheard.name())
        } else {
            format!("`{}`", program.verdict.name())
        };
        let _ = writeln!(
            text,
            "- wrong: {} ({}) is {verdict}, hashing {:.2}, score {:.2}, without Stratum {:.2}",
            program.name,
            program.label.name(),
            program.hashing,
            program.score,
            program.unheard_score
        );
    }
    text
}

fn of(evaluation: &Evaluation, label: Label) -> Vec<&Judged> {
    let programs = evaluation.programs.iter();
    programs.filter(|program| program.label == label).collect()
}

/// The confusion table.
fn table(evaluation: &Evaluation) -> String {
    let mut text = "| program is | programs | judged `miner` | judged `hashing` | nothing |\n\
                    |---|---|---|---|---|\n"
        .to_owned();
    for label in LABELS {
        let programs = of(evaluation, label);
        let _ = write!(text, "| {} | {} |", label.name(), programs.len());
        for verdict in VERDICTS {
            let count = programs.iter().filter(|p| p.verdict == verdict).count();
            let _ = write!(text, " {count} |");
        }
        text.push('\n');
    }
    text
}

/// The document.
pub(super) fn document(
    evaluation: &Evaluation,
    model: &ModelData,
    corpus: &Corpus,
    reasons: &BTreeMap<String, String>,
) -> String {
    let mut text = include_str!("detection.md").to_owned();
    let _ = writeln!(
        text,
        "\n## How it does\n\nRecorded on: {}.\n\n{}",
        corpus.hosts.join("; "),
        summary(evaluation)
    );
    let wrong: Vec<&Judged> = evaluation
        .programs
        .iter()
        .filter(|p| !p.is_right() || !p.is_right_unheard())
        .collect();
    for name in reasons.keys() {
        if wrong.iter().all(|program| program.name != *name) {
            eprintln!("evaluate: failures.toml has a reason for {name}, which is judged rightly");
        }
    }
    if !wrong.is_empty() {
        text.push_str("\n### What it gets wrong, with a pool or without\n\n");
        for program in wrong {
            let reason = reasons
                .get(&program.name)
                .map_or("not understood yet", String::as_str);
            let _ = writeln!(text, "- **{}**: {reason}", program.name);
        }
    }
    let _ = writeln!(text, "\n## The model\n\n{}\n", model.provenance);
    for (question, linear) in [
        ("Is it hashing?", &model.hashing),
        ("Is it mining?", &model.mining),
    ] {
        let _ = writeln!(
            text,
            "{question} Log-odds {:+.2}, and for each feature:\n\n| feature | weight |\n|---|---|",
            linear.bias
        );
        let mut weights: Vec<(&String, &f64)> = linear.weights.iter().collect();
        weights.sort_by(|a, b| b.1.total_cmp(a.1));
        for (feature, weight) in weights {
            let _ = writeln!(text, "| {feature} | {weight:+.2} |");
        }
        text.push('\n');
    }
    text.push_str(
        "## Every program\n\nHashing, score and verdict are those of a model that never saw the \
         program; *family* is what the shipped model, which did, names it. *Pool*: whether the \
         program mined at one while it was recorded (empty: no), and was heard to. *Without \
         Stratum* and *without its family* are verdicts that do not count what was heard.\n\n",
    );
    for label in LABELS {
        let _ = writeln!(
            text,
            "### {}\n\n| program | windows | hashing | score | verdict | runs found | pool | without Stratum | without its family | family |\n\
             |---|---|---|---|---|---|---|---|---|---|",
            label.name()
        );
        for program in of(evaluation, label) {
            let Judged {
                name,
                windows,
                hashing,
                score,
                verdict,
                runs: (found, runs),
                pool,
                heard,
                unheard,
                named,
                strange,
                ..
            } = program;
            let strange = strange.map_or("", Verdict::name);
            let (pool, unheard) = match (pool, heard) {
                (false, _) => ("", ""),
                (true, true) => ("heard", unheard.name()),
                (true, false) => ("not heard", unheard.name()),
            };
            let _ = writeln!(
                text,
                "| {name} | {windows} | {hashing:.2} | {score:.2} | {} | {found}/{runs} | {pool} | {unheard} | {strange} | {named} |",
                verdict.name()
            );
        }
        text.push('\n');
    }
    text
}
